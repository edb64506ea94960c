"""Tokens as the tokenizer makes them, on disk and back, for every family."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

import tiny
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.engine import tokens as tokens_module
from shallower.engine.tokens import (
    TokenSet,
    each_text_by_itself,
    read_tokens,
    text_figures,
    tokenize,
    with_unlabelled,
    write_tokens,
)
from shallower.models.families import FAMILIES, family_of, position_limit

VOCABULARY = 10_000

TEXTS = ["the good man", "a bad dog in the old house .", "one", "she had a clear and happy day , he had not"]
OTHERS = ["a very long walk on the hill by the sea", "cat", "two three four", "snow and wind"]


@pytest.fixture(scope="module", params=[family for family in tiny.FAMILIES if FAMILIES[family].has_cls_token])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return tiny.make_tokenizer(request.param)


@pytest.fixture(scope="module")
def bert() -> Any:
    return tiny.make_tokenizer("bert")


def table(pair: bool = False, labels: list[float] | None = None) -> pa.Table:
    pairs = {"text_pair": OTHERS} if pair else {}
    return pa.table({"id": [3, 5, 8, 13], "text": TEXTS, **pairs, "label": labels or [0, 1, 1, 0]})


def example(tokens: TokenSet, index: int) -> list[int]:
    return tokens.input_ids[tokens.offsets[index] : tokens.offsets[index + 1]].tolist()


def types(tokens: TokenSet, index: int) -> list[int]:
    assert tokens.token_type_ids is not None
    return tokens.token_type_ids[tokens.offsets[index] : tokens.offsets[index + 1]].tolist()


@pytest.mark.parametrize("pair", [False, True])
def test_each_example_is_what_the_tokenizer_makes_of_it(tokenizer: Any, pair: bool) -> None:
    tokens = tokenize(table(pair), tokenizer, 64, VOCABULARY)
    for index, texts in enumerate(zip(TEXTS, OTHERS, strict=True) if pair else zip(TEXTS, strict=True)):
        single = tokenizer(*texts, return_token_type_ids=True)
        assert example(tokens, index) == single["input_ids"]
        if tokens.token_type_ids is None:
            assert set(single["token_type_ids"]) == {0}
        else:
            assert types(tokens, index) == single["token_type_ids"]
    assert tokens.truncated == 0
    assert tokens.ids.tolist() == [3, 5, 8, 13]
    assert tokens.labels.tolist() == [0, 1, 1, 0]


def test_a_model_of_one_token_type_gets_type_0(bert: Any, caplog: pytest.LogCaptureFixture) -> None:
    """RoBERTa with a tokenizer of BERT's kind, on two texts."""
    usual, single = tokenize(table(pair=True), bert, 64, VOCABULARY), tokenize(table(), bert, 64, VOCABULARY)
    assert 1 in types(usual, 0)
    tokens = tokenize(table(pair=True), bert, 64, VOCABULARY, num_token_types=1)
    assert tokens.token_type_ids is None
    assert (tokens.input_ids == usual.input_ids).all()
    assert "all are of type 0" in caplog.text
    caplog.clear()
    same = tokenize(table(pair=True), bert, 64, VOCABULARY, num_token_types=2)
    assert (same.token_type_ids == usual.token_type_ids).all()
    assert tokenize(table(), bert, 64, VOCABULARY, num_token_types=1).token_type_ids is single.token_type_ids is None
    assert not caplog.text


def test_token_types_beyond_the_models_are_an_error() -> None:
    xlnet = tiny.make_tokenizer("xlnet")  # [CLS] is of type 2
    with pytest.raises(UserError, match=r"gives tokens the type 2, but the model has 2 token types \(type_vocab_size"):
        tokenize(table(pair=True), xlnet, 64, VOCABULARY, num_token_types=2)


@pytest.mark.parametrize(
    "config, number",
    [
        ({"model_type": "bert"}, 2),
        ({"model_type": "roberta", "type_vocab_size": 1}, 1),
        ({"model_type": "xlnet", "type_vocab_size": 2}, None),
        ({"model_type": "distilbert"}, None),
        ({"model_type": "albert", "type_vocab_size": 4}, 4),
    ],
)
def test_token_types_of_a_model(config: dict[str, Any], number: int | None) -> None:
    assert family_of(config).num_token_types(config) == number


