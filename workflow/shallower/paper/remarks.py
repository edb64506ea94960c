"""Remarks on the values of a comparison frame: lists of texts, joined in one column of its CSV file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

SEPARATOR = "; "


def join_remarks(remarks: Iterable[str]) -> str:
    """Remarks as one text, each once; empty ones are left out."""
    return SEPARATOR.join(dict.fromkeys(filter(None, remarks)))


def split_remarks(text: str) -> list[str]:
    """The remarks of a text that `join_remarks` made."""
    return [part for part in text.split(SEPARATOR) if part]


@dataclass(frozen=True)
class Remarks:
    """The remarks of a frame, each at one place.

    Attributes:
        throughout: of every value.
        where_ours: of every value that the study has, unless they are of every value at all.
        by_column: of all values in a column, by its label.
        by_row: of the other values in a row, by its place (`row_order`).
        by_value: the rest, by the value's index in the frame.
    """

    throughout: Sequence[str]
    where_ours: Sequence[str]
    by_column: Mapping[str, Sequence[str]]
    by_row: Mapping[int, Sequence[str]]
    by_value: Mapping[int, Sequence[str]]


def place_remarks(frame: pd.DataFrame) -> Remarks:
    """Say what is remarked on all of a frame, a column or a row once, there; `frame` has lists in `remarks`."""
    has_ours, has_any = frame["ours"].notna(), frame[["ours", "paper"]].notna().any(axis=1)
    throughout = shared(frame["remarks"])
    where_ours = _without(shared(frame["remarks"][has_ours]), throughout)
    remarks = frame["remarks"].map(lambda of_value: _without(of_value, [*throughout, *where_ours]))
    by_column = {name: shared(of_it) for name, of_it in remarks[has_any].groupby(frame["column"])}
    rest = {
        index: _without(of_value, by_column.get(column, []))
        for index, of_value, column in zip(frame.index, remarks, frame["column"], strict=True)
    }
    # A remark of a column is also one of a row, where all other values of the row have it.
    by_row = {
        place: [text for text in shared(of_it) if any(text in rest[index] for index in of_it.index)]
        for place, of_it in remarks.groupby(frame["row_order"])
    }
    by_value = {
        index: _without(rest[index], by_row[place])
        for index, place in zip(frame.index, frame["row_order"], strict=True)
    }
    return Remarks(throughout, where_ours, by_column, by_row, by_value)


def shared(remarks: Iterable[Sequence[str]]) -> list[str]:
    """Remarks that all of several values have, in order; one value shares nothing."""
    first, *others = list(remarks) or [[]]
    return [text for text in first if others and all(text in other for other in others)]


def _without(remarks: Iterable[str], others: Sequence[str]) -> list[str]:
    return [text for text in remarks if text not in others]
