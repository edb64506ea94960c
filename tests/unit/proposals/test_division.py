"""Rows are divided by shares and strata, and no text is in two splits."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shallower.core.errors import UserError
from shallower.proposals import division
from shallower.proposals.division import compared, divide

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def texts(count):
    return [compared([f"text {row}"]) for row in range(count)]


def labels_of(found, labels):
    return {split: Counter(labels[row] for row in rows) for split, rows in found.rows.items()}


def test_each_split_has_its_share_of_each_class():
    labels = ["a"] * 700 + ["b"] * 200 + ["c"] * 100
    found = divide(texts(1000), labels, SHARES, seed=1)
    assert labels_of(found, labels) == {
        "train": {"a": 560, "b": 160, "c": 80},
        "validation": {"a": 70, "b": 20, "c": 10},
        "test": {"a": 70, "b": 20, "c": 10},
    }


def test_what_rounding_takes_from_a_split_is_given_back():
    # Five of each class: rounding each by itself would give validation and test either nothing or a fifth.
    labels = [row // 5 for row in range(500)]
    found = divide(texts(500), labels, SHARES, seed=1)
    assert {split: len(rows) for split, rows in found.rows.items()} == {"train": 300, "validation": 100, "test": 100}
    labels = [row // 25 for row in range(500)]
    found = divide(texts(500), labels, SHARES, seed=1)
    assert {split: len(rows) for split, rows in found.rows.items()} == {"train": 400, "validation": 50, "test": 50}


def test_rare_classes_are_trained_on_first():
    labels = ["a"] * 98 + ["b", "c", "c"]
    found = divide(texts(101), labels, SHARES, seed=1)
    assert found.rows["train"].tolist().count(98) == 1
    assert Counter(split for split, rows in found.rows.items() for row in rows if row > 98) == {
        "train": 1,
        "validation": 1,
    }
    assert set(found.small) == {"b", "c"}


def test_another_seed_divides_in_another_way():
    labels = [row % 2 for row in range(100)]
    one, same, other = (divide(texts(100), labels, SHARES, seed).rows["test"].tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_few_examples_of_much_data_are_put_aside():
    found = divide(texts(1000), [row % 2 for row in range(1000)], SHARES, seed=1, most_held_out=20)
    assert {split: len(rows) for split, rows in found.rows.items()} == {"train": 960, "validation": 20, "test": 20}


def test_texts_are_the_same_whatever_their_case_blanks_and_order():
    assert compared(["A  b\n", "c"]) == compared(["C", "a b"]) != compared(["a b"])


def test_texts_of_a_given_split_are_left_out():
    found = divide(texts(50), [0] * 50, {"train": 0.9, "validation": 0.1}, seed=1, taken=texts(10))
    assert found.known == 10
    assert min(min(rows) for rows in found.rows.values()) == 10
    with pytest.raises(UserError, match=r"has 10 different texts to divide into train, validation; at least 20"):
        divide(texts(50), [0] * 50, {"train": 0.9, "validation": 0.1}, seed=1, taken=texts(40))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 80), min_size=100, max_size=300), st.integers(0, 5))
def test_no_text_is_in_two_splits_and_no_row_is_lost(numbers, seed):
    keys, labels = [compared([f"text {number}"]) for number in numbers], [number % 7 // 3 for number in numbers]
    assume(len({*keys}) >= division.FEWEST_TEXTS)
    found = divide(keys, labels, SHARES, seed)
    assert sorted(np.concatenate([*found.rows.values()]).tolist()) == list(range(len(numbers)))
    assert sum(len({keys[row] for row in rows}) for rows in found.rows.values()) == len({*keys})
    assert (found.repeats, found.contradictions) == (len(numbers) - len({*keys}), 0)
    of_each = labels_of(found, labels)
    assert {*of_each["validation"]} | {*of_each["test"]} <= {*of_each["train"]}


def test_a_text_with_several_labels_is_counted_once_and_stays_together():
    keys = [*texts(40), *texts(2)]
    found = divide(keys, ["a", "b"] * 20 + ["b", "b"], SHARES, seed=1)
    assert (found.repeats, found.contradictions) == (2, 1)
