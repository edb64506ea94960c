"""Labelled text in files, read into one form and checked row by row.

The form is a table with the columns `id` int64 (the row's number in its split, from 0), `text` string, `text_pair`
string where a task has two texts, and `label`, read and stored as the kind of task says. Where each word has a label,
`words` holds them as a list, and `text` joined by one blank each. `shallower.sources.queries` adds `group` where rows
belong together.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shallower.core.errors import StudyErrors, UserError
from shallower.core.parquet import arrow_type
from shallower.core.wording import counted
from shallower.core.written_lists import written_list
from shallower.sources.file_formats import Content, read_file, refuse_rows
from shallower.task_kinds.base import LabelColumn, LabelReading, shown
from shallower.task_kinds.registry import task_kind

# Unicode's categories of separators, control and format characters, which tokenizers drop.
INVISIBLE = {"Zs", "Zl", "Zp", "Cc", "Cf"}
# Columns of text of the form.
TEXTS = ("text", "text_pair")
# What becomes of texts of words that are too long for a model: the value of the entry of a table's metadata.
LONG_TEXTS, SPLIT, REFUSE = "long_texts", "split", "refuse"
WORDS = pa.list_(pa.string())
# Rows whose texts are taken out of a table at a time.
ROWS = 10_000


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are used, and how its labels are read.

    Attributes:
        text: one or two columns of text.
        label: the column of the label; empty where there is one for each class.
        labels: class names in the order of their ids; None for a kind of task without classes.
        may_be_empty: whether empty texts are taken as they are, as a published data set has them.
        names: the columns' names in their order, for CSV and TSV files without a header.
        ranges: for each class the lowest and the highest number (both included) that counts as it, for files whose
            labels are ratings. Rows with a rating in no range are left out.
        target: the kind of task, which reads the labels.
        scale: the lowest and the highest label, which become 0 and 1; None where labels stay as they are.
        label_columns: a column for each class, where labels are in several.
    """

    text: tuple[str, ...]
    label: str
    labels: tuple[str, ...] | None
    may_be_empty: bool = False
    names: tuple[str, ...] | None = None
    ranges: tuple[tuple[float, float], ...] | None = None
    target: str = "classification"
    scale: tuple[float, float] | None = None
    label_columns: tuple[str, ...] = ()

    @property
    def of_labels(self) -> tuple[str, ...]:
        """All columns of labels."""
        return self.label_columns or (self.label,)


@dataclass(frozen=True)
class Labelled:
    """The splits of a task in the form that the module's text describes, and how they were read.

    Attributes:
        tables: by split.
        labels_are: what labels were read as, such as "names", "ids" or "numbers".
        remarks: what was taken otherwise than it stands in the files.
    """

    tables: dict[str, pa.Table]
    labels_are: str
    remarks: list[str]


def read_labelled(files: Mapping[str, Sequence[Path]], columns: Columns) -> Labelled:
    """Read the files of all splits, of one or several parts each; how labels are read is decided once for all of them.

    Raises UserError or StudyErrors, as `read_file` does, and StudyErrors with the first bad rows of each file when
    texts or labels are not what they should be.
    """
    parts, problems = [], []
    for split, path in ((split, path) for split, paths in files.items() for path in paths):
        try:
            parts.append(_part(split, path, columns))
        except UserError as error:
            problems += error.problems
    kind = task_kind(columns.target if columns.ranges is None else "regression")
    reading = kind.label_reading([part.labels for part in parts], columns.labels)
    tables: dict[str, list[pa.Table]] = {split: [] for split in files}
    for part in parts:
        try:
            tables[part.split].append(_table(part, columns, reading))
        except UserError as error:
            problems += error.problems
    if problems:
        raise StudyErrors(problems)
    joined = {split: _joined(found) for split, found in tables.items()}
    if empty := [files[split][0] for split, table in joined.items() if not len(table)]:
        raise UserError(f"{empty[0]}: no {columns.label} is in any of the label_ranges; correct them")
    return Labelled(joined, reading.form, list(chain(*map(_remarks, parts))))


@dataclass(frozen=True)
class _Part:
    """A file of a split, as it was read.

    Attributes:
        texts: its columns of text, by their names in the form; without those that hold what is no text.
        problems: what is wrong with its texts, by row.
        labels: its labels.
        remark: what was decided on how to read it.
        lines: of each row the lines of its words, in files that have a word a line.
    """

    split: str
    path: Path
    texts: dict[str, pa.Array]
    problems: list[str]
    labels: LabelColumn
    remark: str | None
    lines: Sequence[Sequence[int]] | None = None


