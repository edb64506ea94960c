"""Labelled text in files (parquet, CSV, TSV, JSON lines), read into one form and checked row by row.

The form is a table with the columns `id` int64 (the row's number in the file, from 0), `text` string,
`text_pair` string where a task has two texts, and `label`, read and stored as the kind of task says.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shallower.core.errors import StudyErrors, UserError
from shallower.task_kinds.base import TaskKind, listed, shown
from shallower.task_kinds.registry import task_kind

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")

# How many bad rows a message lists, and how much of a value or of a library's message it quotes.
MAX_REPORTED_ROWS = 10
MAX_REPORTED_CHARACTERS = 200

# How files begin that are often taken for text: archives, spreadsheets, compressed files.
PACKED = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"\x1f\x8b": "compressed (gzip)",
    b"BZh": "compressed (bzip2)",
    b"\xfd7zXZ": "compressed (xz)",
    b"\x28\xb5\x2f\xfd": "compressed (zstd)",
    b"PAR1": "parquet",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}

csv.field_size_limit(2**31 - 1)  # a long text is no reason to refuse a row


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are used, and how its labels are read.

    Attributes:
        text: one or two columns of text.
        label: the column of the label.
        labels: class names in the order of their ids; None for a kind of task without classes.
        may_be_empty: whether empty texts are taken as they are, as a published data set has them.
        names: the columns' names in their order, for CSV and TSV files without a header.
        ranges: for each class the lowest and the highest number (both included) that counts as it, for files whose
            labels are ratings. Rows with a rating in no range are left out.
        target: the kind of task, which reads the labels.
    """

    text: tuple[str, ...]
    label: str
    labels: tuple[str, ...] | None
    may_be_empty: bool = False
    names: tuple[str, ...] | None = None
    ranges: tuple[tuple[float, float], ...] | None = None
    target: str = "classification"


def read_labelled(path: str | Path, columns: Columns) -> pa.Table:
    """Read one file into the form that the module's text describes.

    Raises UserError when the file is missing, empty, of an unknown kind, not UTF-8, or lacks a column or has it twice,
    and StudyErrors with the first bad rows, counted from 1 without the header, when texts or labels are not what they
    should be.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown kind of file; use {', '.join(SUFFIXES)}")
    used = [*columns.text, columns.label]
    with _naming_file(path):
        if not path.exists():
            raise UserError(f"{path}: file not found")
        if not path.is_file():
            raise UserError(f"{path}: is not a file; name a file of labelled rows")
        if packed := _packed_kind(path):
            raise UserError(f"{path}: is {packed}, not {path.suffix[1:]}; unpack or convert it")
        names, values, stored_names = _READERS[path.suffix](path, used, columns.names)
    check_columns(path, names, used)
    if not values[columns.label]:
        raise UserError(f"{path}: no rows; a split needs labelled examples")

    problems: list[str] = []
    for name in columns.text:
        problems += _text_problems(name, values[name], columns.may_be_empty)
    labels: list[float | None] = []
    kind = task_kind(columns.target)
    for row, value in enumerate(values[columns.label], start=1):
        try:
            labels.append(_label(value, columns, kind, stored_names))
        except ValueError as error:
            problems.append(f"row {row}: {columns.label} {error}")
    _refuse_rows(path, problems)
    texts = zip(("text", "text_pair"), columns.text, strict=False)
    table = pa.table(
        {
            "id": pa.array(range(len(labels)), pa.int64()),
            **{name: pa.array(values[column], pa.string()) for name, column in texts},
            "label": pa.array(labels, kind.label_dtype),
        }
    )
    table = table.filter(table["label"].is_valid())
    if not len(table):
        raise UserError(f"{path}: no {columns.label} is in any of the label_ranges; correct them")
    return table


def check_columns(path: Path, names: Sequence[str], used: Sequence[str]) -> None:
    """Raise UserError unless each column that is used is there, and once only."""
    if not names:
        raise UserError(f"{path}: the file is empty")
    if repeated := [name for name in used if names.count(name) > 1]:
        raise UserError(f"{path}: two columns are called {', '.join(map(repr, repeated))}; rename one of them")
    if missing := [name for name in used if name not in names]:
        raise UserError(f"{path}: no column {', '.join(map(repr, missing))}; it has {listed(names)}")


def without_repeats(table: pa.Table) -> pa.Table:
    """The first row of each text (or pair of texts), compared without case and repeated blanks."""
    names = [name for name in ("text", "text_pair") if name in table.column_names]
    first: dict[tuple[str, ...], int] = {}
    for row, texts in enumerate(zip(*(table[name].to_pylist() for name in names), strict=True)):
        first.setdefault(tuple(" ".join(text.casefold().split()) for text in texts), row)
    return table.take(list(first.values()))


def _refuse_rows(path: Path, problems: Sequence[str]) -> None:
    """Raise StudyErrors with the first problems, if there are any."""
    if problems:
        shown = [f"{path}: {problem}" for problem in problems[:MAX_REPORTED_ROWS]]
        rest = len(problems) - MAX_REPORTED_ROWS
        raise StudyErrors([*shown, *([f"{path}: {rest} more problems like these"] if rest > 0 else [])])


@contextmanager
def _naming_file(path: Path) -> Iterator[None]:
    """Turn what readers raise into a UserError that names the file and a fix."""
    try:
        yield
    except UnicodeDecodeError:
        raise UserError(f"{path}: line {_first_bad_line(path)} is not UTF-8; convert the file to UTF-8") from None
    except (csv.Error, pa.ArrowException, ValueError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:MAX_REPORTED_CHARACTERS]
        raise UserError(
            f"{path}: cannot be read as {path.suffix[1:]} ({reason or type(error).__name__}); write the file again"
        ) from None
    except OSError as error:
        # Arrow raises OSError without a number for damaged content.
        reason = error.strerror or " ".join(str(error).split())[:MAX_REPORTED_CHARACTERS]
        raise UserError(f"{path}: cannot be read ({reason}); check the file") from None


def _packed_kind(path: Path) -> str | None:
    """What a file is by its first bytes, where that is none of the kinds that can be read, or another one."""
    with path.open("rb") as file:
        start = file.read(6)
    found = next((kind for magic, kind in PACKED.items() if start.startswith(magic)), None)
    return None if found == path.suffix[1:] else found


def _first_bad_line(path: Path) -> int:
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    raise AssertionError(f"{path} was not UTF-8 a moment ago")


# Readers return the names of all columns, the values of the used ones, and the class names stored in the file.
_Read = tuple[list[str], dict[str, list[Any]], Sequence[str] | None]


def _read_parquet(path: Path, used: Sequence[str], _: Sequence[str] | None) -> _Read:
    with pq.ParquetFile(path) as file:  # not a table by path, which takes folder names such as a=1 for columns
        schema = file.schema_arrow
        present = [name for name in used if schema.names.count(name) == 1]
        table = file.read(columns=present)
    try:
        values = {name: table.column(name).to_pylist() for name in present}
    except UnicodeDecodeError as error:
        raise ValueError(f"a text is not UTF-8: {error.reason}") from None
    return schema.names, values, _class_names(schema, used[-1])


def _class_names(schema: pa.Schema, label: str) -> Sequence[str] | None:
    """Names of the classes where `datasets` stored them in a parquet file's schema."""
    stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    for key in ("info", "features", label, "names"):
        stored = stored.get(key) if isinstance(stored, dict) else None
    return stored if isinstance(stored, list) and all(isinstance(name, str) for name in stored) else None


