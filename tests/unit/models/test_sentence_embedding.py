"""The files of sentence-transformers: read, kept in config.json, and written again."""

import json

import pytest

import tiny_embedding
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.models.sentence_embedding import ENTRY, SentenceEmbedding, read_embedding, write_embedding_files


def read(folder):
    names = [path.name for path in folder.iterdir() if path.is_file()]
    return read_embedding(lambda name: read_json(folder / name), names)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "mean_sqrt_len_tokens"])
@pytest.mark.parametrize("normalize", [True, False])
def test_files_are_written_as_they_were_read(tmp_path, pooling, normalize):
    folder = tiny_embedding.make_embedding_model(tmp_path / "model", pooling=pooling, normalize=normalize)
    found = read(folder)
    assert found == SentenceEmbedding(pooling, normalize, 24, {"prompts": {"query": "q: "}})
    config = found.within(read_json(folder / "config.json"))
    assert SentenceEmbedding.of(json.loads(json.dumps(config))) == found
    again = tmp_path / "again"
    again.mkdir()
    write_json(again / "config.json", config)
    write_embedding_files(again)
    assert read(again) == found
    assert read_json(again / "modules.json") == read_json(folder / "modules.json")
    assert read_json(again / "1_Pooling/config.json")["word_embedding_dimension"] == 32


def test_a_model_of_another_kind_gets_no_such_files(tmp_path):
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    write_embedding_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert SentenceEmbedding.of({}) is None


def test_files_of_newer_versions(tmp_path):
    """As sentence-transformers 6.2 writes them: other names of modules and keys, the length with the tokenizer."""
    folder = tiny_embedding.make_embedding_model(tmp_path)
    kinds = ("base.modules.transformer.Transformer", "sentence_transformer.modules.pooling.Pooling")
    listed = [
        {"type": f"sentence_transformers.{kind}", "path": path}
        for kind, path in zip(kinds, ("", "1_Pooling"), strict=True)
    ]
    write_json(folder / "modules.json", listed)
    write_json(folder / "1_Pooling/config.json", {"embedding_dimension": 32, "pooling_mode": "cls"})
    write_json(folder / "sentence_bert_config.json", {"transformer_task": "feature-extraction"})
    (folder / "config_sentence_transformers.json").unlink()
    tokenizer = read_json(folder / "tokenizer_config.json")
    for length, found in ((24, 24), (10**30, 512), (None, 512)):
        write_json(folder / "tokenizer_config.json", tokenizer | {"model_max_length": length})
        names = [path.name for path in folder.iterdir()]
        embedding = read_embedding(lambda name: read_json(folder / name), names, position_limit=512)
        assert embedding == SentenceEmbedding("cls", False, found, {})
    with pytest.raises(UserError, match="max_seq_length is None; write a whole number"):
        read(folder)
    write_json(folder / "sentence_bert_config.json", {"transformer_task": "fill-mask"})
    with pytest.raises(UserError, match="transformer_task is 'fill-mask'"):
        read(folder)


def test_the_entry_has_a_name_of_its_own():
    from transformers import BertConfig

    assert not hasattr(BertConfig(), ENTRY)
