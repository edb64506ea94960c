"""Files of rows (parquet, CSV, TSV, JSON lines), read as they stand: the columns that are used, each as a list."""

import csv
import gzip
import json
import os
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import LFS_POINTER
from shallower.sources.conll import read_sentences
from shallower.sources.quoting import quoting
from shallower.task_kinds.base import listed

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".conll", ".conllu")
# Other names of these, in small letters; files of text may also be compressed.
OTHER_SUFFIXES = {".ndjson": ".jsonl", ".json": ".jsonl", ".iob": ".conll", ".bio": ".conll", ".iob2": ".conll"}
GZIP = ".gz"

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
    LFS_POINTER: "a pointer of Git LFS",
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
        lines: of each row the lines of its words, in files that have a word a line.
    """

    names: list[str]
    values: dict[str, list[Any]]
    stored_names: Sequence[str] | None = None
    remark: str | None = None
    lines: list[list[int]] | None = None


def saved_problem(folder: Path) -> str | None:
    """What is to be done about a folder of datasets' save_to_disk, with all splits or with one; None for others."""
    for name, split in (("dataset_dict.json", '["train"]'), ("dataset_info.json", "")):
        if os.path.isfile(folder / name):  # noqa: PTH113 (no error for names that are too long)
            return (
                "is a folder of datasets' save_to_disk; write it as parquet: "
                f'datasets.load_from_disk(folder){split}.to_parquet("train.parquet")'
            )
    return None


def kind_of(name: str | PurePath) -> str | None:
    """Which of `SUFFIXES` a file is by its name; None for other files."""
    path = PurePath(name)
    is_packed = path.suffix.lower() == GZIP
    suffix = (path.with_suffix("") if is_packed else path).suffix.lower()
    kind = OTHER_SUFFIXES.get(suffix, suffix)
    return kind if kind in SUFFIXES and not (is_packed and kind == ".parquet") else None


def open_text(path: Path, newline: str | None = None) -> TextIO:
    """A file of text, compressed or not, as open() would open it."""
    if path.suffix.lower() == GZIP:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline=newline)
    return path.open(encoding="utf-8-sig", newline=newline)


def composed(name: str) -> str:
    """A name with composed letters, by which columns are found: some systems write é as e and an accent."""
    return unicodedata.normalize("NFC", name)


def read_file(path: Path, used: Sequence[str], header: Sequence[str] | None) -> Content:
    """The columns `used` of a file, the one of labels last; `header` names all, where the file has no line of names.

    Raises UserError when the file is missing, empty, of an unknown kind, not UTF-8, or lacks a column or has it twice,
    and StudyErrors with the first rows that cannot be read, counted from 1 without the header.
    """
    content = _content(path, [*map(composed, used)], [*map(composed, header)] if header else None, None)
    check_columns(path, content.names, [*map(composed, used)], f" ({content.remark})" if content.remark else "")
    if not content.values[composed(used[-1])]:
        raise UserError(f"{path}: no rows; a task needs examples")
    return replace(content, values={name: content.values[composed(name)] for name in used})


def read_beginning(path: Path, header: Sequence[str] | None, most_rows: int) -> Content:
    """The first rows of a file with all its columns, but for those whose name another one has, too.

    Of class names that the file itself has there are none. Raises as `read_file` does.
    """
    content = _content(path, None, [*map(composed, header)] if header else None, most_rows)
    check_columns(path, content.names, [])
    if not any(content.values.values()):
        raise UserError(f"{path}: no rows; a task needs examples")
    return content


def _content(path: Path, used: Sequence[str] | None, header: Sequence[str] | None, most_rows: int | None) -> Content:
    """What a file holds: all its columns where none are named, and the first rows where a number of them is given."""
    with _readable(path) as kind:
        return _READERS[kind](path, used, header, most_rows)


def first_line(path: Path) -> str:
    """The first line of a file of text, without its end. Raises UserError as `read_file` does."""
    with _readable(path), open_text(path) as file:
        return file.readline().rstrip("\r\n")


