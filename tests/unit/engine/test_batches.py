"""Batches: every example once, hardly any padding, an order that depends on seed and epoch only."""

from dataclasses import replace

import numpy as np
import pytest

from shallower.engine.batches import evaluation_batches, make_batch, training_batches
from shallower.engine.tokens import TokenSet


def token_set(lengths: list[int], side: str = "right", types: bool = True) -> TokenSet:
    """Example i has the tokens 100 i + 1, 100 i + 2, ... and token type 1."""
    ids = [100 * example + position + 1 for example, length in enumerate(lengths) for position in range(length)]
    return TokenSet(
        input_ids=np.array(ids, np.int32),
        token_type_ids=np.ones(len(ids), np.int8) if types else None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        labels=np.arange(len(lengths), dtype=np.int64),
        ids=np.arange(len(lengths), dtype=np.int64),
        max_length=64,
        padding_side=side,
        pad_token_id=7,
        pad_token_type_id=3,
        cls_token_id=1,
        truncated=0,
    )


LENGTHS = np.random.default_rng(0).integers(3, 60, size=1003)


def test_an_epoch_has_every_example_once_in_full_batches_but_one():
    batches = training_batches(LENGTHS, 8, seed=1, epoch=0)
    assert sorted(np.concatenate(batches)) == list(range(1003))
    assert sorted(len(batch) for batch in batches) == [3] + [8] * 125


def test_the_order_depends_on_seed_and_epoch_only():
    def order(seed, epoch):
        return np.concatenate(training_batches(LENGTHS, 8, seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(2, 0)
    assert order(1, 0) != order(1, 1)


def test_batches_are_not_sorted_by_length_but_their_examples_are_alike():
    batches = training_batches(LENGTHS, 8, seed=1, epoch=0)
    longest = np.array([LENGTHS[batch].max() for batch in batches])
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3
    padded = sum(LENGTHS[batch].max() * len(batch) for batch in batches)
    assert padded < 1.05 * LENGTHS.sum()


@pytest.mark.parametrize("budget", [1, 100, 1000, 10**6])
def test_evaluation_batches_hold_every_example_once_within_the_budget(budget):
    batches = evaluation_batches(LENGTHS, budget)
    assert sorted(np.concatenate(batches)) == list(range(1003))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * LENGTHS[batch].max() <= budget


def test_padding_on_the_right():
    batch = make_batch(token_set([2, 4, 1]), np.array([1, 0]))
    assert batch.input_ids.tolist() == [[101, 102, 103, 104], [1, 2, 7, 7]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.token_type_ids.tolist() == [[1, 1, 1, 1], [1, 1, 3, 3]]
    assert batch.labels.tolist() == [1, 0]


def test_padding_on_the_left():
    batch = make_batch(token_set([2, 4, 1], side="left", types=False), np.array([2, 0, 1]))
    assert batch.input_ids.tolist() == [[7, 7, 7, 201], [7, 7, 1, 2], [101, 102, 103, 104]]
    assert batch.attention_mask.tolist() == [[0, 0, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]]
    assert batch.token_type_ids is None


def test_no_mask_without_padding():
    assert make_batch(token_set([3, 3, 5]), np.array([0, 1])).attention_mask is None


@pytest.mark.parametrize("side", ["right", "left"])
def test_words_of_an_example_that_is_there_twice(side):
    """As where a cost is measured with larger batches than there are examples."""
    tokens = replace(token_set([3, 2], side), places=np.array([0, 2, 4]), labels=np.arange(3))
    batch = make_batch(tokens, np.array([0, 1, 0]))
    members, places = batch.places
    assert members.tolist() == [0, 0, 1, 2, 2]
    assert batch.input_ids[members, places].tolist() == [1, 3, 102, 1, 3]