@pytest.mark.parametrize("pair", [False, True])
def test_long_inputs_are_cut_and_counted(tokenizer: Any, pair: bool) -> None:
    whole = np.diff(tokenize(table(pair), tokenizer, 64, VOCABULARY).offsets)
    tokens = tokenize(table(pair), tokenizer, 9, VOCABULARY)
    assert np.diff(tokens.offsets).tolist() == np.minimum(whole, 9).tolist()
    assert tokens.truncated == sum(whole > 9) > 0
    special = tokenizer.num_special_tokens_to_add(pair)
    assert all(len(set(example(tokens, index)) & set(tokenizer.all_special_ids)) > 0 for index in range(4))
    assert tokenizer.cls_token_id in example(tokens, int(np.argmax(whole))), "special tokens survive the cut"
    assert special < 9


def test_long_texts_are_tokenized_few_at_a_time(bert: Any) -> None:
    """A tokenizer makes tokens of all of a text before it cuts it: of 1,000 texts of 80 KB it would be gigabytes."""
    sizes = []

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(bert, name)

        def __call__(self, *texts: list[str], **settings: Any) -> Any:
            sizes.append([len(text) for column in texts for text in column])
            return bert(*texts, **settings)

    texts = [*TEXTS, *(100 * "dog cat " for _ in range(6)), *TEXTS]
    rows = len(texts)
    content = {"id": [*range(rows)], "text": texts, "label": rows * [0]}
    short, paired = pa.table(content), pa.table({**content, "text_pair": texts[::-1]})
    for examples in (short, paired):
        expected = tokenize(examples, bert, 16, VOCABULARY)
        sizes.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tokens_module, "TEXT_BYTES", 1700)
            found = tokenize(examples, Spy(), 16, VOCABULARY)
        assert all(sum(call) <= 1700 for call in sizes)
        assert 2 < len(sizes) < rows, "short texts go together"
        assert (found.input_ids == expected.input_ids).all()
        assert (found.offsets == expected.offsets).all()
        assert found.truncated == expected.truncated > 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens_module, "TEXT_BYTES", 10)
        assert (
            tokenize(short, bert, 16, VOCABULARY).input_ids == tokenize(short, Spy(), 16, VOCABULARY).input_ids
        ).all()


def test_unknown_tokens_are_counted_among_those_of_the_texts(bert: Any) -> None:
    texts = ["the good man", "The Good dog", "zzz [UNK] the"]
    examples = pa.table({"id": [0, 1, 2], "text": texts, "label": [0, 1, 0]})
    cased = tiny.make_tokenizer("bert")
    cased.backend_tokenizer.normalizer = None
    figures = text_figures(tokenize(examples, cased, 64, VOCABULARY))
    assert figures == {"texts": 3, "tokens": 9, "unknown_tokens": 4, "cut_texts": 0}
    assert text_figures(tokenize(examples, bert, 4, VOCABULARY)) == {
        "texts": 3,
        "tokens": 6,
        "unknown_tokens": 2,
        "cut_texts": 3,
    }


def test_bytes_are_never_unknown() -> None:
    examples = pa.table({"id": [0], "text": ["Žluťoučký kůň \U0001f40e"], "label": [0]})
    roberta = tiny.make_tokenizer("roberta")
    assert text_figures(tokenize(examples, roberta, 64, VOCABULARY))["unknown_tokens"] == 0
    roberta.unk_token = None
    assert text_figures(tokenize(examples, roberta, 64, VOCABULARY))["unknown_tokens"] is None


def test_the_longer_text_loses_its_end(bert: Any) -> None:
    long, short = "the good man has an old and large house by the sea", "one dog"
    one = pa.table({"id": [0], "text": [long], "text_pair": [short], "label": [0]})
    tokens = tokenize(one, bert, 9, VOCABULARY)
    words = bert.convert_ids_to_tokens(example(tokens, 0))
    assert words == ["[CLS]", "the", "good", "man", "has", "[SEP]", "one", "dog", "[SEP]"]