@contextmanager
def _readable(path: Path) -> Iterator[str]:
    """The kind of a file, to be read in the block. Raises UserError for what is wrong with it before, or there."""
    if saved := saved_problem(path):
        raise UserError(f"{path}: {saved}")
    if os.path.isdir(path):  # noqa: PTH112 (no error for names that are too long)
        raise UserError(
            f"{path}: is a folder; name the file of rows in it, or several with a pattern such as train-*.parquet"
        )
    if (kind := kind_of(path)) is None:
        raise UserError(f"{path}: unknown kind of file; use {', '.join(SUFFIXES)}")
    with _naming_file(path, kind):
        if not path.exists():
            raise UserError(f"{path}: file not found")
        if not path.is_file():
            raise UserError(f"{path}: is not a file; name a file of rows")
        if packed := _packed_kind(path, kind):
            fix = "get the file itself with: git lfs pull" if "Git LFS" in packed else "unpack or convert it"
            raise UserError(f"{path}: is {packed}, not {kind[1:]}; {fix}")
        yield kind


def check_columns(path: Path, names: Sequence[str], used: Sequence[str], hint: str = "") -> None:
    """Raise UserError, with a hint, unless each column that is used is there, and once only."""
    if not names:
        raise UserError(f"{path}: the file is empty")
    if repeated := [name for name in used if names.count(name) > 1]:
        raise UserError(f"{path}: two columns are called {', '.join(map(repr, repeated))}; rename one of them")
    if missing := [name for name in used if name not in names]:
        raise UserError(f"{path}: no column {', '.join(map(repr, missing))}; it has {listed(names)}{hint}")


def refuse_rows(path: Path, problems: Sequence[str]) -> None:
    """Raise StudyErrors with the first problems, if there are any."""
    if problems:
        shown = [f"{path}: {problem}" for problem in problems[:MAX_REPORTED_ROWS]]
        rest = len(problems) - MAX_REPORTED_ROWS
        raise StudyErrors([*shown, *([f"{path}: {rest} more problems like these"] if rest > 0 else [])])


@contextmanager
def _naming_file(path: Path, kind: str) -> Iterator[None]:
    """Turn what readers raise into a UserError that names the file and a fix."""
    try:
        yield
    except UnicodeDecodeError:
        raise UserError(f"{path}: line {_first_bad_line(path)} is not UTF-8; convert the file to UTF-8") from None
    except (csv.Error, pa.ArrowException, ValueError, EOFError, zlib.error, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:MAX_REPORTED_CHARACTERS]
        raise UserError(
            f"{path}: cannot be read as {kind[1:]} ({reason or type(error).__name__}); write the file again"
        ) from None
    except OSError as error:
        # Arrow raises OSError without a number for damaged content.
        reason = error.strerror or " ".join(str(error).split())[:MAX_REPORTED_CHARACTERS]
        raise UserError(f"{path}: cannot be read ({reason}); check the file") from None


def _packed_kind(path: Path, kind: str) -> str | None:
    """What a file is by its first bytes, where that is none of the kinds that can be read, or another one."""
    with path.open("rb") as file:
        start = file.read(max(map(len, PACKED)))
    magic = next((magic for magic in PACKED if start.startswith(magic)), None)
    is_right = magic is None or (magic == b"PAR1" and kind == ".parquet")
    is_right = is_right or (magic == b"\x1f\x8b" and path.suffix.lower() == GZIP)
    return None if is_right or magic is None else PACKED[magic]


def _first_bad_line(path: Path) -> int:
    content = (gzip.decompress if path.suffix.lower() == GZIP else bytes)(path.read_bytes())
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    raise AssertionError(f"{path} was not UTF-8 a moment ago")


def _read_parquet(path: Path, used: Sequence[str] | None, _: Sequence[str] | None, most_rows: int | None) -> Content:
    with pq.ParquetFile(path) as file:  # not a table by path, which takes folder names such as a=1 for columns
        schema = file.schema_arrow
        names = [*map(composed, schema.names)]
        wanted = names if used is None else used
        present = {name: schema.names[names.index(name)] for name in wanted if names.count(name) == 1}
        if most_rows is None:
            table = file.read(columns=[*present.values()])
        else:
            batches = islice(file.iter_batches(most_rows, columns=[*present.values()]), 1)
            table = pa.Table.from_batches(batches, pa.schema([schema.field(name) for name in present.values()]))
    try:
        values = {name: table.column(stored).to_pylist() for name, stored in present.items()}
    except UnicodeDecodeError as error:
        raise ValueError(f"a text is not UTF-8: {error.reason}") from None
    except OverflowError as error:
        raise ValueError(f"a column holds dates instead of texts: {error}") from None
    return Content(names, values, _class_names(schema, present.get(used[-1], "")) if used else None)


