"""Classification: labels that name a few classes, or number them."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from shallower.core.errors import UserError
from shallower.core.wording import listed
from shallower.proposals.base import LABEL_NAMES, Candidate, Decision, KindProposal
from shallower.proposals.columns import Column, as_text, in_order, listed_values
from shallower.task_kinds.class_labels import canonical

MOST_CLASSES = 1000
# Numbers beyond so many values are ratings rather than classes.
MOST_NUMBERS = 20
# From this share of the most frequent class, accuracy says little about the others.
UNBALANCED = 0.7
# Classes of which the number of rows is said.
MOST_COUNTED = 10
POSITIVE_NAMES = frozenset({"1", "true", "yes", "y", "positive", "pos"})
NEGATIVE_NAMES = frozenset({"0", "false", "no", "n", "negative", "neg"})


class Classes(KindProposal):
    """One of several classes a row."""

    name = "classification"

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        for column in columns:
            count = len(column.counts)
            if not 2 <= count <= min(MOST_CLASSES, len(column.present) / 2) or not column.is_plain or column.is_dates:
                continue
            numbered = ", numbered as classes are" if column.numbers is not None and are_ids(column) else ""
            reason = f"{count} values{numbered}: {listed_values(column.in_order)}"
            yield Candidate(self.name, (column,), reason, _is_natural(column))

    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        counts = Counter(canonical(as_text(value)) for value in values)
        if len(counts) == 1:
            raise UserError(
                f"all {len(values):,} rows are of the class {next(iter(counts))!r}; nothing can be learnt from one "
                "class: add rows of another, or name another column with LABEL="
            )
        if asked is None:
            _refuse_alike(counts)
            names, reason = in_order(counts), "the values of the column"
        else:
            names, reason = asked_names(counts, asked), "the names that LABELS gives"
        shares = counts_by_name(counts, names)
        is_numbered = asked is None and names == [str(number) for number in range(len(names))]
        other = "LABELS= with their names, in the order of the numbers" if is_numbered else "LABELS="
        yield Decision("labels", names, f"{reason} ({of_each(shares)})", other)
        most = max(shares.values()) / len(values)
        is_unbalanced = most >= UNBALANCED
        balance = (
            f"{100 * most:.0f} % of the rows are of one class, so that accuracy says little"
            if is_unbalanced
            else f"no class has more than {100 * UNBALANCED:.0f} % of the rows"
        )
        if len(names) == 2:
            positive, why = _positive(shares)
            yield Decision(
                "positive_class", positive, f"the class that f1 counts; {why}", "the other class in the study"
            )
        f1 = "f1" if len(names) == 2 else "macro_f1"
        metrics = [f1, "accuracy"] if is_unbalanced else ["accuracy", f1]
        yield Decision("metrics", metrics, f"{balance}; the first one decides", "another order in the study")

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        return [canonical(as_text(value)) for value in values]


def _is_natural(column: Column) -> bool:
    """Whether values are names, a few whole numbers, or numbers as class ids are written."""
    if column.numbers is None:
        return True
    if not column.is_whole:
        return False
    return len(column.counts) <= MOST_NUMBERS or are_ids(column)


def are_ids(column: Column) -> bool:
    """Whether whole numbers are written as class ids are: 0 and 1, or without gaps from 0 under such a name."""
    if not column.is_whole or column.numbers is None:
        return False
    ids = sorted({int(value) for value in column.numbers})
    return ids == [0, 1] or (ids == list(range(len(ids))) and column.name.casefold() in LABEL_NAMES)


def _refuse_alike(counts: Counter[str]) -> None:
    spelt: dict[str, str] = {}
    for name in counts:
        if (other := spelt.setdefault(name.casefold(), name)) != name:
            raise UserError(
                f"the classes {other!r} ({counts[other]:,} rows) and {name!r} ({counts[name]:,} rows) differ in "
                "capital letters only; write them alike, or name all classes with LABELS= if both are meant"
            )


def asked_names(counts: Counter[str], asked: Sequence[str]) -> list[str]:
    """The class names that the user gave: the values in an order, or names for the numbers 0, 1, 2 and so on."""
    names = [canonical(name) for name in asked]
    if len({*names}) < len(names) or not all(names):
        raise UserError(f"LABELS={','.join(asked)}: a name is empty or there twice; write each class once")
    if {*names} == {*counts}:
        return names
    is_numbered = in_order(counts) == [str(number) for number in range(len(counts))]
    if is_numbered and len(names) == len(counts):
        return names
    found = f"the column has {len(counts)} values: {listed_values(in_order(counts))}"
    if surplus := [name for name in names if name not in counts]:
        raise UserError(f"LABELS: no row has {listed(surplus)}; {found}")
    lacking = [name for name in in_order(counts) if name not in names]
    raise UserError(f"LABELS lacks {listed_values(lacking)}; {found}")


def counts_by_name(counts: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    """How many rows each class has, by the names that its values have or that were given to numbers."""
    values = names if {*names} == {*counts} else in_order(counts)
    return {name: counts[value] for name, value in zip(names, values, strict=True)}


def of_each(counts: Mapping[str, int]) -> str:
    """How many rows classes have, the first ones of many."""
    shown = ", ".join(f"{name}: {count:,}" for name, count in islice(counts.items(), MOST_COUNTED))
    return f"rows: {shown}{', …' if len(counts) > MOST_COUNTED else ''}"


def _positive(counts: dict[str, int]) -> tuple[str, str]:
    """Of two classes the one that f1 is of, and why."""
    first, second = counts
    for name, other in ((first, second), (second, first)):
        if name.casefold() in POSITIVE_NAMES or other.casefold() in NEGATIVE_NAMES:
            return name, "by its name"
    rarer, other = sorted(counts, key=lambda name: (counts[name], name == first))
    return rarer, "the rarer one" if counts[rarer] < counts[other] else "both are equally frequent"
