"""Parquet files, written atomically, and their columns as arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shallower.core.files import write_bytes


def write_parquet(path: str | Path, table: pa.Table, compression: str = "zstd") -> None:
    """Write a table as parquet, atomically: equal tables give equal bytes."""
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression=compression)
    write_bytes(path, content.getvalue().to_pybytes())


def arrow_type(name: str) -> pa.DataType:
    """Arrow's type of that name, such as int64 or list<int8>."""
    inner = name.removeprefix("list<").removesuffix(">")
    return pa.type_for_alias(name) if inner == name else pa.list_(pa.type_for_alias(inner))


def to_array(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column of numbers as [n], or one of lists of numbers as [n, length].

    Raises ValueError where lists are missing or differ in their length.
    """
    if not pa.types.is_list(column.type):
        return column.to_numpy()
    lists = column.combine_chunks()
    lengths = np.unique(lists.value_lengths().to_numpy(zero_copy_only=False))
    if lists.null_count or len(lengths) > 1:
        raise ValueError("rows differ in the length of their lists")
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), int(lengths[0]) if len(lengths) else 0)


def to_column(values: NDArray[Any]) -> pa.Array:
    """Numbers [n] as a column, or [n, length] as a column of lists."""
    if values.ndim == 1:
        return pa.array(values)
    ends = pa.array(np.arange(len(values) + 1, dtype=np.int32) * values.shape[1])
    return pa.ListArray.from_arrays(ends, pa.array(values.ravel()))
