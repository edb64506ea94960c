"""Slices of a table: plain draws where these hold the classes, with rows of the missing classes where they do not."""

import numpy as np
import pyarrow as pa
import pytest

from shallower.core.errors import UserError
from shallower.sources.slices import SLICE_SEED, check_classes, classes_of, drawn, shuffled


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
