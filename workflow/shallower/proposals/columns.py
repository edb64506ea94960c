"""What the columns of a user's file hold, as far as their values show it: text, classes, numbers, ids, dates."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from shallower.core.wording import counted
from shallower.task_kinds.base import is_missing
from shallower.task_kinds.regression import number

# Mean words from which texts are texts, and not names of something.
WORDS_OF_TEXT = 3
# Names that people give to columns of text, whose texts may be shorter.
_TEXT_NAMES = "text sentence review comment tweet message utterance question query title headline content body document"
TEXT_NAMES = frozenset(_TEXT_NAMES.split(" "))
# So many different texts are more than names of classes, however often each is there; of fewer rows, this share.
MANY_TEXTS, SHARE_OF_TEXTS = 100, 0.5
# Values that a sentence lists, and characters of each that it quotes.
MOST_LISTED, MOST_CHARACTERS = 6, 30
# Names of columns that tell rows apart; pandas writes its index without a name.
_IDS = re.compile(r"(?i)|#|.*_?(id|idx|index|uid|uuid|guid)|unnamed: 0|row|number|no\.?")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}([./-])\d{1,2}\2\d{2,4}( .*)?|\d{4}/\d{1,2}/\d{1,2}( .*)?")
# Letters of scripts that put no blanks between words; each counts as one.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


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
        """The values as lists; None where any of them is no list."""
        found = [value for value in self.present if isinstance(value, list)]
        return found if found and len(found) == len(self.present) else None

    @cached_property
    def mean_words(self) -> float:
        """Words of a text on average; 0 where there are no texts."""
        texts = [value for value in self.present if isinstance(value, str)]
        return sum(map(num_words, texts)) / len(texts) if texts else 0.0

    @cached_property
    def is_text(self) -> bool:
        """Whether the values are texts of several words, not the names of a few classes."""
        if not self.present or not all(isinstance(value, str) for value in self.present) or self.is_dates:
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
            entries = in_order({as_text(entry) for found in self.lists for entry in found})
            return f"lists of {mean:.1f} entries on average, such as {listed_values(entries)}"
        if not self.is_plain:
            return "dates" if self.is_dates else "values of several kinds"
        if self.is_dates:
            return "dates"
        if self.is_text:
            return f"text, {self.mean_words:.0f} words on average"
        if self.is_ids:
            return "another value in each row, as ids have"
        if len(self.counts) <= MOST_LISTED:
            return f"{counted(len(self.counts), 'value')}: {listed_values(self.in_order)}"
        if self.numbers is not None:
            kind = "whole numbers" if self.is_whole else "numbers"
            return f"{len(self.counts):,} different {kind} from {min(self.numbers):g} to {max(self.numbers):g}"
        return f"{len(self.counts):,} different values, such as {listed_values(self.in_order)}"

    @property
    def in_order(self) -> list[str]:
        """The different values, by size where they are numbers."""
        return in_order(self.counts)


def as_text(value: Any) -> str:
    """A value as the text by which classes are named: without blanks around it."""
    return json.dumps(value, default=str) if isinstance(value, list | dict) else str(value).strip()


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
