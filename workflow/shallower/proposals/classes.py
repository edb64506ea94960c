"""Kinds of tasks whose labels are classes: one a text, any number of them, or a tag for each word."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from shallower.core.errors import UserError
from shallower.core.wording import listed
from shallower.proposals.base import OTHER_ORDER, Candidate, Decision, KindProposal
from shallower.proposals.columns import WORDS_OF_TEXT, Column, as_list, as_text, in_order, listed_values
from shallower.proposals.division import Texts, compared
from shallower.sources.labelled_files import word_problem
from shallower.task_kinds.class_labels import canonical
from shallower.task_kinds.tag_schemes import OUTSIDE, parts, scheme_of

MOST_CLASSES = 1000
# Numbers beyond so many values are ratings rather than classes.
MOST_NUMBERS = 20
# From this share of the most frequent class, accuracy says little about the others.
UNBALANCED = 0.7
# Classes of which the number of rows is said.
MOST_COUNTED = 10
POSITIVE_NAMES = frozenset({"1", "true", "yes", "y", "positive", "pos"})
NEGATIVE_NAMES = frozenset({"0", "false", "no", "n", "negative", "neg"})
FLAGS, YES = frozenset({"0", "1", "0.0", "1.0", "true", "false"}), frozenset({"1", "1.0", "true"})
# What may separate classes in a field of text, the likeliest first.
SEPARATORS = ("|", ";", ",")
WORD_NAMES = frozenset({"tokens", "words", "word", "token", "form"})
# The share of rows that have a tag for each word where a few do not, which are wrong.
MOST_ROWS = 0.9


class Classification(KindProposal):
    """One of several classes a row."""

    name = "classification"

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        for column in columns:
            count = len(column.counts)
            if not 2 <= count <= min(MOST_CLASSES, len(column.present) / 2) or not column.is_plain or column.is_dates:
                continue
            if column.lists is not None:
                continue
            numbered = ", numbered as classes are" if column.are_class_ids else ""
            are_few = count <= MOST_NUMBERS or column.are_class_ids
            is_natural = column.numbers is None or (column.is_whole and are_few)
            reason = f"{count} values{numbered}: {listed_values(column.in_order)}"
            yield Candidate(self.name, (column,), reason, is_natural)

    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        counts = Counter(canonical(as_text(value)) for value in values)
        if len(counts) == 1:
            raise UserError(
                f"all {len(values):,} rows are of the class {next(iter(counts))!r}; nothing can be learnt from one "
                "class: add rows of another, or name another column with LABEL="
            )
        if asked is None:
            _refuse_alike(counts)
        names, rows = named_classes(counts, in_order(counts), asked)
        is_numbered = asked is None and names == [str(number) for number in range(len(names))]
        reason = "the values of the column" if asked is None else "the names that LABELS gives"
        other = "LABELS= with their names, in the order of the numbers" if is_numbered else "LABELS="
        yield Decision("labels", names, f"{reason} ({_of_each(rows)})", other)
        most = max(rows.values()) / len(values)
        f1 = "macro_f1"
        if len(names) == 2:
            f1 = "f1"
            positive, why = _positive(rows)
            yield Decision(
                "positive_class", positive, f"the class that f1 counts; {why}", "the other class in the study"
            )
        if most >= UNBALANCED:
            metrics, why = (
                [f1, "accuracy"],
                f"{100 * most:.0f} % of the rows are of one class, so that accuracy says little",
            )
        else:
            metrics, why = ["accuracy", f1], f"no class has more than {100 * UNBALANCED:.0f} % of the rows"
        yield Decision("metrics", metrics, f"{why}; the first one decides", OTHER_ORDER)

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        return [canonical(as_text(value)) for value in values]


class MultiLabel(KindProposal):
    """Any number of classes a row: lists of them, or a 0 or 1 for each class in columns of their own."""

    name = "multi-label"

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        flags = [column for column in columns if column.counts and {*map(str.casefold, column.counts)} <= FLAGS]
        if sum(len(column.counts) == 2 for column in flags) > 1:
            names = listed_values([column.name for column in flags])
            yield Candidate(self.name, tuple(flags), f"{len(flags)} columns of 0 and 1: {names}")
        for column in columns:
            if (found := _sets(column)) is None:
                continue
            classes = in_order({*chain.from_iterable(found)})
            if 2 <= len(classes) <= min(MOST_CLASSES, len(found)):
                yield Candidate(self.name, (column,), f"lists of {len(classes)} classes: {listed_values(classes)}")

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
            names, rows = named_classes(counts, in_order(counts), asked)
            yield Decision("labels", names, f"the classes of all rows ({_of_each(rows)})", "LABELS=")
        mean = sum(map(len, sets)) / len(sets)
        reason = f"F1 over all labels, {mean:.1f} a row on average, and over classes, of which each counts the same"
        yield Decision("metrics", ["micro_f1", "macro_f1"], reason, OTHER_ORDER)

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        return _rarest(self._all_sets(label, values))

    def _all_sets(self, label: Sequence[str], values: Sequence[Any]) -> list[list[str]]:
        if len(label) > 1:
            return [
                [name for name, flag in zip(label, row, strict=True) if as_text(flag).casefold() in YES]
                for row in values
            ]
        if (found := _sets(Column(label[0], values))) is None:
            raise UserError(
                f"the column {label[0]!r} does not hold lists of classes in all rows; write each as a list, [] where a "
                "text has none"
            )
        return found


class Tokens(KindProposal):
    """A tag for each word of a row."""

    name = "tokens"
    why_text = ("the words, {}", "TEXT=")
    long_texts = "answered in parts"

    def texts(self, columns: Sequence[Column]) -> list[Column]:
        """The lists of texts that are called as words are, or else, of several, those of the most different entries."""
        lists = [column for column in columns if _are_words(column)]
        if named := [column for column in lists if column.name.casefold() in WORD_NAMES]:
            return named
        long = [column for column in lists if sum(map(len, column.lists or ())) >= WORDS_OF_TEXT * len(column.present)]
        return [max(long, key=lambda column: len(column.entries))] if len(long) > 1 else []

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        if len(texts) != 1 or texts[0].lists is None:
            return
        words = [len(as_list(value) or ()) for value in texts[0].values]
        for column in columns:
            if column.lists is None or column is texts[0]:
                continue
            labels = [len(as_list(value) or ()) for value in column.values]
            is_tagged = sum(map(int.__eq__, words, labels)) >= MOST_ROWS * len(words)
            if is_tagged and 2 <= len(column.entries) <= min(MOST_CLASSES, sum(words) / 2):
                tags = _tags_in_order(column.entries)
                reason = f"a tag for each word, of {len(tags)}: {listed_values(tags)}"
                yield Candidate(self.name, (column,), reason, outdoes=("multi-label",))

    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        counts = Counter(chain.from_iterable(_tags(value) for value in values))
        names, rows = named_classes(counts, _tags_in_order(counts), asked)
        yield Decision("labels", names, f"the tags of all words ({_of_each(rows, 'words')})", "LABELS=")
        try:
            scheme = scheme_of(names)
        except ValueError as error:
            raise UserError(f"the column {label[0]!r}: {error}") from None
        if scheme is None:
            yield Decision("metrics", ["token_accuracy"], "the tags mark no entities, as B-x, I-x and O would")
        else:
            reason = f"the tags mark entities ({scheme}); F1 of whole ones decides"
            yield Decision("metrics", ["entity_f1", "token_accuracy"], reason, OTHER_ORDER)

    def unit(self, num_texts: int) -> tuple[str, str]:
        return "sentence", "sentences"

    def key(self, texts: Sequence[Any]) -> Texts:
        return compared([" ".join(texts[0])])

    def problems(self, row: Sequence[tuple[str, Any]], label: str, value: Any) -> Iterator[tuple[int | None, str]]:
        ((name, words),) = row
        if problem := word_problem(name, words, value, label):
            yield problem
        elif not isinstance(value, list):
            yield None, f"{label} is not a list of tags; give one tag for each word"

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        return _rarest([[*{*_tags(value)}] for value in values])


def _are_words(column: Column) -> bool:
    return column.lists is not None and all(isinstance(word, str) for word in chain.from_iterable(column.lists))


def _tags(value: Any) -> list[str]:
    return [canonical(as_text(tag)) for tag in value]


def _tags_in_order(tags: Iterator[str] | Sequence[str] | Mapping[str, int]) -> list[str]:
    """Tags with the one outside of all entities first, and those of an entity side by side."""
    return sorted(in_order(tags), key=lambda tag: (tag != OUTSIDE, (parts(tag) or ("", ""))[1]))


def _sets(column: Column) -> list[list[str]] | None:
    """The classes of each row; None where values are no lists of classes."""
    rows: Sequence[Any] | None = column.lists
    if rows is None and all(isinstance(value, str) for value in column.present):
        rows = _separated(column.present)
    found = []
    for entries in rows or ():
        if not all(isinstance(entry, str | int) for entry in entries):
            return None
        names = [canonical(as_text(entry)) for entry in entries]
        if len({*names}) < len(names) or "" in names:
            return None
        found.append(names)
    return found or None


def _separated(texts: Sequence[str]) -> list[list[str]] | None:
    """The classes in fields of text; None where these are no lists."""
    full = [text for text in texts if as_list(text) != []]
    separator = next((each for each in SEPARATORS if any(each in text for text in full)), None)
    if separator is None:
        return None
    classes = {canonical(name) for text in full for name in text.split(separator)}
    # Commas in names of classes make more parts than there are fields.
    return (
        [[] if as_list(text) == [] else text.split(separator) for text in texts]
        if len(classes) <= len({*full})
        else None
    )


def _rarest(sets: Sequence[Sequence[str]]) -> list[Hashable]:
    """The class of each row that the fewest rows have; None for a row without any."""
    counts = Counter(chain.from_iterable(sets))
    return [min(found, key=lambda name: (counts[name], name), default=None) for found in sets]


def _refuse_alike(counts: Counter[str]) -> None:
    spelt: dict[str, str] = {}
    for name in counts:
        if (other := spelt.setdefault(name.casefold(), name)) != name:
            raise UserError(
                f"the classes {other!r} ({counts[other]:,} rows) and {name!r} ({counts[name]:,} rows) differ in "
                "capital letters only; write them alike, or name all classes with LABELS= if both are meant"
            )


def named_classes(
    counts: Mapping[str, int], found: list[str], asked: Sequence[str] | None
) -> tuple[list[str], dict[str, int]]:
    """The names of classes, and how often each is there.

    The user gives the values in an order, or names for the numbers 0, 1, 2 and so on; else they are as `found`.
    """
    if asked is None:
        return found, {name: counts[name] for name in found}
    names = [canonical(name) for name in asked]
    if len({*names}) < len(names) or not all(names):
        raise UserError(f"LABELS={','.join(asked)}: a name is empty or there twice; write each class once")
    if {*names} == {*found}:
        return names, {name: counts[name] for name in names}
    if found == [str(number) for number in range(len(names))]:
        return names, {name: counts[value] for name, value in zip(names, found, strict=True)}
    of_column = f"the column has {len(found)} values: {listed_values(found)}"
    if surplus := [name for name in names if name not in counts]:
        raise UserError(f"LABELS: no row has {listed(surplus)}; {of_column}")
    raise UserError(f"LABELS lacks {listed_values([name for name in found if name not in names])}; {of_column}")


def _of_each(counts: Mapping[str, int], what: str = "rows") -> str:
    """How many rows classes have, the first ones of many."""
    shown = ", ".join(f"{name}: {count:,}" for name, count in islice(counts.items(), MOST_COUNTED))
    return f"{what}: {shown}{', …' if len(counts) > MOST_COUNTED else ''}"


def _positive(counts: Mapping[str, int]) -> tuple[str, str]:
    """Of two classes the one that f1 is of, and why."""
    first, second = counts
    for name, other in ((first, second), (second, first)):
        if name.casefold() in POSITIVE_NAMES or other.casefold() in NEGATIVE_NAMES:
            return name, "by its name"
    rarer, other = sorted(counts, key=lambda name: (counts[name], name == first))
    return rarer, "the rarer one" if counts[rarer] < counts[other] else "both are equally frequent"
