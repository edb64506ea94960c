"""What is found in a task's files on this machine, kept by their content, so that large files are read once.

Every start of the workflow asks. A record in `.scratch` has the SHA-256 of the files that it is of and the digest of
the code that read them; what was wrong with files is not recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shallower.core.code_digest import code_digest, code_files
from shallower.core.errors import UserError
from shallower.core.files import canonical_json, fingerprint, read_json, write_json
from shallower.sources.file_digests import FOLDER, digest_of

LIBRARY = Path(__file__).parents[2]


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


# SHA-256 of each file, by split and path.
_Digests = Mapping[str, Mapping[str, str]]

_known: dict[tuple[str, str], LocalData] = {}


def kept(
    definition: Mapping[str, Any], files: Mapping[str, Sequence[Path]], reader: Path, read: Callable[[], LocalData]
) -> LocalData:
    """What `read` finds in the files of a definition, from a record where there is one of the same content.

    `reader` is the module of `read`: a record by other code does not count.
    """
    try:
        name = fingerprint(definition)
        digests = _digests(files)
    except (OSError, TypeError, ValueError):  # a file that is not there, or keys that no study has
        return read()
    if not any(digests.values()):
        return read()
    key = (name, canonical_json(digests))
    if key not in _known:
        found = _recorded(definition, digests, reader)
        if found is None:
            found = read()
            with suppress(OSError, UnicodeEncodeError):  # a folder that cannot be written to; a name that is not UTF-8
                # What changed while it was read is not recorded.
                if not found.problems and _digests(files) == digests:
                    _record(definition, digests, reader, found)
        _known[key] = found
    return _known[key]


def _digests(files: Mapping[str, Sequence[Path]]) -> _Digests:
    return {split: {str(path): digest_of(path) for path in paths} for split, paths in files.items()}


def _file(definition: Mapping[str, Any]) -> Path:
    return FOLDER / f"{fingerprint(definition)}.json"


def _recorded(definition: Mapping[str, Any], digests: _Digests, reader: Path) -> LocalData | None:
    """The record of these files; None where there is none, or their content is another."""
    with suppress(UserError, OSError, KeyError, TypeError):
        record = read_json(_file(definition))
        if [record["definition"], record["code"], record["files"]] == [definition, _code(reader), digests]:
            return LocalData((), record["rows"], record["repeats"])
    return None


def _record(definition: Mapping[str, Any], digests: _Digests, reader: Path, found: LocalData) -> None:
    record = {"definition": definition, "code": _code(reader), "files": digests}
    write_json(_file(definition), record | {"rows": found.rows, "repeats": found.repeats})


@cache
def _code(reader: Path) -> str:
    return code_digest(code_files(reader, LIBRARY), LIBRARY)