def _part(split: str, path: Path, columns: Columns) -> _Part:
    """Read one file; its texts as Arrow arrays, of half the size. Raises as `read_file` does."""
    content = read_file(path, [*columns.text, *columns.of_labels], columns.names)
    if task_kind(columns.target).answers_words:
        content.values.update((name, with_lists(values)) for name, values in content.values.items())
    if columns.label_columns:
        rows = map(list, zip(*(content.values.pop(name) for name in columns.label_columns), strict=True))
        labels = LabelColumn(str(path), list(rows), names=columns.label_columns)
    else:
        labels = LabelColumn(str(path), content.values[columns.label], content.stored_names)
    read = _words if task_kind(columns.target).answers_words else _texts
    return _Part(split, path, *read(content, columns), labels, content.remark, content.lines)


def with_lists(values: Sequence[Any]) -> list[Any]:
    """The fields of a column, with lists where a field of text holds one, as in CSV files."""
    found = (written_list(value) if isinstance(value, str) else None for value in values)
    return [value if entries is None else entries for value, entries in zip(values, found, strict=True)]


def _words(content: Content, columns: Columns) -> tuple[dict[str, pa.Array], list[str]]:
    """A file's lists of words, also joined as a text, and what is wrong with them, by row."""
    (name,) = columns.text
    problems: list[str] = []
    rows: list[list[str]] = content.values.pop(name)
    for row, (words, tags) in enumerate(zip(rows, content.values[columns.label], strict=True)):
        if problem := word_problem(name, words, tags, columns.label):
            place, what = problem
            problems.append(f"{place_of(content.lines, row, place)}: {what}")
    if problems:
        return {}, problems
    return {"text": pa.array([" ".join(words) for words in rows], pa.string()), "words": pa.array(rows, WORDS)}, []


def word_problem(name: str, words: Any, tags: Any, label: str) -> tuple[int | None, str] | None:
    """The word, counted from 0, and what is wrong with it or, without a word, with the row."""
    if not isinstance(words, list):
        what = "missing" if words is None else f"{shown(words)}, not a list of words"
        return None, f"{name} is {what}; give a list of words, or use a CoNLL file (.conll)"
    if not words:
        return None, f"{name} has no words; fill it or remove the row"
    if isinstance(tags, list) and len(tags) != len(words):
        return None, (
            f"{counted(len(words), 'word')} in {name}, but {counted(len(tags), 'tag')} in {label}; give one tag for "
            "each word"
        )
    for place, word in enumerate(words):
        if not isinstance(word, str):
            return place, f"word {place + 1} of {name} is {shown(word)}, not text"
        if not word.strip():
            return place, f"word {place + 1} of {name} is empty; fill it, or remove the word and its tag"
        if not _is_unicode(word):
            return (
                place,
                f"word {place + 1} of {name} holds half of a surrogate pair, which is no character; correct it",
            )
    return None


def place_of(lines: Sequence[Sequence[int]] | None, row: int, word: int | None = None) -> str:
    """A row, counted from 0, as messages name it: by the line of its word, or its first one, where rows have lines."""
    return f"row {row + 1}" if lines is None else f"line {lines[row][word or 0]}"


def _texts(content: Content, columns: Columns) -> tuple[dict[str, pa.Array], list[str]]:
    """A file's columns of text by their names in the form, and what is wrong with them, by row.

    Columns that are of use as texts alone are taken out of the content.
    """
    texts: dict[str, pa.Array] = {}
    problems: list[str] = []
    for form, name in zip(TEXTS, columns.text, strict=False):
        values = content.values[name] if name == columns.label else content.values.pop(name)
        if (array := _plain_texts(values)) is None:
            found = list(text_problems(name, values, columns.may_be_empty))
            problems += found
            array = None if found else pa.array(values, pa.string())
        if array is not None:
            texts[form] = array
    return texts, problems


def read_unlabelled(paths: Sequence[Path], columns: Columns) -> tuple[pa.Table, list[str]]:
    """Texts without labels from one file or several, and what was decided on how to read them.

    The table has the columns `id` int64 (the row's number, from 0), `text` and, where a task has two texts,
    `text_pair`. A column of labels is not looked at. Raises UserError or StudyErrors, as `read_labelled` does.
    """
    parts, problems, remarks = [], [], []
    for path in paths:
        try:
            content = read_file(path, columns.text, columns.names)
            texts, found = _texts(content, columns)
            refuse_rows(path, found)
        except UserError as error:
            problems += error.problems
            continue
        parts.append(pa.table(texts))
        remarks += [f"{path.name}: {content.remark}"] if content.remark else []
    if problems:
        raise StudyErrors(problems)
    return _numbered(pa.concat_tables(parts)).combine_chunks(), remarks


def _table(part: _Part, columns: Columns, reading: LabelReading) -> pa.Table:
    """The form of one file, with an empty label for a rating in no range.

    Raises StudyErrors with its first bad rows.
    """
    problems = part.problems
    labels: list[Any] = []
    read = _once_each(part.labels.values, _scaled(reading.of(part.labels), columns.scale))
    for row, value in enumerate(part.labels.values):
        try:
            labels.append(read(value))
        except ValueError as error:
            place = place_of(part.lines, row, getattr(error, "word", None))
            problems.append(" ".join([f"{place}:", *([columns.label] if columns.label else []), str(error)]))
    refuse_rows(part.path, problems)
    if columns.ranges is not None:
        labels = [_in_ranges(label, columns.ranges) for label in labels if label is not None]
    return pa.table({**part.texts, "label": pa.array(labels, arrow_type(task_kind(columns.target).label_type))})