def test_padding_is_described(tokenizer: Any) -> None:
    tokens = tokenize(table(), tokenizer, 64, VOCABULARY)
    assert tokens.padding_side == tokenizer.padding_side
    assert tokens.pad_token_id == tokenizer.pad_token_id
    assert tokens.cls_token_id == tokenizer.cls_token_id
    assert (example(tokens, 0).index(tokens.cls_token_id) == 0) == (tokens.padding_side == "right")


def test_types_and_shapes(bert: Any) -> None:
    tokens = tokenize(table(pair=True), bert, 64, VOCABULARY)
    assert tokens.input_ids.dtype == np.int32
    assert tokens.token_type_ids is not None
    assert tokens.token_type_ids.dtype == np.int8
    assert (tokens.offsets.dtype, tokens.ids.dtype, tokens.labels.dtype) == (np.int64, np.int64, np.int64)
    assert tokens.offsets[0] == 0
    assert tokens.offsets[-1] == len(tokens.input_ids) == len(tokens.token_type_ids)
    scores = tokenize(table(labels=[0.5, 1.5, 2.5, 3.5]), bert, 64, VOCABULARY).labels
    assert scores.dtype == np.float32
    assert scores == pytest.approx([0.5, 1.5, 2.5, 3.5])


def test_many_examples_in_several_chunks(bert: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = tokenize(table(pair=True), bert, 9, VOCABULARY)
    monkeypatch.setattr("shallower.engine.tokens.CHUNK", 3)
    halves = [table(pair=True).slice(0, 2), table(pair=True).slice(2)]
    in_chunks = tokenize(pa.concat_tables(halves), bert, 9, VOCABULARY)
    np.testing.assert_equal(vars(in_chunks), vars(at_once))


@pytest.mark.parametrize("pair", [False, True])
def test_there_and_back(tokenizer: Any, pair: bool, tmp_path: Path) -> None:
    tokens = tokenize(table(pair), tokenizer, 9, VOCABULARY)
    write_tokens(tmp_path / "a.safetensors", tokens)
    again = read_tokens(tmp_path / "a.safetensors")
    np.testing.assert_equal(vars(again), vars(tokens))
    assert {type(value) for value in vars(again).values()} <= {np.ndarray, int, str, dict, type(None)}


def test_the_same_tokens_give_the_same_bytes(bert: Any, tmp_path: Path) -> None:
    tokens = tokenize(table(pair=True), bert, 9, VOCABULARY)
    for name in range(10):
        write_tokens(tmp_path / f"{name}.safetensors", tokens)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


# --- what is refused -----------------------------------------------------------------------------------------------


def test_a_tokenizer_of_another_model(bert: Any) -> None:
    highest = int(tokenize(table(), bert, 64, VOCABULARY).input_ids.max())
    tokenize(table(), bert, 64, vocab_size=highest + 1)
    with pytest.raises(UserError, match=rf"token id {highest} is outside the model's vocabulary \({highest} tokens\)"):
        tokenize(table(), bert, 64, vocab_size=highest)


def test_more_tokens_than_positions(bert: Any) -> None:
    longest = int(np.diff(tokenize(table(), bert, 64, VOCABULARY).offsets).max())
    tokenize(table(), bert, 64, VOCABULARY, position_limit=longest)
    with pytest.raises(UserError, match=f"set max_length to {longest - 1} or less"):
        tokenize(table(), bert, 64, VOCABULARY, position_limit=longest - 1)


@pytest.mark.parametrize("pair", [False, True])
def test_too_short_for_anything(tokenizer: Any, pair: bool) -> None:
    least = tokenizer.num_special_tokens_to_add(pair) + 1 + pair
    assert max(np.diff(tokenize(table(pair), tokenizer, least, VOCABULARY).offsets)) == least
    with pytest.raises(UserError, match=f"max_length is {least - 1}; .* at least {least}"):
        tokenize(table(pair), tokenizer, least - 1, VOCABULARY)


@pytest.mark.parametrize("pair", [False, True])
def test_texts_of_no_tokens(bert: Any, pair: bool) -> None:
    some = table(pair)
    # The tokenizer drops a character of no script that it knows, such as one of private use.
    texts = [*TEXTS[:2], "\ue000", ""]
    others = [OTHERS[0], "\ue000", "\ue000", ""]
    some = some.set_column(1, "text", pa.array(texts))
    if pair:
        some = some.set_column(2, "text_pair", pa.array(others))
    with pytest.raises(UserError, match=r"^train\.csv: no token is left of the text in row 9, 14: .* remove such rows"):
        tokenize(some, bert, 64, VOCABULARY, place="train.csv")


def test_a_tokenizer_without_padding() -> None:
    tokenizer = tiny.make_tokenizer("bert")
    tokenizer.pad_token = None
    with pytest.raises(UserError, match="no pad_token"):
        tokenize(table(), tokenizer, 64, VOCABULARY)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_positions_of_each_family(family: str) -> None:
    tokenizer = tiny.make_tokenizer(family)
    config = tiny.make_config(family, 2, tokenizer).to_dict()
    assert position_limit(config) == (None if family == "xlnet" else tiny.MAX_LENGTH)


def test_files_that_hold_no_tokens(bert: Any, tmp_path: Path) -> None:
    tokens = tokenize(table(), bert, 64, VOCABULARY)
    path = tmp_path / "a.safetensors"
    write_tokens(path, tokens)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="not a tokens file"):
        read_tokens(path)
    with pytest.raises(UserError, match=r"absent\.safetensors: file not found"):
        read_tokens(tmp_path / "absent.safetensors")
    save_file({"input_ids": tokens.input_ids}, path, {"format": "pt"})
    with pytest.raises(UserError, match="not a tokens file"):
        read_tokens(path)


