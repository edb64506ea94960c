"""Multi-label classification: lists of classes, or a 0 or 1 for each class in columns of their own."""

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain
from typing import Any

from shallower.core.errors import UserError
from shallower.core.wording import listed
from shallower.proposals.base import Candidate, Decision, KindProposal
from shallower.proposals.classes import MOST_CLASSES, asked_names, counts_by_name, of_each
from shallower.proposals.columns import Column, as_text, in_order, listed_values
from shallower.task_kinds.class_labels import canonical

FLAGS = frozenset({"0", "1", "0.0", "1.0", "true", "false"})
EMPTY = "[]"
YES = frozenset({"1", "1.0", "true"})
# What may separate classes in a field of text, the likeliest first.
SEPARATORS = ("|", ";", ",")


class LabelSets(KindProposal):
    """Any number of classes a row."""

    name = "multi-label"

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        flags = [column for column in columns if column.counts and {*map(str.casefold, column.counts)} <= FLAGS]
        if sum(len(column.counts) == 2 for column in flags) > 1:
            names = listed_values([column.name for column in flags])
            yield Candidate(self.name, tuple(flags), f"{len(flags)} columns of 0 and 1: {names}", True)
        for column in columns:
            if (found := _sets(column.present)) is None:
                continue
            classes = in_order({*chain.from_iterable(found)})
            if 2 <= len(classes) <= min(MOST_CLASSES, len(found)):
                reason = f"lists of {len(classes)} classes: {listed_values(classes)}"
                yield Candidate(self.name, (column,), reason, True)

    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        sets = self._all_sets(label, values)
        counts = Counter(chain.from_iterable(sets))
        if len(label) > 1:
            if asked is not None:
                raise UserError("LABELS: the classes are called as their columns; leave it out, or rename the columns")
            if lacking := [name for name in label if not 0 < counts[name] < len(sets)]:
                raise UserError(
                    f"{listed(lacking)}: the same in all rows, so that nothing can be learnt; name the other columns "
                    "with LABEL="
                )
        else:
            names = in_order(counts) if asked is None else asked_names(counts, asked)
            reason = f"the classes of all rows ({of_each(counts_by_name(counts, names))})"
            yield Decision("labels", names, reason, "LABELS=")
        mean = sum(map(len, sets)) / len(sets)
        reason = f"F1 over all labels, {mean:.1f} a row on average, and over classes, of which each counts the same"
        yield Decision("metrics", ["micro_f1", "macro_f1"], reason, "another order in the study")

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        """The rarest class of each row."""
        sets = self._all_sets(label, values)
        counts = Counter(chain.from_iterable(sets))
        return [min(found, key=lambda name: (counts[name], name), default=None) for found in sets]

    def _all_sets(self, label: Sequence[str], values: Sequence[Any]) -> list[list[str]]:
        if len(label) > 1:
            return [
                [name for name, flag in zip(label, row, strict=True) if as_text(flag).casefold() in YES]
                for row in values
            ]
        if (found := _sets(values)) is None:
            raise UserError(
                f"the column {label[0]!r} does not hold lists of classes in all rows; write each as a list, [] where a "
                "text has none"
            )
        return found


def _sets(values: Sequence[Any]) -> list[list[str]] | None:
    """The classes of each row; None where values are no lists of classes."""
    separator = _separator([value for value in values if isinstance(value, str)])
    found = []
    for value in values:
        entries = _entries(value, separator)
        if entries is None or not all(isinstance(entry, str | int) for entry in entries):
            return None
        names = [canonical(as_text(entry)) for entry in entries]
        if len({*names}) < len(names) or "" in names:
            return None
        found.append(names)
    return found or None


def _entries(value: Any, separator: str | None) -> list[Any] | None:
    if isinstance(value, list):
        return value
    if not isinstance(value, str) or separator is None:
        return None
    if value.strip() == EMPTY:
        return []
    if separator != "[":
        return value.split(separator)
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _separator(texts: Sequence[str]) -> str | None:
    """What separates the classes in fields of text, "[" for lists in JSON; None where fields are no lists."""
    texts = [text for text in texts if text.strip() != EMPTY]
    if texts and all(text.strip().startswith("[") for text in texts):
        return "["
    for separator in SEPARATORS:
        if any(separator in text for text in texts):
            parts = {canonical(part) for text in texts for part in text.split(separator)}
            # Commas in names of classes make more parts than there are fields.
            return separator if len(parts) <= len({*texts}) else None
    return None