def _scaled(read: Callable[[Any], Any], scale: tuple[float, float] | None) -> Callable[[Any], Any]:
    """A function that reads labels and brings them from a scale to one from 0 to 1."""
    if scale is None:
        return read
    low, high = scale

    def scaled(value: Any) -> float:
        found: float = read(value)
        if not low <= found <= high:
            raise ValueError(
                f"is {found:g}, outside the similarities from {low:g} to {high:g}; correct it, or set similarity_range"
            )
        return (found - low) / (high - low)

    return scaled


def _once_each(values: Sequence[Any], read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that reads labels, with those of a column of texts alone read once each, since few are different."""
    if {*map(type, values)} != {str}:  # 1, 1.0 and True are one key
        return read
    known: dict[str, Any] = {}
    for value in {*values}:
        with suppress(ValueError):
            known[value] = read(value)
    return known.__getitem__ if len(known) == len({*values}) else read


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    """The parts of a split one after another, with rows numbered, without those whose rating is in no range."""
    table = _numbered(pa.concat_tables(parts))
    if table["label"].null_count:
        table = table.filter(table["label"].is_valid())
    return table.combine_chunks() if table["label"].num_chunks > 1 else table


def _numbered(table: pa.Table) -> pa.Table:
    return table.add_column(0, "id", pa.array(np.arange(len(table)), pa.int64()))


def _in_ranges(label: float, ranges: Sequence[tuple[float, float]] | None) -> float | None:
    """A label, or for a rating the index of its range; None for a rating outside all ranges."""
    if ranges is None:
        return label
    return next((index for index, (low, high) in enumerate(ranges) if low <= label <= high), None)


def _remarks(part: _Part) -> Iterator[str]:
    """What was decided on how to read a file, and what of its labels was not read as it stands."""
    path, labels = part.path, part.labels
    if part.remark:
        yield f"{path.name}: {part.remark}"
    stray = {value for value in _distinct_texts(labels.values) if value != value.strip()}
    if stray:
        rows = [row for row, value in enumerate(labels.values, start=1) if isinstance(value, str) and value in stray]
        first = f"row {rows[0]}: {shown(labels.values[rows[0] - 1])}"
        yield f"{path.name}: {counted(len(rows), 'label')} read without blanks around, the first in {first}"


def _distinct_texts(values: Sequence[Any]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def without_repeats(table: pa.Table) -> pa.Table:
    """The first row of each text (or pair of texts), compared without case and repeated blanks."""
    first: dict[tuple[str, ...], int] = {}
    for row, texts in enumerate(compared_texts(table)):
        first.setdefault(texts, row)
    return table.take(list(first.values()))


def compared_texts(table: pa.Table, columns: Sequence[str] = TEXTS) -> Iterator[tuple[str, ...]]:
    """The texts of each row in some columns, as they are compared: without case and repeated blanks."""
    names = [name for name in columns if name in table.column_names]
    for start in range(0, len(table), ROWS):
        columns = [table[name].slice(start, ROWS).to_pylist() for name in names]
        for texts in zip(*columns, strict=True):
            yield tuple(map(compared_text, texts))


def compared_text(text: str) -> str:
    """A text as it is compared: without case and repeated blanks."""
    return " ".join(text.casefold().split())


def text_problems(name: str, values: Sequence[Any], may_be_empty: bool = False) -> Iterator[str]:
    """What is wrong with the texts of a column, by row."""
    for row, value in enumerate(values, start=1):
        if problem := text_problem(value, may_be_empty):
            yield f"row {row}: {name} {problem}"


def text_problem(value: Any, may_be_empty: bool = False) -> str | None:
    """What is wrong with a text, to follow the name of its column."""
    if not isinstance(value, str):
        return f"is {'missing' if value is None else f'{shown(value)}, not text'}"
    if not may_be_empty and not value.strip():
        return "is empty; fill it or remove the row"
    if (
        not may_be_empty
        and not value[0].isalnum()
        and all(unicodedata.category(letter) in INVISIBLE for letter in value)
    ):
        return f"holds only characters that cannot be seen, as {shown(value)}; fill or remove it"
    if not _is_unicode(value):
        return "holds half of a surrogate pair, which is no character; correct the text"
    return None


def _plain_texts(values: Sequence[Any]) -> pa.Array | None:
    """The texts, if each begins with a letter or a digit, so that it is neither empty nor invisible; None otherwise.

    That nothing is wrong with them is found out so in a fraction of the time.
    """
    if {*map(type, values)} != {str} or not all(value[:1].isalnum() for value in values):
        return None
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return None


def _is_unicode(text: str) -> bool:
    """JSON can spell what UTF-8 cannot: half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
