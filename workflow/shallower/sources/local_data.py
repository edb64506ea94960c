"""What is found in a task's files on this machine, kept by their content, so that large files are read once.

Every start of the workflow asks. A record in `.scratch` has the sizes, times and SHA-256 of the files that it is of,
and the digest of the code that read them; what was wrong with files is not recorded. A file that has only been touched
is compared by its SHA-256. One that was written moments ago is read each time, since another write might leave its size
and time.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shallower.core.code_digest import code_digest, code_files
from shallower.core.errors import UserError
from shallower.core.files import fingerprint, read_json, sha256_of, write_json
from shallower.core.layout import SCRATCH

FOLDER = Path(SCRATCH) / "checked"
LIBRARY = Path(__file__).parents[2]
# Within this time of its last change a file may be changed again without a trace.
SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class LocalData:
    """What was found in a task's files.

    Attributes:
        problems: what is wrong with them; nothing else is known then.
        rows: number of examples, by split.
        repeats: numbers of rows that are there more than once (`shallower.sources.repeats`).
    """

    problems: tuple[str, ...] = ()
    rows: Mapping[str, int] | None = None
    repeats: Mapping[str, int] | None = None


@dataclass(frozen=True)
class _State:
    """A file as the file system knows it."""

    path: str
    size: int
    mtime_ns: int


_known: dict[tuple[Path, str, tuple[_State, ...]], LocalData] = {}


def kept(
    definition: Mapping[str, Any], files: Mapping[str, Sequence[Path]], reader: Path, read: Callable[[], LocalData]
) -> LocalData:
    """What `read` finds in the files of a definition, from a record where there is one of the same content.

    `reader` is the module of `read`: a record by other code does not count.
    """
    try:
        name = fingerprint(definition)
        states = tuple(_state(path) for paths in files.values() for path in paths)
    except (OSError, TypeError, ValueError):  # a file that is not there, or keys that no study has
        return read()
    if not states or any(time.time_ns() - state.mtime_ns < SETTLED_NS for state in states):
        return read()
    key = (Path.cwd(), name, states)  # paths are relative to the working directory
    if key not in _known:
        _known[key] = _recorded(definition, states, reader) or _read(definition, states, reader, read)
    return _known[key]


def _state(path: Path) -> _State:
    found = path.stat()
    return _State(str(path), found.st_size, found.st_mtime_ns)


def _file(definition: Mapping[str, Any]) -> Path:
    return FOLDER / f"{fingerprint(definition)}.json"


def _recorded(definition: Mapping[str, Any], states: Sequence[_State], reader: Path) -> LocalData | None:
    """The record of these files; None where there is none, or their content is another."""
    with suppress(UserError, OSError, KeyError, TypeError):
        record = read_json(_file(definition))
        if record["code"] != _code(reader) or record["definition"] != definition:
            return None
        stored = [
            (_State(*(file[key] for key in ("path", "size", "mtime_ns"))), file["sha256"]) for file in record["files"]
        ]
        if [(state.path, state.size) for state, _ in stored] != [(state.path, state.size) for state in states]:
            return None
        found = LocalData((), record["rows"], record["repeats"])
        touched = [(now, sha256) for now, (before, sha256) in zip(states, stored, strict=True) if now != before]
        if any(sha256_of(now.path) != sha256 for now, sha256 in touched):
            return None
        if touched:
            _write(definition, states, [sha256 for _, sha256 in stored], reader, found)
        return found
    return None


def _read(
    definition: Mapping[str, Any], states: Sequence[_State], reader: Path, read: Callable[[], LocalData]
) -> LocalData:
    found = read()
    if not found.problems:
        with suppress(OSError):  # a folder that cannot be written to
            _write(definition, states, [sha256_of(state.path) for state in states], reader, found)
    return found


def _write(
    definition: Mapping[str, Any], states: Sequence[_State], digests: Sequence[str], reader: Path, found: LocalData
) -> None:
    files = [asdict(state) | {"sha256": digest} for state, digest in zip(states, digests, strict=True)]
    record = {"definition": definition, "code": _code(reader), "files": files}
    with suppress(OSError):
        write_json(_file(definition), record | {"rows": found.rows, "repeats": found.repeats})


@cache
def _code(reader: Path) -> str:
    return code_digest(code_files(reader, LIBRARY), LIBRARY)
