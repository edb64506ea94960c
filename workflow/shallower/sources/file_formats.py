"""Files of rows (parquet, CSV, TSV, JSON lines), read as they stand: the columns that are used, each as a list."""

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
from shallower.sources.quoting import quoting
from shallower.task_kinds.base import listed

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
class Content:
    """What a file holds.

    Attributes:
        names: all its columns, in their order.
        values: the columns that are used, row by row.
        stored_names: class names that the file itself has for the ids in its column of labels, if any.
        remark: what was decided on how to read it, where files of its kind differ.
    """

    names: list[str]
    values: dict[str, list[Any]]
    stored_names: Sequence[str] | None = None
    remark: str | None = None


def read_file(path: Path, used: Sequence[str], header: Sequence[str] | None) -> Content:
    """The columns `used` of a file, the one of labels last; `header` names all, where the file has no line of names.

    Raises UserError when the file is missing, empty, of an unknown kind, not UTF-8, or lacks a column or has it twice,
    and StudyErrors with the first rows that cannot be read, counted from 1 without the header.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown kind of file; use {', '.join(SUFFIXES)}")
    with _naming_file(path):
        if not path.exists():
            raise UserError(f"{path}: file not found")
        if not path.is_file():
            raise UserError(f"{path}: is not a file; name a file of labelled rows")
        if packed := _packed_kind(path):
            raise UserError(f"{path}: is {packed}, not {path.suffix[1:]}; unpack or convert it")
        content = _READERS[path.suffix](path, used, header)
    names = content.names
    if not names:
        raise UserError(f"{path}: the file is empty")
    if repeated := [name for name in used if names.count(name) > 1]:
        raise UserError(f"{path}: two columns are called {', '.join(map(repr, repeated))}; rename one of them")
    hint = f" ({content.remark})" if content.remark else ""
    if missing := [name for name in used if name not in names]:
        raise UserError(f"{path}: no column {', '.join(map(repr, missing))}; it has {listed(names)}{hint}")
    if not content.values[used[-1]]:
        raise UserError(f"{path}: no rows; a split needs labelled examples")
    return content


def refuse_rows(path: Path, problems: Sequence[str]) -> None:
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


def _read_parquet(path: Path, used: Sequence[str], _: Sequence[str] | None) -> Content:
    with pq.ParquetFile(path) as file:  # not a table by path, which takes folder names such as a=1 for columns
        schema = file.schema_arrow
        present = [name for name in used if schema.names.count(name) == 1]
        table = file.read(columns=present)
    try:
        values = {name: table.column(name).to_pylist() for name in present}
    except UnicodeDecodeError as error:
        raise ValueError(f"a text is not UTF-8: {error.reason}") from None
    return Content(schema.names, values, _class_names(schema, used[-1]))


def _class_names(schema: pa.Schema, label: str) -> Sequence[str] | None:
    """Names of the classes where `datasets` stored them in a parquet file's schema."""
    stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    for key in ("info", "features", label, "names"):
        stored = stored.get(key) if isinstance(stored, dict) else None
    return stored if isinstance(stored, list) and all(isinstance(name, str) for name in stored) else None


def _read_separated(path: Path, used: Sequence[str], header: Sequence[str] | None) -> Content:
    is_tsv = path.suffix == ".tsv"
    newline = _line_end(path)
    style: dict[str, Any] = {"delimiter": "\t" if is_tsv else ",", "strict": True}
    fix, remark = "put texts with commas or quotation marks in quotation marks", None
    if is_tsv:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            found = quoting(file, has_header=header is None)
        if not found.is_used:
            style["quoting"] = csv.QUOTE_NONE
        fix, remark = "texts with tabs or line breaks must be in quotation marks, in all of the file", found.remark
    with path.open(encoding="utf-8-sig", newline=newline) as file:
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
    refuse_rows(path, problems)
    return Content(names, values, remark=remark)


def _line_end(path: Path) -> str:
    """What a file's lines end in, by its first line, for open(): other line breaks are part of a text."""
    with path.open(encoding="utf-8-sig") as file:
        file.readline()
        return "\r" if file.newlines == "\r" else "\n"


def _read_json_lines(path: Path, used: Sequence[str], _: Sequence[str] | None) -> Content:
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
    refuse_rows(path, problems)
    return Content(list(names), values)


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
