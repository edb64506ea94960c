"""Parquet files, written atomically."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shallower.core.files import write_bytes


def write_parquet(path: str | Path, table: pa.Table, compression: str = "zstd") -> None:
    """Write a table as parquet, atomically: equal tables give equal bytes."""
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression=compression)
    write_bytes(path, content.getvalue().to_pybytes())
