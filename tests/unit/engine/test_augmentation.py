"""Texts that are made from the training texts for a teacher to answer."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from transformers import AutoTokenizer

import tiny
from shallower.core.errors import UserError
from shallower.engine.augmentation import LONGEST_SEGMENT, Texts, augment, special_ids, stand_in
from shallower.engine.tokens import TokenSet, read_tokens, with_unlabelled, write_tokens
from token_sets import make_tokens

PAD, CLS, SEP, MASK = 0, 1, 2, 3
SPECIAL = {PAD, CLS, SEP}


def token_set(*examples: list[int], ids: list[int] | None = None, types: bool = False) -> TokenSet:
    flat = np.concatenate(examples).astype(np.int32)
    return TokenSet(
        input_ids=flat,
        token_type_ids=(flat % 2).astype(np.int8) if types else None,
        offsets=np.cumsum([0, *map(len, examples)]).astype(np.int64),
        labels=np.zeros(len(examples), np.int64),
        ids=np.array(ids or range(len(examples)), np.int64),
        max_length=100,
        padding_side="right",
        pad_token_id=PAD,
        pad_token_type_id=0,
        cls_token_id=CLS,
        truncated=1,
        special=2,
        unknown=0,
    )


def single(*words: int) -> list[int]:
    return [CLS, *words, SEP]


def made(tokens: TokenSet, copies: int, mask: float, segment: float) -> TokenSet:
    return augment(tokens, copies, mask, segment, MASK, SPECIAL)


def examples(tokens: TokenSet) -> list[list[int]]:
    return [part.tolist() for part in np.split(tokens.input_ids, tokens.offsets[1:-1])]


def long_texts(number: int, length: int) -> TokenSet:
    """Texts all of whose tokens differ."""
    words = np.arange(10, 10 + number * length).reshape(number, length)
    return token_set(*(single(*text) for text in words.tolist()))


def test_masked_tokens_are_replaced_at_their_places_by_their_share():
    tokens = long_texts(100, length=200)
    found = made(tokens, 3, mask=0.1, segment=0)
    assert len(found.ids) == 300
    sources = np.array(examples(tokens))[found.ids // 3]
    copies = np.array(examples(found))
    masked = copies == MASK
    assert np.array_equal(copies[~masked], sources[~masked])
    assert not masked[:, [0, -1]].any()
    # Of 60,000 tokens; four standard deviations are 0.0049.
    assert masked[:, 1:-1].mean() == pytest.approx(0.1, abs=0.005)


def test_segments_are_of_one_to_five_tokens_that_follow_each_other():
    tokens = long_texts(2000, length=12)
    found = made(tokens, 1, mask=0, segment=0.25)
    # Those that are not cut repeat their example; 500 of 2,000, and four standard deviations are 77.
    assert len(found.ids) == pytest.approx(500, abs=78)
    lengths, first_places = Counter(), Counter()
    for index, ids in zip(found.ids, examples(found), strict=True):
        assert (ids[0], ids[-1]) == (CLS, SEP)
        assert np.array_equal(np.diff(ids[1:-1]), np.ones(len(ids) - 3))
        first = 10 + 12 * index
        assert first <= ids[1] <= ids[-2] < first + 12
        lengths[len(ids) - 2] += 1
        first_places[ids[1] - first] += 1
    assert set(lengths) == set(range(1, LONGEST_SEGMENT + 1))
    assert min(lengths.values()) > 60  # a hundred each, and four standard deviations are 36
    assert set(first_places) == set(range(12))


def test_short_texts_are_cut_to_no_less_than_a_token():
    found = made(token_set(*(single(10 + 2 * n, 11 + 2 * n) for n in range(100))), 4, mask=0, segment=1)
    assert {len(ids) for ids in examples(found)} == {3}  # with two tokens a copy would be the example itself
    assert len({tuple(ids) for ids in examples(found)}) == len(found.ids) <= 200


@pytest.mark.parametrize("form", ["bert", "roberta", "xlnet"])
def test_of_pairs_first_one_text_is_changed_then_the_other_then_both(form):
    def pair(first: list[int], second: list[int]) -> list[int]:
        match form:
            case "bert":
                return [CLS, *first, SEP, *second, SEP]
            case "roberta":
                return [CLS, *first, SEP, SEP, *second, SEP]
        return [*first, SEP, *second, SEP, CLS]

    words = np.arange(10, 10 + 50 * 60).reshape(50, 2, 30).tolist()
    tokens = token_set(*(pair(*texts) for texts in words))
    found = made(tokens, 3, mask=0.5, segment=0)
    assert len(found.ids) == 150
    for index, ids in zip(found.ids, examples(found), strict=True):
        first, second = words[index // 3]
        source = np.array(pair(first, second))
        changed = source[np.array(ids) != source]
        is_changed = (bool(np.isin(first, changed).any()), bool(np.isin(second, changed).any()))
        assert is_changed == [(True, False), (False, True), (True, True)][index % 3]


def test_repeats_are_left_out_and_ids_lead_back():
    # A single token, masked or not; and the text of another example.
    tokens = token_set(single(10), single(11), single(MASK), single(10, 12), ids=[5, 7, 20, 30])
    found = made(tokens, 4, mask=0.5, segment=1)
    assert len({tuple(ids) for ids in examples(found)} | {tuple(ids) for ids in examples(tokens)}) == (
        len(found.ids) + len(tokens.ids)
    )
    assert set(found.ids // 4) <= {5, 7, 20, 30}
    with pytest.raises(UserError, match="every text that is made repeats another; raise mask or segment"):
        made(token_set(single(10)), 4, mask=0, segment=0.5)


def test_the_same_texts_are_made_each_time_and_go_with_the_examples():
    tokens = token_set(*(single(*range(start, start + 8)) for start in range(10, 90, 8)), types=True)
    found, again = made(tokens, 2, 0.3, 0.3), made(tokens, 2, 0.3, 0.3)
    assert all(np.array_equal(getattr(found, name), getattr(again, name)) for name in ("input_ids", "offsets", "ids"))
    is_kept = found.input_ids != MASK
    assert np.array_equal(found.token_type_ids[is_kept], found.input_ids[is_kept] % 2)
    assert np.isnan(found.labels).all()
    both = with_unlabelled(tokens, found)
    assert len(both.ids) == len(set(both.ids)) == 10 + len(found.ids)
    assert both.truncated == 1


def test_the_step_says_what_its_texts_were_made_of(tmp_path, step):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "xlnet"), 20, pair=True)
    write_tokens(tmp_path / "train.safetensors", tokens)
    files = ("--model-dir", ".", "--tokens", "train.safetensors", "--output", "augmented.safetensors")
    settings = {"copies": 3, "mask": 0.2, "segment": 0.3}
    step("augment_tokens", *files, "--settings", json.dumps(settings), folder=tmp_path)
    found, mask = read_tokens(tmp_path / "augmented.safetensors"), AutoTokenizer.from_pretrained(tmp_path).mask_token_id
    assert {"train.safetensors", "tokenizer.json"} <= set(found.made_from["sha256"])
    assert found.made_from["augment"] == settings | {"seed": 0, "stand_in": "<mask>", "texts": len(found.ids)}
    assert (found.input_ids == mask).any()
    assert all(ids[-1] == tokens.cls_token_id for ids in examples(found))


@pytest.mark.parametrize(
    ("mask", "vocab_size", "expected"),
    [(4, 10, ("[MASK]", 4)), (None, 10, ("[UNK]", 1)), (10, 10, ("[UNK]", 1)), (0, 10, ("[MASK]", 0))],
)
def test_where_a_model_has_no_mask_token_the_unknown_one_stands_in(mask, vocab_size, expected):
    tokenizer = SimpleNamespace(
        mask_token="[MASK]",
        mask_token_id=mask,
        unk_token="[UNK]",
        unk_token_id=1,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    assert stand_in(tokenizer, vocab_size, "model") == expected
    with pytest.raises(UserError, match=r"^model: the tokenizer has neither a mask token nor an unknown one"):
        stand_in(SimpleNamespace(**vars(tokenizer) | {"mask_token_id": None, "unk_token_id": None}), 10, "model")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_what_stands_around_texts_is_no_text(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 5, pair=True)
    ids = special_ids(AutoTokenizer.from_pretrained(tmp_path))
    assert (~np.isin(tokens.input_ids, list(ids))).sum() == len(tokens.input_ids) - 5 * tokens.special
    # Without a token between them two texts are one.
    assert Texts.of(tokens, ids).of_example.tolist() == ([2] * 10 if tokens.special else [1] * 5)
