"""Columns of tables as arrays: one number a row, or several."""

import pyarrow as pa
import pytest

from shallower.core.parquet import arrow_type, to_array, to_column


@pytest.mark.parametrize(
    ("name", "rows"),
    [("int64", [3, -1]), ("float64", [0.5, 2.0]), ("list<int8>", [[0, 1, 1], [1, 0, 0]]), ("list<int8>", [])],
)
def test_columns_and_arrays_hold_the_same_numbers(name, rows):
    column = pa.chunked_array([pa.array(rows, arrow_type(name))])
    array = to_array(column)
    assert array.tolist() == rows
    assert len(array) == len(rows)
    assert array.dtype == name.removeprefix("list<").removesuffix(">")
    assert not rows or to_column(array).equals(column.combine_chunks())
    parts = pa.chunked_array([column.chunk(0), column.chunk(0)[1:]])
    assert to_array(parts).tolist() == rows + rows[1:]


@pytest.mark.parametrize("rows", [[[0, 1], [1]], [[0, 1], None], [None]])
def test_lists_of_several_lengths_and_missing_ones_are_no_array(rows):
    with pytest.raises(ValueError, match="differ"):
        to_array(pa.chunked_array([pa.array(rows, pa.list_(pa.int8()))]))
