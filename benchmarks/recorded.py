"""Recorded results: how new rows join those of before, where they were measured, and what became of a goal."""

from collections.abc import Sequence

import pandas as pd

# The columns of `contest.machine`.
MACHINE = ("machine", "compute_device", "python", "torch", "transformers", "commit", "date")


def merged(old: pd.DataFrame | None, new: pd.DataFrame, mode: Sequence[str], keys: Sequence[str] = ()) -> pd.DataFrame:
    """Recorded rows with new ones in place of those of the same mode that have the same keys or are of another machine.

    Rows of one mode stand in one table, whose times are compared.
    """
    if old is None:
        return new

    def places(table: pd.DataFrame, columns: Sequence[str]) -> pd.MultiIndex:
        return pd.MultiIndex.from_frame(table[list(columns)].astype(str))

    is_renewed = places(old, [*mode, *keys]).isin(places(new, [*mode, *keys]))
    is_of_mode = places(old, mode).isin(places(new, mode))
    is_comparable = places(old, [*mode, "machine"]).isin(places(new, [*mode, "machine"]))
    return pd.concat([old[~is_renewed & (~is_of_mode | is_comparable)], new], ignore_index=True)


def measured_on(rows: pd.DataFrame, packages: Sequence[str] = ("torch", "transformers")) -> str:
    """The machine, the versions and the code that the rows of a table were measured with."""
    row = rows.iloc[-1]
    device = "" if row["compute_device"] == "cpu" else f", {row['compute_device']}"
    versions = ", ".join(f"{package} {row[package.replace('-', '_')]}" for package in packages)
    commits = ", ".join(dict.fromkeys(f"commit {one['commit']}, {one['date']}" for _, one in rows.iterrows()))
    return f"{row['machine']}{device}; {versions}, Python {row['python']}; {commits}"


def verdict(holds: bool) -> str:
    """What became of a goal."""
    return "met" if holds else "missed"
