"""Trimmed vocabularies: texts of kept tokens give the same logits, and any text can be tokenized."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import tiny
import token_sets
import trained_tokenizers
from shallower.core.errors import UserError
from shallower.engine.tokens import write_tokens
from shallower.models.checksums import verified
from shallower.models.folder import WEIGHTS
from shallower.surgery.vocabulary import VOCABULARY, Folder, as_ranges, read_kept, trim_model, trim_vocabulary

KINDS = tuple(trained_tokenizers.KINDS)
TRAIN = trained_tokenizers.corpus(25, seed=1)


class Trimmed:
    """A classifier, its tokenizer trimmed to `TRAIN`, and the trimmed classifier."""

    def __init__(self, folder: Path, family: str, tokenizer: Any, minimum_count: int = 1) -> None:
        self.full = trained_tokenizers.save_classifier(folder / "full", family, tokenizer)
        self.tokenizer_dir, self.model = folder / "tokenizer", folder / "trimmed"
        self.counts = Counter(number for ids in self.encoded(self.full, TRAIN) for number in ids)
        self.record = trim_vocabulary(self.full, self.counts, minimum_count, self.tokenizer_dir)
        trim_model(self.full, self.tokenizer_dir, self.model)
        self.kept = read_kept(self.tokenizer_dir)
        self.new_ids = {old: new for new, old in enumerate(self.kept)}
        self.before, self.after = (
            Tokenizer.from_file(str(place / "tokenizer.json")) for place in (self.full, self.model)
        )

    @staticmethod
    def encoded(folder: Path, texts: list[str]) -> list[list[int]]:
        return transformers.AutoTokenizer.from_pretrained(folder)(texts)["input_ids"]

    def unknown(self, tokenizer: Tokenizer, ids: list[int]) -> int:
        return ids.count(tokenizer.token_to_id("[UNK]" if self.before.token_to_id("[UNK]") is not None else "<unk>"))


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory) -> dict[str, Trimmed]:
    return {
        kind: Trimmed(tmp_path_factory.mktemp(kind), family, trained_tokenizers.train(kind))
        for kind, family in trained_tokenizers.KINDS.items()
    }


def logits(folder: Path, texts: list[str]) -> torch.Tensor:
    """Of a padded batch, by plain from_pretrained, which must not miss or add any weights."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(info[f"{problem}_keys"] for problem in ("missing", "unexpected", "mismatched"))
    with torch.no_grad():
        return model.eval()(**tokenizer(texts, padding=True, return_tensors="pt")).logits


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_kept_tokens_have_the_same_tokens_and_logits(kind, trimmed):
    case = trimmed[kind]
    texts = [*TRAIN, *reversed(" ".join(TRAIN).split())]
    full, new = (case.encoded(folder, texts) for folder in (case.full, case.model))
    # A word alone may be cut in another way than within its sentence.
    same = [place for place, ids in enumerate(full) if set(ids) <= set(case.kept)]

    assert len(same) >= len(TRAIN)
    assert [new[place] for place in same] == [[case.new_ids[number] for number in full[place]] for place in same]
    chosen = [texts[place] for place in same]
    assert torch.equal(logits(case.model, chosen), logits(case.full, chosen))


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_is_smaller_and_all_files_agree_on_its_size(kind, trimmed):
    case = trimmed[kind]
    size = case.record["size_after"]
    config = json.loads((case.model / "config.json").read_text())
    weights, full = load_file(case.model / WEIGHTS), load_file(case.full / WEIGHTS)
    changed = [name for name in full if full[name].shape != weights[name].shape]
    tokenizer = transformers.AutoTokenizer.from_pretrained(case.model)

    assert set(weights) == set(full)
    assert len(changed) == 1 and torch.equal(weights[changed[0]], full[changed[0]][case.kept])
    assert case.record["size_before"] == len(full[changed[0]])
    assert size < case.record["size_before"] * 0.9
    assert size == len(weights[changed[0]]) == config["vocab_size"] == len(tokenizer) == case.after.get_vocab_size()
    assert sum(case.record["kept_for"].values()) == len(case.kept)
    assert case.record["kept_for"]["unspelled"] == 0
    assert config["pad_token_id"] == tokenizer.pad_token_id
    assert len(config["id2label"]) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_keep_their_part(kind, trimmed):
    case = trimmed[kind]
    full, new = (transformers.AutoTokenizer.from_pretrained(folder) for folder in (case.full, case.model))

    assert new.special_tokens_map == full.special_tokens_map
    for name in ("pad", "cls", "sep", "unk", "mask"):
        old = getattr(full, f"{name}_token_id")
        assert getattr(new, f"{name}_token_id") == case.new_ids[old], name


TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from([*trained_tokenizers.CORPUS_WORDS, " ", "", "é", "ж", "\n"]), max_size=8).map("".join),
    st.lists(st.sampled_from(" ".join(TRAIN).split()), max_size=8).map(" ".join),
)


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_is_tokenized_the_same_or_with_no_more_unknown_tokens(kind, trimmed):
    case = trimmed[kind]

    @settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(TEXTS)
    def check(text: str) -> None:
        full, new = case.before.encode(text).ids, case.after.encode(text).ids
        assert case.unknown(case.after, new) == case.unknown(case.before, full)
        assert max(new, default=0) < case.record["size_after"]
        if set(full) <= set(case.kept):
            assert new == [case.new_ids[number] for number in full]

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_trimming_a_trimmed_tokenizer_changes_nothing(kind, trimmed, tmp_path):
    case = trimmed[kind]
    counts = {case.new_ids[number]: count for number, count in case.counts.items()}

    record = trim_vocabulary(case.tokenizer_dir, counts, 1, tmp_path)

    assert record["kept"] == f"0-{len(case.kept) - 1}"
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        assert (tmp_path / name).read_bytes() == (case.tokenizer_dir / name).read_bytes(), name


def test_a_higher_minimum_count_keeps_fewer_tokens(trimmed, tmp_path):
    case = trimmed["word-piece"]
    sizes = [trim_vocabulary(case.full, case.counts, count, tmp_path)["size_after"] for count in (1, 2, 1000)]
    special_and_spelling = sum(case.record["kept_for"][reason] for reason in ("special", "spelling"))

    # No token but the special ones occurs 1,000 times.
    assert sizes[0] > sizes[1] > sizes[2] == special_and_spelling


def test_positions_stay_where_a_roberta_model_counts_them_from_its_padding_token(tmp_path):
    """Tokens below it stay, used or not: with another id all positions would move."""
    tokenizer = trained_tokenizers.train("byte-bpe")
    content = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    front, back = [], []
    for token in content["vocab"]:
        (back if token in ("<pad>", "<mask>") else front).append(token)
    # Behind 520 others, many of them not used.
    order = [*front[:520], *back, *front[520:]]
    moved = transformers.RobertaTokenizer(
        vocab={token: number for number, token in enumerate(order)},
        merges=[tuple(merge) for merge in content["merges"]],
        add_prefix_space=True,
    )
    case = Trimmed(tmp_path, "roberta", moved)
    config = json.loads((case.model / "config.json").read_text())

    assert config["pad_token_id"] == 520 and config["vocab_size"] < len(order)
    assert torch.equal(logits(case.model, TRAIN), logits(case.full, TRAIN))


def test_a_model_of_another_family_follows_its_padding_token(trimmed):
    case = trimmed["unigram-plain"]
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (case.full, case.model))

    assert after["pad_token_id"] == case.new_ids[before["pad_token_id"]] < before["pad_token_id"]