def _read_separated(path: Path, used: Sequence[str], header: Sequence[str] | None) -> _Read:
    # TSV files in the wild, GLUE's among them, hold quotation marks that quote nothing.
    style: dict[str, Any]
    if path.suffix == ".tsv":
        style, fix = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}, "texts must not hold tabs or line breaks"
    else:
        style, fix = {"strict": True}, "put texts with commas or quotation marks in quotation marks"
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, **style)
        names = list(header) if header else next(reader, [])
        places = {name: names.index(name) for name in used if name in names}
        values: dict[str, list[Any]] = {name: [] for name in places}
        problems = []
        try:
            for row, fields in enumerate((fields for fields in reader if fields), start=1):
                if len(fields) == len(names):
                    for name, place in places.items():
                        values[name].append(fields[place])
                else:
                    expected = f"the study names {len(names)}" if header else f"the header {len(names)}"
                    problems.append(f"row {row} has {len(fields)} fields, {expected}; {fix}")
        except csv.Error as error:
            problems.append(f"line {reader.line_num} cannot be read ({error}); {fix}")
    _refuse_rows(path, problems)
    return names, values, None


def _read_json_lines(path: Path, used: Sequence[str], _: Sequence[str] | None) -> _Read:
    names: dict[str, None] = {}
    values: dict[str, list[Any]] = {name: [] for name in used}
    problems = []
    with path.open(encoding="utf-8-sig") as file:
        for row, line in enumerate((line for line in file if line.strip()), start=1):
            try:
                content = json.loads(line, object_pairs_hook=_unrepeated)
            except json.JSONDecodeError as error:
                problems.append(f"row {row} is not JSON ({error.msg} at character {error.colno})")
                continue
            except (ValueError, RecursionError) as error:
                problems.append(f"row {row} cannot be read ({error})")
                continue
            if not isinstance(content, dict):
                problems.append(f"row {row} is not a JSON object; write one object a line")
                continue
            names |= dict.fromkeys(content)
            for name in used:
                values[name].append(content.get(name))
    _refuse_rows(path, problems)
    return list(names), values, None


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return content


_READERS = {
    ".parquet": _read_parquet,
    ".csv": _read_separated,
    ".tsv": _read_separated,
    ".jsonl": _read_json_lines,
}


def _text_problems(name: str, values: Sequence[Any], may_be_empty: bool) -> Iterator[str]:
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str):
            yield f"row {row}: {name} is {'missing' if value is None else f'{shown(value)}, not text'}"
        elif not may_be_empty and not value.strip():
            yield f"row {row}: {name} is empty; fill it or remove the row"
        elif not _is_unicode(value):
            yield f"row {row}: {name} holds half of a surrogate pair, which is no character; correct the text"


def _is_unicode(text: str) -> bool:
    """JSON can spell what UTF-8 cannot: half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _label(value: Any, columns: Columns, kind: TaskKind, stored_names: Sequence[str] | None) -> float | None:
    """A label as an id or a number, or None for a rating outside all ranges.

    Raises ValueError with what is wrong, to follow the column's name.
    """
    if columns.ranges is None:
        return kind.read_label(value, columns.labels, stored_names)
    rating = task_kind("regression").read_label(value, None, None)
    return next((index for index, (low, high) in enumerate(columns.ranges) if low <= rating <= high), None)
