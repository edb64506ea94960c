"""Slices of a table: plain draws where these hold the classes, with rows of the missing classes where they do not."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import fuzz
from shallower.core.errors import UserError
from shallower.sources.slices import (
    SLICE_SEED,
    check_calibration,
    check_classes,
    classes_of,
    drawn,
    held_out,
    shuffled,
)


def table_of(labels: list[int]) -> pa.Table:
    return pa.table({"id": range(len(labels)), "label": labels})


def plain(table: pa.Table, size: int) -> list[int]:
    """The rows that were always drawn."""
    return sorted(np.random.default_rng(SLICE_SEED).permutation(len(table))[:size].tolist())


@pytest.mark.parametrize("size", [2, 10, 37, 60])
def test_a_draw_that_has_the_classes_stays_as_it_was(size: int) -> None:
    table = table_of([0, 1] * 30)
    rows = plain(table, size)
    present = {row % 2 for row in rows}
    assert drawn(table, shuffled(table), size, present if len(present) > 1 else None)["id"].to_pylist() == rows
    # A class that the validation split does not have may be missing, too.
    rare = table_of([2, *[0, 1] * 30])
    assert drawn(rare, shuffled(rare), 20, {0, 1})["id"].to_pylist() == plain(rare, 20)


def test_missing_classes_come_in_for_the_last_rows_of_the_draw() -> None:
    table = table_of([number % 150 for number in range(1500)])
    rows = drawn(table, shuffled(table), 300, set(range(150)))
    assert classes_of(rows) == set(range(150))
    assert len(rows) == 300
    assert rows["id"].to_pylist() == sorted(rows["id"].to_pylist())
    before = plain(table, 300)
    missing = 150 - len({row % 150 for row in before})
    assert missing > 0
    assert len({*before} & {*rows["id"].to_pylist()}) == 300 - missing


def test_a_slice_of_sentences_gets_the_tags_that_it_lacks() -> None:
    tags = [[0, 1, 0]] * 300
    for row, rare in enumerate(range(2, 50)):
        tags[row] = [0, rare]
    table = pa.table({"id": range(300), "label": tags})
    before = drawn(table, shuffled(table), 60, None)
    assert len(classes_of(before, of_words=True)) < 20
    assert drawn(table, shuffled(table), 60, {0, 1}, of_words=True)["id"] == before["id"]
    needed = {0, 1, *range(2, 40)}
    found = drawn(table, shuffled(table), 60, needed, of_words=True)
    assert needed <= classes_of(found, of_words=True) and len(found) == 60
    few = drawn(table, shuffled(table), 20, needed, of_words=True)
    with pytest.raises(UserError, match="train_examples: 20 rows cannot hold the 40 classes"):
        check_classes(table, few, needed, tuple(f"tag{number}" for number in range(50)), of_words=True)


def test_where_not_all_classes_fit_those_that_are_needed_do() -> None:
    table = table_of([number % 150 for number in range(1500)])
    rows = drawn(table, shuffled(table), 20, set(range(20)))
    assert classes_of(rows) == set(range(20))


def test_a_slice_of_one_class_gets_another() -> None:
    table = table_of([0] * 500 + [1])
    assert classes_of(drawn(table, shuffled(table), 10, ())) == {0, 1}
    assert drawn(table, shuffled(table), 10, None)["id"].to_pylist() == plain(table, 10)


def test_too_few_rows_for_the_classes_name_the_setting() -> None:
    whole = table_of([0, 1, 2, 3])
    with pytest.raises(UserError, match=r"^train_examples: 2 rows cannot hold the 3 classes .* for at least 3$"):
        check_classes(whole, whole.take([0, 1]), {0, 1, 2}, ("a", "b", "c", "d"))
    check_classes(whole.take([0, 1]), whole.take([0, 1]), {0, 1, 2}, ("a", "b", "c", "d"))  # the file lacks it itself


# --- calibration examples ---


@fuzz(60)
@given(st.lists(st.integers(0, 4), min_size=20, max_size=60), st.integers(0, 20), st.integers(1, 15), st.booleans())
def test_calibration_takes_nothing_that_is_trained_on_and_what_it_was_asked_for(labels, train, size, has_classes):
    table = table_of(labels)
    order = shuffled(table)
    taken = order[:train] if train else None
    rows = held_out(table, order, size, taken, has_classes)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(rows) <= size
    if taken is not None:
        assert not set(rows) & set(taken.tolist())
        assert len(rows) == min(size, len(labels) - train)
    elif has_classes:
        left = set(range(len(labels))) - set(rows.tolist())
        assert {labels[row] for row in left} == set(labels)
    assert np.array_equal(rows, held_out(table, order, size, taken, has_classes))


@pytest.mark.parametrize("has_classes", [True, False])
def test_calibration_and_training_examples_do_not_depend_on_each_other(has_classes: bool) -> None:
    table = table_of([0, 0, 1, 0, 2] * 100)
    order = shuffled(table)
    needed = {0, 1, 2} if has_classes else None
    draws = [drawn(table, order, size, needed)["id"].to_numpy() for size in (50, 100, 200)]
    rows = [held_out(table, order, 60, taken, has_classes).tolist() for taken in (None, *draws)]
    assert rows[0] == rows[1] == rows[2] == rows[3]


def test_classes_are_calibrated_on_in_proportion_and_each_at_least_once() -> None:
    table = table_of([0] * 700 + [1] * 290 + [2] * 10)
    rows = held_out(table, shuffled(table), 50, None, has_classes=True)
    assert np.bincount(table["label"].to_numpy()[rows]).tolist() == [34, 15, 1]


def test_calibration_without_a_class_is_refused_with_the_reason() -> None:
    train = table_of([0, 1, 2] * 5)
    names = ("a", "b", "c")
    check_calibration(table_of([2, 1, 0]), train, 3, names)
    with pytest.raises(UserError, match=r"2 rows cannot hold the 3 classes .* \(such as 'c'\); ask for at least 3"):
        check_calibration(table_of([0, 1]), train, 2, names)
    with pytest.raises(UserError, match=r"the 4 rows .* none of the class 'b': .* lower train_examples"):
        check_calibration(table_of([0, 2, 2, 0]), train, 4, names)
    with pytest.raises(UserError, match=r"3 of the 9 rows can be had, .* ask for 3"):
        check_calibration(table_of([2, 1, 0]), train, 9, names)


# --- rows of several classes ---


def sets_of(labels: list[list[int]]) -> pa.Table:
    return pa.table({"id": range(len(labels)), "label": pa.array(labels, pa.list_(pa.int8()))})


def test_a_slice_of_several_classes_gets_those_that_it_lacks() -> None:
    table = sets_of([[1, 0, 0]] * 300 + [[0, 0, 0]] * 100 + [[1, 1, 1]] + [[1, 0, 1]])
    assert classes_of(table) == {0, 1, 2}
    part = drawn(table, shuffled(table), 20, {0, 1, 2})
    assert classes_of(part) == {0, 1, 2} and len(part) == 20
    common = sets_of([[1, 0], [1, 1], [0, 0]] * 30)
    assert drawn(common, shuffled(common), 20, {0, 1})["id"].to_pylist() == plain(common, 20)


def test_calibration_of_several_classes_holds_the_rarest_and_leaves_some() -> None:
    table = sets_of([[1, 0, 0]] * 60 + [[1, 1, 0]] * 20 + [[0, 1, 1]] * 4 + [[0, 0, 0]] * 16)
    rows = held_out(table, shuffled(table), 20, None, has_classes=True)
    assert len(rows) == 20
    # 12 of 60, 4 of 20, 1 of 4 and 3 of 16: in proportion, by the rarest class of each row
    assert [int(((rows >= low) & (rows < high)).sum()) for low, high in ((0, 60), (60, 80), (80, 84), (84, 100))] == [
        12,
        4,
        1,
        3,
    ]
    left = table.take(np.setdiff1d(np.arange(100), rows))
    assert classes_of(left) == classes_of(table.take(rows)) == {0, 1, 2}
