"""What the columns of a user's file hold, by their names and values: text, classes, numbers, ids, dates."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.wording import counted
from shallower.core.written_lists import written_list
from shallower.sources.file_formats import kind_of
from shallower.task_kinds.base import is_missing, shown, whole
from shallower.task_kinds.regression import number

# Mean words from which texts are texts, and not names of something.
WORDS_OF_TEXT = 3
# Names that people give to columns of text, whose texts may be shorter, and to columns of labels.
_TEXT_NAMES = "text sentence review comment tweet message utterance question query title headline content body document"
TEXT_NAMES = frozenset(_TEXT_NAMES.split(" "))
_LABEL_NAMES = "label labels target class category topic intent sentiment tag tags y gold gold_label golden emotion"
LABEL_NAMES = frozenset([*_LABEL_NAMES.split(" "), "ner_tags", "pos_tags", "upos"])
# So many different texts are more than names of classes, however often each is there; of fewer rows, this share.
MANY_TEXTS, SHARE_OF_TEXTS = 100, 0.5
# Values that a sentence lists, and characters of each that it quotes.
MOST_LISTED, MOST_CHARACTERS = 6, 30
# Questions of a survey may be names of columns; longer texts hardly are.
LONGEST_NAME = 150
# Names of columns that tell rows apart; pandas writes its index without a name.
_IDS = re.compile(r"(?i)|#|.*_?(id|idx|index|uid|uuid|guid)|unnamed: 0|row|number|no\.?")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}([./-])\d{1,2}\2\d{2,4}( .*)?|\d{4}/\d{1,2}/\d{1,2}( .*)?")
# Letters of scripts that put no blanks between words; each counts as one.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
# Names of two columns of text that belong together: those that differ in a last digit or letter, and these.
_ALIKE = ((r"(.*?)[_ ]?1", r"(.*?)[_ ]?2"), (r"(?i)(.*?)[_ ]?a", r"(?i)(.*?)[_ ]?b"))
_PAIRS = "premise hypothesis, question sentence, question answer, question context, question passage, query passage"
PAIRS = frozenset(tuple(pair.split(" ")) for pair in f"{_PAIRS}, query document, query text".split(", "))


def num_words(text: str) -> int:
    """Words of a text, roughly."""
    return len(text.split()) + len(_UNSPACED.findall(text))


@dataclass(frozen=True, eq=False)
class Column:
    """A column by its first values.

    Attributes:
        name: as the file has it.
        values: row by row, as the file's reader gives them.
    """

    name: str
    values: Sequence[Any]

    @cached_property
    def present(self) -> list[Any]:
        """The values that are not missing."""
        return [value for value in self.values if not is_missing(value)]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each value is there, by its text."""
        return Counter(map(as_text, self.present))

    @cached_property
    def numbers(self) -> list[float] | None:
        """The values as numbers; None where any of them is no number."""
        try:
            return [number(value) for value in self.present] or None
        except ValueError:
            return None

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return self.numbers is not None and all(value.is_integer() for value in self.numbers)

    @property
    def are_class_ids(self) -> bool:
        """Whether values are written as ids of classes are: 0 and 1, or without gaps from 0 under such a name."""
        if not self.is_whole or self.numbers is None:
            return False
        ids = sorted({int(value) for value in self.numbers})
        return ids == [0, 1] or (ids == list(range(len(ids))) and self.name.casefold() in LABEL_NAMES)

    @property
    def extent(self) -> str:
        """From where to where numbers go."""
        kind = "whole numbers" if self.is_whole else "numbers"
        return f"{kind} from {min(self.numbers or [0]):g} to {max(self.numbers or [0]):g}"

    @property
    def is_plain(self) -> bool:
        """Whether all values are texts, numbers or truth values, as labels are: neither lists nor mappings."""
        return all(isinstance(value, str | int | float) for value in self.present)

    @cached_property
    def is_dates(self) -> bool:
        """Whether the values are dates or times."""
        return bool(self.present) and all(
            isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value.strip()))
            for value in self.present
        )

    @cached_property
    def is_ids(self) -> bool:
        """Whether the values do nothing but tell rows apart: all different, and numbered, or so called, or one word."""
        if len(self.present) < 2 or len(self.counts) < len(self.present) or not self.is_plain:
            return False
        if self.numbers is not None:
            is_range = self.is_whole and max(self.numbers) - min(self.numbers) == len(self.numbers) - 1
            return is_range or (self.is_whole and bool(_IDS.fullmatch(self.name)))
        return self.mean_words < 2 and not self.is_dates

    @cached_property
    def lists(self) -> list[list[Any]] | None:
        """The values as lists, also those that are written as text; None where any of them is no list."""
        found = []
        for value in self.present:
            if (entries := as_list(value)) is None:
                return None
            found.append(entries)
        return found or None

    @cached_property
    def entries(self) -> list[str]:
        """The different entries of all lists, in their order."""
        return in_order({as_text(entry) for entry in chain.from_iterable(self.lists or ())})

    @cached_property
    def mean_words(self) -> float:
        """Words of a text on average; 0 where there are no texts."""
        texts = [value for value in self.present if isinstance(value, str)]
        return sum(map(num_words, texts)) / len(texts) if texts else 0.0

    @cached_property
    def is_text(self) -> bool:
        """Whether the values are texts of several words, not the names of a few classes."""
        if not self.present or not all(isinstance(value, str) for value in self.present):
            return False
        if self.is_dates or self.lists is not None:
            return False
        is_varied = len(self.counts) >= min(MANY_TEXTS, SHARE_OF_TEXTS * len(self.present))
        return is_varied and (self.mean_words >= WORDS_OF_TEXT or self.name.casefold() in TEXT_NAMES)

    @property
    def holds(self) -> str:
        """What the column holds, in words."""
        found = self._holds()
        missing = len(self.values) - len(self.present)
        return f"{found}; missing in {counted(missing, 'row')}" if missing and self.present else found

    def _holds(self) -> str:
        if not self.present:
            return "nothing"
        if self.lists is not None:
            mean = sum(map(len, self.lists)) / len(self.lists)
            return f"lists of {mean:.1f} entries on average, such as {listed_values(self.entries)}"
        if self.is_dates:
            return "dates"
        if not self.is_plain:
            return "values of several kinds"
        if self.is_text:
            return f"text, {self.mean_words:.0f} words on average"
        if self.is_ids:
            return "another value in each row, as ids have"
        if len(self.counts) <= MOST_LISTED:
            return f"{counted(len(self.counts), 'value')}: {listed_values(self.in_order)}"
        if self.numbers is not None:
            return f"{len(self.counts):,} different {self.extent}"
        return f"{len(self.counts):,} different values, such as {listed_values(self.in_order)}"

    @property
    def in_order(self) -> list[str]:
        """The different values, by size where they are numbers."""
        return in_order(self.counts)


