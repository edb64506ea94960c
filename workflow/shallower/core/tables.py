"""CSV tables with pandas."""

from pathlib import Path

import pandas as pd

from shallower.core.errors import UserError
from shallower.core.files import write_text

# Columns of names, which stay text even if they look like numbers ("2", "0.95") or missing values ("NA").
_TEXT = ["study", "model", "task", "origin", "strategy", "amount", "kept_layers"]
_TEXT += ["metric", "positive_class", "directory"]


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of a study, such as results.csv, with names as text.

    Raises UserError, naming the file, when it is missing or not a table.
    """
    try:
        header = pd.read_csv(path, nrows=0).columns
        types = {column: "str" for column in _TEXT if column in header}
        return pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: not a table ({error}); delete the file and run again") from None


def rows_about(path: str | Path, model: str, task: str) -> pd.DataFrame:
    """The rows of a table of a study that are about a model on a task. Raises UserError when there are none."""
    table = read_table(path)
    rows = table[(table["model"] == model) & (table["task"] == task)]
    if rows.empty:
        raise UserError(f"{path}: nothing about {model} on {task}")
    return rows


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, with ten significant digits of each number; further ones are noise."""
    write_text(path, table.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