def _class_names(schema: pa.Schema, label: str) -> Sequence[str] | None:
    """Names of the classes where `datasets` stored them in a parquet file's schema."""
    stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    for key in ("info", "features", label):
        stored = stored.get(key) if isinstance(stored, dict) else None
    if isinstance(stored, dict) and "feature" in stored:  # of a list's entries
        stored = stored["feature"]
    elif isinstance(stored, list) and len(stored) == 1:  # the same in another spelling
        stored = stored[0]
    stored = stored.get("names") if isinstance(stored, dict) else None
    return stored if isinstance(stored, list) and all(isinstance(name, str) for name in stored) else None


def _read_separated(
    path: Path, used: Sequence[str] | None, header: Sequence[str] | None, most_rows: int | None
) -> Content:
    is_tsv = kind_of(path) == ".tsv"
    newline = _line_end(path)
    style: dict[str, Any] = {"delimiter": "\t" if is_tsv else ",", "strict": True}
    fix, remark = "put texts with commas or quotation marks in quotation marks", None
    if is_tsv:
        with open_text(path, newline) as file:
            found = quoting(file, has_header=header is None)
        if not found.is_used:
            style["quoting"] = csv.QUOTE_NONE
        fix, remark = "texts with tabs or line breaks must be in quotation marks, in all of the file", found.remark
    with open_text(path, newline) as file:
        reader = csv.reader(file, **style)
        names = list(header) if header else [*map(composed, next(reader, []))]
        wanted = [name for name in names if names.count(name) == 1] if used is None else used
        places = {name: names.index(name) for name in wanted if name in names}
        values: dict[str, list[Any]] = {name: [] for name in places}
        problems = []
        try:
            for row, fields in enumerate(islice((fields for fields in reader if fields), most_rows), start=1):
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
    with open_text(path) as file:
        file.readline()
        return "\r" if file.newlines == "\r" else "\n"


def _read_json_lines(path: Path, used: Sequence[str] | None, _: Sequence[str] | None, most_rows: int | None) -> Content:
    names: dict[str, None] = {}
    values: dict[str, list[Any]] = {name: [] for name in used or ()}
    problems = []
    for row, found in enumerate(islice(json_array(path) or _json_lines(path), most_rows), start=1):
        if isinstance(found, str):
            problems.append(f"row {row} {found}")
        elif not isinstance(found, dict):
            problems.append(f"row {row} is not a JSON object; write one object a line")
        else:
            names |= dict.fromkeys(found)
            for name in names if used is None else used:
                if name not in values:  # no row before has it
                    values[name] = [None] * (row - 1)
                values[name].append(found.get(name))
    refuse_rows(path, problems)
    return Content(list(names), values)


def _json_lines(path: Path) -> Iterator[Any]:
    """The value of each line, or what is wrong with it, as text."""
    with open_text(path) as file:
        for line in file:
            if line.strip():
                try:
                    found = json.loads(line, object_pairs_hook=_unrepeated)
                    yield None if isinstance(found, str) else found
                except json.JSONDecodeError as error:
                    yield f"is not JSON ({error.msg} at character {error.colno})"
                except (ValueError, RecursionError) as error:
                    yield f"cannot be read ({error})"


def json_array(path: Path) -> list[Any] | None:
    """The objects of a file that is one JSON array of them, whatever it is called; None for other files."""
    with open_text(path) as file:
        start = file.read(MAX_REPORTED_CHARACTERS)
        if not start.lstrip().startswith("["):
            return None
        try:
            found = json.loads(start + file.read(), object_pairs_hook=_unrepeated)
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError):
            return None  # the lines say what is wrong
    return found if all(isinstance(each, dict) for each in found) else None


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    pairs = [(composed(name), value) for name, value in pairs]
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return content


def _read_conll(path: Path, used: Sequence[str] | None, header: Sequence[str] | None, most_rows: int | None) -> Content:
    with open_text(path) as file:
        found = read_sentences(file, used, header, is_conllu=kind_of(path) == ".conllu")
    refuse_rows(path, found.problems)
    values = {name: column[:most_rows] for name, column in found.values.items()}
    return Content(found.names, values, remark=found.remark, lines=found.lines)


_READERS = {
    ".parquet": _read_parquet,
    ".csv": _read_separated,
    ".tsv": _read_separated,
    ".jsonl": _read_json_lines,
    ".conll": _read_conll,
    ".conllu": _read_conll,
}
