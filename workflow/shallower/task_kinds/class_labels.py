"""Labels of a classification: names of classes or their ids, the same in all rows of all files.

Read row by row, a label that looks like both would get another class than its neighbours: the id 1 next to the class
named "1", or the name "4" with a stray blank. So all rows are looked at before any of them is read.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

from shallower.task_kinds.base import MISSING, LabelColumn, LabelReading, is_missing, listed, shown, whole

NAMES, IDS = "names", "ids"
# The id that data sets have for a label that is not told.
HIDDEN = -1

# As ids are written: 04 and 4.0 are texts that somebody or something made of them.
_ID = re.compile(r"0|-?[1-9][0-9]{0,8}")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]*)?")


def canonical(name: str) -> str:
    """A name without blanks around it and with composed letters, by which names are compared."""
    return unicodedata.normalize("NFC", name).strip()


def class_reading(columns: Sequence[LabelColumn], labels: Sequence[str]) -> LabelReading:
    """Whether the labels of all columns are names or ids, and the function that reads them so.

    They are names if each can be one. They are ids if each can be one, unless some class is named by a number: its name
    and an id could not be distinguished. Otherwise they are what most rows are, and the other rows are refused.
    """
    views = [_Column(column, labels) for column in columns]
    form = _form(views, any(_NUMBER.fullmatch(canonical(name)) for name in labels))

    @cache
    def surely() -> str | None:
        return next((row for view in views for row in view.only(form)), None)

    return LabelReading(form, lambda column: partial(_Column(column, labels).read, form=form, surely=surely))


def _form(columns: Sequence["_Column"], names_are_numbers: bool) -> str:
    counts = sum((column.counts() for column in columns), Counter[tuple[bool, bool]]())
    if names_are_numbers or all(can_be_name for can_be_name, _ in counts):
        return NAMES
    if all(can_be_id for _, can_be_id in counts):
        return IDS
    return IDS if counts[False, True] > counts[True, False] + counts[True, True] else NAMES


class _Column:
    """A column, and what each of its labels can be read as."""

    def __init__(self, column: LabelColumn, labels: Sequence[str]) -> None:
        self.column, self.labels = column, labels
        self.ids = {canonical(name): index for index, name in enumerate(labels)}
        stored = column.stored_names
        self.stored = None if stored is None else [canonical(name) for name in stored]
        self.known: dict[str | int, int] = {}  # what was read, since a few labels are repeated many times

    def name(self, value: Any) -> int | None:
        """The class that a value names; None where it names none."""
        match value:
            case bool():  # JSON and parquet have them where CSV has words
                found = [index for name, index in self.ids.items() if name.casefold() == str(value).casefold()]
                return found[0] if len(found) == 1 else None
            case int() if self.stored is not None:  # by name, since the study may list the classes in another order
                return self.ids.get(self.stored[value]) if 0 <= value < len(self.stored) else None
            case int() | str():
                return self.ids.get(canonical(str(value)))
        return None

    def id(self, value: Any) -> int | None:
        """The whole number that a value is, in range or not; None where it is none, or the file has its own names."""
        match value:
            case bool():
                return None
            case int():
                is_ours = self.stored is None or self.stored == [*self.ids] or not 0 <= value < len(self.stored)
                return value if is_ours else None
            case str() if _ID.fullmatch(value.strip()):
                return int(value)
        return None

    def counts(self) -> "Counter[tuple[bool, bool]]":
        """Numbers of rows by whether their label can be a name, and whether it can be an id."""
        counts: Counter[tuple[bool, bool]] = Counter()
        for value, count in self._distinct():
            if not is_missing(value):
                counts[self.name(value) is not None, self.id(value) is not None] += count
        return counts

    def only(self, form: str) -> Iterator[str]:
        """Rows whose label can be read in this form alone, as messages name them."""
        rows = self.column.rows or range(1, len(self.column.values) + 1)
        for row, value in zip(rows, map(whole, self.column.values), strict=True):
            is_name, is_id = self.name(value) is not None, self._in_range(self.id(value))
            if (is_name and not is_id) if form == NAMES else (is_id and not is_name):
                yield f"{shown(value)} in row {row} of {self.column.place}"

    def _distinct(self) -> Iterator[tuple[Any, int]]:
        """Each label with its number of rows."""
        try:
            # By type too, since 1 and True are equal.
            found = Counter(zip(map(type, self.column.values), self.column.values, strict=True))
        except TypeError:  # lists and the like, which are no labels
            return ((value, 1) for value in self.column.values)
        return ((whole(value), count) for (_, value), count in found.items())

    def _in_range(self, number: int | None) -> bool:
        return number is not None and 0 <= number < len(self.labels)

    def read(self, value: Any, form: str, surely: Callable[[], str | None]) -> int:
        """The class of a label; `surely` finds a row that can be read in this form alone."""
        value = whole(value)
        if (is_plain := type(value) in (str, int)) and value in self.known:  # not True, which equals 1
            return self.known[value]
        if is_missing(value):
            raise ValueError(MISSING)
        index = self.name(value) if form == NAMES else self.id(value)
        if index is None or not self._in_range(index):
            raise ValueError(self._problem(value, form, surely()))
        if is_plain:
            self.known[value] = index
        return index

    def _problem(self, value: Any, form: str, surely: str | None) -> str:
        name, number = self.name(value), self.id(value)
        count = len(self.labels)
        if number == HIDDEN:
            return f"{HIDDEN} marks a hidden label; use a split whose labels are known"
        if isinstance(value, bool) or not isinstance(value, str | int):
            return f"{shown(value)} is neither the name of a class nor its id, a whole number"
        if form == NAMES and number is not None and any(map(_NUMBER.fullmatch, self.ids)):
            return f"{self._no_name(value)}; where these are numbers, no label is an id: correct the row or the labels"
        if form == NAMES and self._in_range(number) and surely:
            return f"{shown(value)} is an id, but {surely} is a name; write names or ids in all rows"
        if form == IDS and name is not None:
            return f"{shown(value)} is a name, but {surely} is an id; write names or ids in all rows"
        if form == IDS and number is not None:
            return f"{number} is out of range; {count} labels have the ids 0 to {count - 1}"
        if form == IDS and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            return f"{shown(value)} is no id; write a whole number from 0 to {count - 1}, without leading zeros"
        return self._no_name(value)

    def _no_name(self, value: Any) -> str:
        if isinstance(value, int) and self.stored is not None and 0 <= value < len(self.stored):
            value = self.stored[value]
        return f"{shown(value)} is none of the labels {listed(self.labels)}"