def test_a_text_of_a_collection_that_has_no_tokens_is_named(bert: Any) -> None:
    collection = pa.table({
        "id": [0, 1, 2], "name": ["q1", "d1", "d2"], "text": ["a dog", "\ue000", "rain"],
        "documents": [[1], [], []], "label": [[1.0], [], []],
    })  # fmt: skip
    texts, _ = each_text_by_itself(collection)
    with pytest.raises(UserError, match=r"^queries\.csv and corpus\.csv: no token is left of the text 'd1': .*remove"):
        tokenize(texts, bert, 64, VOCABULARY, place="queries.csv and corpus.csv")


@pytest.mark.parametrize(
    ("originals", "named"),
    [
        ({"train": "my.csv", "validation": "other.csv"}, "my.csv"),
        ({"train 1": "a.csv", "train 2": "b.csv", "validation": "other.csv"}, "a.csv and b.csv"),
        ({"data": "all.csv", "test": "test.csv"}, "all.csv"),
        (
            {"queries": "q.jsonl", "corpus 1": "c.jsonl", "corpus 2": "d.jsonl", "qrels": "r.tsv"},
            "c.jsonl, d.jsonl and q.jsonl",
        ),
    ],
)
def test_a_row_without_tokens_is_one_of_the_file_that_it_was_read_from(
    tmp_path: Path, step, bert: Any, originals: dict[str, str], named: str
) -> None:
    bert.save_pretrained(tmp_path / "model")
    tiny.make_config("bert", 2, bert).save_pretrained(tmp_path / "model")
    (tmp_path / "task").mkdir()
    file = tmp_path / "task/train.parquet"
    pq.write_table(table().set_column(1, "text", pa.array([*TEXTS[:3], "\ue000"])), file)
    read_from = {key: {"file": name} for key, name in originals.items()}
    write_json(file.with_name("manifest.json"), {"originals": read_from, "sha256": {file.name: sha256_of(file)}})
    folders = ("--model-dir", "model", "--task-dir", "task", "--output-dir", "out")
    done = step("tokenize_task", *folders, "--max-length", "12", "--splits", "train", folder=tmp_path, status=1)
    assert f"{named}: no token is left of the text in row 14" in done.stderr


