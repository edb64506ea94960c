"""One file of labelled text, read as the only one of a task."""

from pathlib import Path

import pyarrow as pa

from shallower.sources.labelled_files import Columns, read_labelled


def read_one(path: Path, columns: Columns) -> pa.Table:
    """The file in the form of `shallower.sources.labelled_files`."""
    return read_labelled({"train": [path]}, columns).tables["train"]