def edited(case: Trimmed, folder: Path, name: str, edit: Any) -> Path:
    """A copy of the full model's folder with another content of one of its JSON files."""
    shutil.copytree(case.full, folder)
    content = json.loads((folder / name).read_text())
    edit(content)
    (folder / name).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("tokenizer.json", lambda content: content["model"].update(type="WordLevel"), "kind 'WordLevel'"),
        ("tokenizer.json", lambda content: content["model"].update(novelty=1), "setting 'novelty'"),
        ("tokenizer.json", lambda content: content.update(novelty=1), "entry 'novelty'"),
        ("tokenizer.json", lambda content: content["post_processor"].update(type="New"), "post_processor 'New'"),
        ("tokenizer.json", lambda content: content["model"]["vocab"].update(good=5), "the same id"),
        ("tokenizer.json", lambda content: content["added_tokens"][0].update(id=9), "added_tokens have other ids"),
        ("config.json", lambda content: content.update(eos_token_id=10**6), "token id 1000000"),
        ("config.json", lambda content: content.update(eos_token_id=-1), "'eos_token_id' is -1"),
        ("config.json", lambda content: content.update(suppress_tokens=[3]), "'suppress_tokens'"),
        ("config.json", lambda content: content.update(vocab_size=None), "'vocab_size' is None"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(name, edit, message, trimmed, tmp_path):
    case = trimmed["word-piece"]
    source = edited(case, tmp_path / "model", name, edit)

    with pytest.raises(UserError, match=message):
        trim_vocabulary(source, case.counts, 1, tmp_path / "out")
    assert not (tmp_path / "out" / "tokenizer.json").exists()


def test_ids_in_every_place_get_new_ones(trimmed, tmp_path):
    """Padding, added tokens behind the vocabulary, and a list of ids, in a tokenizer whose ids all move."""
    case = trimmed["unigram-plain"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(case.full)
    tokenizer.add_tokens(["<user>"])
    tokenizer.backend_tokenizer.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    source = trained_tokenizers.save_classifier(tmp_path / "model", "bert", tokenizer)
    config = json.loads((source / "config.json").read_text())
    config |= {"eos_token_id": [tokenizer.sep_token_id, tokenizer.cls_token_id]}
    (source / "config.json").write_text(json.dumps(config))
    settings_file = source / "tokenizer_config.json"
    listed = {str(tokenizer.cls_token_id): {"content": "[CLS]"}}
    settings_file.write_text(json.dumps(json.loads(settings_file.read_text()) | {"added_tokens_decoder": listed}))

    trim_vocabulary(source, case.counts, 1, tmp_path / "out")

    folder = Folder.read(tmp_path / "out")
    new = {token: number for number, token in enumerate(piece for piece, _ in folder.tokenizer["model"]["vocab"])}
    assert folder.tokenizer["padding"]["pad_id"] == new["<pad>"]
    assert folder.tokenizer["model"]["unk_id"] == new["<unk>"]
    assert folder.tokenizer["added_tokens"][-1]["content"] == "<user>"
    assert folder.tokenizer["added_tokens"][-1]["id"] == len(new) == folder.config["vocab_size"] - 1
    assert folder.tokenizer["post_processor"]["special_tokens"]["[SEP]"]["ids"] == [new["[SEP]"]]
    assert folder.config["eos_token_id"] == [new["[SEP]"], new["[CLS]"]]
    assert list(folder.settings["added_tokens_decoder"]) == [str(new["[CLS]"])]


def test_an_unknown_token_that_a_class_fixes_does_not_move(trimmed, tmp_path):
    case = trimmed["unigram-plain"]
    source = edited(
        case,
        tmp_path / "model",
        "tokenizer_config.json",
        lambda content: content.update(tokenizer_class="AlbertTokenizer"),
    )

    with pytest.raises(UserError, match=r"class 'AlbertTokenizer' fixes it"):
        trim_vocabulary(source, case.counts, 1, tmp_path / "out")


def test_the_head_of_a_language_model_is_refused_by_name(tmp_path):
    tokenizer = trained_tokenizers.train("word-piece")
    case = Trimmed(tmp_path, "bert", tokenizer)
    weights = load_file(case.full / WEIGHTS)
    head = {"cls.predictions.bias": torch.zeros(case.record["size_before"])}
    save_file(weights | head, case.full / WEIGHTS, metadata={"format": "pt"})

    with pytest.raises(UserError, match=r"cls\.predictions\.bias has the size of the vocabulary"):
        trim_model(case.full, case.tokenizer_dir, tmp_path / "out")


def test_weights_that_do_not_fit_are_refused(trimmed, tmp_path):
    case = trimmed["word-piece"]
    folder = shutil.copytree(case.full, tmp_path / "model")
    weights = load_file(folder / WEIGHTS)
    name = "bert.embeddings.word_embeddings.weight"

    for changed, message in (
        ({name: weights[name][:-1].clone()}, "rows, but config.json states"),
        ({f"copy.{name}": weights[name].clone()}, "must have one matrix of word embeddings"),
    ):
        save_file(weights | changed, folder / WEIGHTS, metadata={"format": "pt"})
        with pytest.raises(UserError, match=message):
            trim_model(folder, case.tokenizer_dir, tmp_path / "out")
    assert not (tmp_path / "out" / WEIGHTS).exists()


def test_a_model_is_trimmed_only_by_its_own_tokenizer(trimmed, tmp_path):
    with pytest.raises(UserError, match="not the tokenizer that"):
        trim_model(trimmed["unigram-plain"].full, trimmed["word-piece"].tokenizer_dir, tmp_path)
    with pytest.raises(UserError, match="would replace the one it is made of"):
        trim_vocabulary(trimmed["word-piece"].full, {}, 1, trimmed["word-piece"].full)


def test_counts_must_be_of_the_tokenizer(trimmed, tmp_path):
    with pytest.raises(UserError, match="have the id 99999"):
        trim_vocabulary(trimmed["word-piece"].full, {99999: 1}, 1, tmp_path)
    with pytest.raises(UserError, match="minimum_count is 0"):
        trim_vocabulary(trimmed["word-piece"].full, {}, 0, tmp_path)


def test_tokens_that_no_characters_spell_stay(tmp_path):
    """The tiny BERT tokenizer has whole words only."""
    source = tiny.make_model(tmp_path / "model", "bert", 1, labels=2)
    record = trim_vocabulary(source, {}, 1, tmp_path / "out")

    assert record["size_after"] == record["size_before"]
    assert record["kept_for"]["unspelled"] == sum(len(word) > 1 for word in tiny.WORDS)
    assert json.loads((tmp_path / "out" / VOCABULARY).read_text()) == record


def test_the_script_counts_tokens_files(trimmed, tmp_path, step):
    case = trimmed["word-piece"]
    tokens, _ = token_sets.make_tokens(case.full, 8)
    write_tokens(tmp_path / "train.safetensors", tokens)

    files = ("--model-dir", case.full, "--train-tokens", "train.safetensors", "--output-dir", "out")
    step("trim_vocabulary", *files, "--minimum-count", "2", folder=tmp_path)

    record = json.loads((tmp_path / "out" / VOCABULARY).read_text())
    ids, counts = np.unique(tokens.input_ids, return_counts=True)
    assert set(ids[counts >= 2].tolist()) <= set(read_kept(tmp_path / "out"))
    assert record["counted_tokens"] == len(tokens.input_ids) and record["minimum_count"] == 2
    assert set(record["sha256"]) == {"tokenizer.json", "tokenizer_config.json", "config.json", "train.safetensors"}
    verified(tmp_path / "out", ("config.json", "tokenizer.json", "tokenizer_config.json", VOCABULARY))
    # The folder is that of a model, for the step that tokenizes.
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "out")("a good dog")["input_ids"]


def test_ranges_of_consecutive_numbers():
    assert as_ranges([0, 1, 2, 5, 7, 8]) == [range(3), range(5, 6), range(7, 9)]
    assert as_ranges([]) == []