def test_the_script(tmp_path: Path, step) -> None:
    model = tmp_path / "model"
    tokenizer = tiny.make_tokenizer("xlnet")
    tokenizer.save_pretrained(model)
    tiny.make_config("xlnet", 2, tokenizer).save_pretrained(model)
    for split in ("train", "validation"):
        (tmp_path / "task").mkdir(exist_ok=True)
        pq.write_table(table(pair=True), tmp_path / "task" / f"{split}.parquet")
    folders = ("--model-dir", model, "--task-dir", "task", "--output-dir", "out")
    done = step("tokenize_task", *folders, "--max-length", "12", folder=tmp_path)
    expected = tokenize(table(pair=True), tokenizer, 12, VOCABULARY)
    for split in ("train", "validation"):
        tokens = read_tokens(tmp_path / "out" / f"{split}.safetensors")
        assert tokens.input_ids.tolist() == expected.input_ids.tolist()
        assert tokens.padding_side == "left"
        assert tokens.max_length == 12
        assert tokens.truncated == expected.truncated > 0
        assert read_json(tmp_path / "out" / "texts.json")[split] == text_figures(expected)
        assert f"{split}: 4 examples" in done.stderr
        assert "(75.0 %) cut to 12 tokens, 0.00 % of the tokens unknown" in done.stderr


# --- texts without labels ------------------------------------------------------------------------------------------


def test_texts_without_labels_have_none(tokenizer: Any, tmp_path: Path) -> None:
    tokens = tokenize(table().drop_columns("label"), tokenizer, 64, VOCABULARY)
    assert np.isnan(tokens.labels).all()
    assert np.array_equal(tokens.input_ids, tokenize(table(), tokenizer, 64, VOCABULARY).input_ids)
    write_tokens(tmp_path / "tokens", tokens)
    assert np.isnan(read_tokens(tmp_path / "tokens").labels).all()


@pytest.mark.parametrize("labels", [None, [0.5, 1.5, 2.5, 3.5]])
@pytest.mark.parametrize("pair", [False, True])
def test_texts_without_labels_follow_those_with_labels(tokenizer: Any, pair: bool, labels: list[float] | None) -> None:
    labelled = tokenize(table(pair, labels), tokenizer, 64, VOCABULARY)
    others = tokenize(table(pair).drop_columns("label")[1:3], tokenizer, 64, VOCABULARY)
    both = with_unlabelled(labelled, others)
    assert [example(both, index) for index in range(6)] == [
        *(example(labelled, index) for index in range(4)),
        *(example(others, index) for index in range(2)),
    ]
    types_of_both = with_unlabelled(labelled, replace(others, token_type_ids=None)).token_type_ids
    if labelled.token_type_ids is None:
        assert both.token_type_ids is None
        assert types_of_both is None
    else:
        assert np.array_equal(both.token_type_ids, np.concatenate([labelled.token_type_ids, others.token_type_ids]))
        # A file holds no token types where all are 0.
        assert np.array_equal(types_of_both, np.concatenate([labelled.token_type_ids, 0 * others.input_ids]))
    assert both.ids.tolist() == [3, 5, 8, 13, -6, -9]
    assert both.labels.dtype == labelled.labels.dtype
    assert np.array_equal(both.labels[:4], labelled.labels)
    assert np.array_equal(both.labels[4:], [np.nan] * 2 if labels else [-1] * 2, equal_nan=True)
    assert both.made_from == labelled.made_from


def test_tokens_of_another_kind_are_not_joined(bert: Any) -> None:
    short = tokenize(table().drop_columns("label"), bert, 8, VOCABULARY)
    with pytest.raises(UserError, match="tokens with and without labels differ in max_length; delete the folder"):
        with_unlabelled(tokenize(table(), bert, 64, VOCABULARY), short)


def test_groups_of_examples_are_kept(bert: Any, tmp_path: Path) -> None:
    grouped = table().append_column("group", pa.array([4, 9, 4, 4], pa.int64()))
    write_tokens(tmp_path / "a.safetensors", tokenize(grouped, bert, 64, VOCABULARY))
    tokens = read_tokens(tmp_path / "a.safetensors")
    assert tokens.groups is not None
    assert tokens.groups.tolist() == [4, 9, 4, 4]
    assert with_unlabelled(tokens, tokens).groups is None
    assert tokenize(table(), bert, 64, VOCABULARY).groups is None