def as_text(value: Any) -> str:
    """A value as the text by which classes are named: without blanks around it, and whole numbers as such."""
    return json.dumps(value, default=str) if isinstance(value, list | dict) else str(whole(value)).strip()


def as_list(value: Any) -> list[Any] | None:
    """A value that is a list, or is written as one; None for others."""
    if isinstance(value, list):
        return value
    return written_list(value) if isinstance(value, str) else None


def in_order(names: Iterable[str]) -> list[str]:
    """Names by size where all are numbers, otherwise by the alphabet."""
    names = list(names)
    try:
        return sorted(names, key=lambda name: (number(name), name))
    except ValueError:
        return sorted(names)


def listed_values(values: Sequence[str]) -> str:
    """Values as sentences list them, the first ones of many."""
    shown = [value if len(value) <= MOST_CHARACTERS else f"{value[:MOST_CHARACTERS]}…" for value in values]
    return ", ".join(shown[:MOST_LISTED]) + (", …" if len(values) > MOST_LISTED else "")


def are_pair(one: str, other: str, alike: bool = False) -> bool:
    """Whether two columns are the first and the second text of pairs, by their names; `alike`: either may be first."""
    if not alike and (one.casefold(), other.casefold()) in PAIRS:
        return True
    return any(
        (stem := re.fullmatch(first, one)) and (twin := re.fullmatch(second, other)) and stem[1] == twin[1]
        for first, second in _ALIKE
    )


def check_header(path: Path, columns: Sequence[Column]) -> None:
    """Raise UserError where the names of the columns of a CSV or TSV file look like a row of data."""
    if kind_of(path) not in (".csv", ".tsv"):
        return
    if (why := next(filter(None, map(_is_no_name, columns)), None)) is not None:
        names = ",".join(f"column{index}" for index in range(1, len(columns) + 1))
        raise UserError(
            f"{path}: the first line should name the columns, but looks like a row: {why}; name them yourself, all "
            f"{len(columns)}, with COLUMNS={names}, or put a line of names above"
        )


def _is_no_name(column: Column) -> str | None:
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
