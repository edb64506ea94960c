"""Files: JSON, CSV text and checksums; every file is written atomically."""

import csv
import glob
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.signals import is_alive

# What a file begins with that Git LFS has not fetched.
LFS_POINTER = b"version https://git-lfs"


def local_path(name: str) -> Path:
    """A file or folder of this machine, where ~ is the home directory, as in a shell."""
    return Path(name if os.path.exists(name) else os.path.expanduser(name))  # noqa: PTH110, PTH111 (never raises)


def read_json(path: str | Path) -> Any:
    """Parse a JSON file.

    Raises UserError, naming the file, when it is missing, cannot be read or is not valid JSON (which has no NaN).
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise corrupt_file_error(path, f"not valid JSON ({error})") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON with sorted keys: equal content gives equal bytes. Raises ValueError for NaN and infinity."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """CSV of a header and rows; None is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file, atomically."""
    with atomic_write(path) as part:
        part.write_bytes(content)


def abandoned_parts(path: Path) -> Iterator[Path]:
    """What processes that are no more have left next to `path`, of what was to become it: `.NAME.PROCESS.part`."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        writer = part.suffixes[-2][1:]
        if writer.isdigit() and not is_alive(int(writer)):
            yield part


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary file in the same folder, to be written in the block and then renamed to `path`.

    Readers never see a partly written file. The temporary file is removed when the block fails; those of processes that
    were killed are removed by the next write to `path`. OSErrors name `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in abandoned_parts(path):
        part.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with naming_errors(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming_errors(path: str | Path) -> Iterator[None]:
    """OSErrors of writing in the block name this file or folder; many are raised without a file name.

    Errors of the system that the safetensors library raises as its own become OSErrors.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and not str(error.filename).endswith(".part")):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    except SafetensorError as error:
        if (number := re.search(r"\(os error (\d+)\)", str(error))) is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(content: Any) -> str:
    """One line of JSON with sorted keys: equal content gives equal text, whatever the order of keys, 1.0 as 1."""
    return json.dumps(plain_numbers(content), sort_keys=True, ensure_ascii=False, allow_nan=False)


def ascii_json(content: Any) -> str:
    """The same in ASCII, for command lines: every locale passes it on unchanged."""
    return json.dumps(plain_numbers(content), sort_keys=True, allow_nan=False)


def plain_numbers(content: Any) -> Any:
    """The same content with whole floats as integers: a setting that is written 1 or 1.0 is the same."""
    match content:
        case float() if content.is_integer() and abs(content) < 2**53:
            return int(content)
        case Mapping():
            return {key: plain_numbers(value) for key, value in content.items()}
        case list() | tuple():
            return [plain_numbers(value) for value in content]
        case _:
            return content


def fingerprint(content: Any) -> str:
    """Eight hexadecimal digits of the SHA-256 of a JSON-like definition."""
    return hashlib.sha256(canonical_json(content).encode("utf-8")).hexdigest()[:8]
