"""Whether the first line of a CSV or TSV file names its columns, or is a row already."""

from collections.abc import Sequence
from pathlib import Path

from shallower.core.errors import UserError
from shallower.proposals.columns import Column, as_text
from shallower.sources.file_formats import kind_of
from shallower.task_kinds.base import shown
from shallower.task_kinds.regression import number

# Questions of a survey may be names of columns; longer texts hardly are.
LONGEST_NAME = 150


def check_header(path: Path, columns: Sequence[Column]) -> None:
    """Raise UserError where the names of a file's columns look like a row of data."""
    if kind_of(path) not in (".csv", ".tsv"):
        return
    if (why := next(filter(None, map(_why, columns)), None)) is not None:
        names = ",".join(f"column{index}" for index in range(1, len(columns) + 1))
        raise UserError(
            f"{path}: the first line should name the columns, but looks like a row: {why}; name them yourself, all "
            f"{len(columns)}, with COLUMNS={names}, or put a line of names above"
        )


def _why(column: Column) -> str | None:
    """What makes the name of a column look like a value."""
    name = column.name.strip()
    if name and not column.is_text and name in map(as_text, column.present):
        return f"{shown(name)} is also a value further down"
    if len(name) > LONGEST_NAME:
        return f"{shown(name[:60] + '…')} is no name"
    try:
        number(name)
    except ValueError:
        return None
    return f"{shown(name)} is a number"
