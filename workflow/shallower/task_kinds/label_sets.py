"""Labels of a text that may have several: lists of names or ids of classes, or a 0 or 1 for each class.

How they are written is decided once for all rows of all files of a task: as lists (of parquet or JSON lines), as lists
that are written as text or with a separator (in columns of text), or as a 0 or 1 for each class, in one list or in
columns. What their entries are, names or ids, is decided as for a classification. No label at all is an empty list, []
in text; an empty field is a missing value, which is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from shallower.core.written_lists import written_list
from shallower.task_kinds.base import MISSING, LabelColumn, LabelReading, is_missing, shown
from shallower.task_kinds.class_labels import canonical, class_reading

EMPTY = "[]"
MISSING_SET = f"{MISSING}, or write {EMPTY} where a text has no label"
WRITTEN = "lists that are written as text"
# What may separate labels in a field of text, the likeliest first.
SEPARATORS = {"|": "'|'", ";": "';'", ",": "','", "\t": "a tab", " ": "blanks"}
YES, NO = ("1", "1.0", "true"), ("0", "0.0", "false")

Labels = list[int]  # 0 or 1 for each class


def set_reading(columns: Sequence[LabelColumn], labels: Sequence[str]) -> LabelReading:
    """How the labels of all columns are read: each to a list of 0 or 1 for each class."""
    if any(column.names for column in columns):
        return LabelReading("0 or 1 in a column for each class", lambda column: partial(_flags, names=column.names))
    if _are_flags(columns, len(labels)):
        return LabelReading("lists of 0 or 1 for each class", lambda column: partial(_flags, names=labels))
    separator = _separator(columns, labels)
    splits = [_Split(column, separator) for column in columns]
    entries = [split.entries() for split in splits]
    reading = class_reading(entries, labels)
    of_column = {id(column): reading.of(each) for column, each in zip(columns, entries, strict=True)}

    def of(column: LabelColumn) -> Callable[[Any], Labels]:
        return partial(_members, separator=separator, read=of_column[id(column)], count=len(labels))

    return LabelReading(f"{reading.form}{_words(columns, separator)}", of)


def _words(columns: Sequence[LabelColumn], separator: str | None) -> str:
    if not any(isinstance(value, str) for column in columns for value in column.values):
        return " in lists"
    if separator == WRITTEN:
        return f" in {WRITTEN}"
    return f", separated by {SEPARATORS[separator]}" if separator else ", one at most in each row"


def _separator(columns: Sequence[LabelColumn], labels: Sequence[str]) -> str | None:
    """What separates labels in fields of text: of what no name of a class holds, that by which most rows can be read.

    None where no field holds several.
    """
    texts = [value.strip() for column in columns for value in column.values if isinstance(value, str)]
    texts = [text for text in texts if text and text != EMPTY]
    if any(text.startswith("[") for text in texts):
        return WRITTEN
    known = {canonical(name) for name in labels}

    def readable(text: str, separator: str) -> bool:
        parts = list(map(canonical, text.split(separator)))
        return len(parts) > 1 and all(part in known or part.isdecimal() for part in parts)

    counts = {
        separator: sum(readable(text, separator) for text in texts if separator in text)
        for separator in SEPARATORS
        if not any(separator in name for name in known)
    }
    best = max(counts, key=lambda separator: counts[separator], default=None)
    return best if best is not None and counts[best] else None


@dataclass(frozen=True)
class _Split:
    """A column and how its fields of text are split."""

    column: LabelColumn
    separator: str | None

    def entries(self) -> LabelColumn:
        """All entries of the lists that can be read, one after another, each with its row."""
        rows, values = [], []
        for row, value in enumerate(self.column.values, start=1):
            try:
                found = _entries(value, self.separator)
            except ValueError:  # which is said when the row is read
                continue
            values += found
            rows += [row] * len(found)
        return LabelColumn(self.column.place, values, self.column.stored_names, rows=rows)


def _entries(value: Any, separator: str | None) -> list[Any]:
    """The labels of a field, as they stand there. Raises ValueError with what is wrong."""
    if is_missing(value):
        raise ValueError(MISSING_SET)
    if isinstance(value, str):
        value = _split(value.strip(), separator)
    elif isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is no list of labels; write a list, {EMPTY} where a text has no label")
    if any(map(is_missing, value)):
        raise ValueError(f"{shown(value)} has an empty entry; remove it, {EMPTY} says that a text has no label")
    if len({*map(str, value)}) < len(value):
        raise ValueError(
            f"{shown(value)} names a label twice; remove the repeats (0 or 1 for each class must be in all rows, "
            "one for each of labels)"
        )
    return value


def _split(text: str, separator: str | None) -> list[Any]:
    if text == EMPTY:
        return []
    if separator == WRITTEN:
        if (found := written_list(text)) is not None:
            return found
        raise ValueError(f'{shown(text)} is not a list, as other rows are; write a list such as ["a", "b"]')
    if separator == " ":
        return text.split()
    return [part.strip() for part in text.split(separator)] if separator else [text]


def _members(value: Any, separator: str | None, read: Callable[[Any], int], count: int) -> Labels:
    found = [0] * count
    for entry in _entries(value, separator):
        found[read(entry)] = 1
    return found


# --- 0 or 1 for each class -------------------------------------------------------------------------------------------


def _are_flags(columns: Sequence[LabelColumn], count: int) -> bool:
    """Whether every row is a list of 0 and 1 with one for each class; in a field of text, a written list."""

    def lists() -> Iterator[list[Any]]:
        for column in columns:
            for value in column.values:
                yield _as_list(value)

    return all(len(found) == count and all(_flag(each) is not None for each in found) for found in lists())


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, str):
        value = written_list(value)
    return value if isinstance(value, list) else []


def _flag(value: Any) -> int | None:
    text = str(value).strip().lower()
    return 1 if text in YES else 0 if text in NO else None


def _flags(value: Any, names: Sequence[str]) -> Labels:
    found = []
    for name, each in zip(names, _as_list(value), strict=True):
        if is_missing(each):
            raise ValueError(f"{name} {MISSING}")
        if (flag := _flag(each)) is None:
            raise ValueError(f"{name} is {shown(each)}, neither 0 nor 1; correct the row")
        found.append(flag)
    return found
