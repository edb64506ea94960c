"""SHA-256 of files on this machine, recorded, so that large ones are not read again at each start of the workflow.

The record, in `.scratch`, goes by size, time of change and inode. A file that was written moments ago is read each
time, since another write might leave all three.
"""

import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.core.layout import SCRATCH

# What is known of files on this machine.
FOLDER = Path(SCRATCH) / "checked"
RECORD = FOLDER / "sha256.json"
# Within this time of its last change a file may be changed again without a trace.
SETTLED_NS = 2_000_000_000


def digest_of(path: str | Path) -> str:
    """The SHA-256 of a file, which is read only if it has changed since the last time.

    Raises:
        OSError: the file cannot be read.
    """
    name, known = str(path), _known(Path.cwd())
    found = Path(path).stat()
    state = [found.st_size, found.st_mtime_ns, found.st_ino]
    if known.get(name, [])[:-1] == state:
        return str(known[name][-1])
    is_settled = time.time_ns() - found.st_mtime_ns >= SETTLED_NS
    digest = sha256_of(path)
    if is_settled:
        known[name] = [*state, digest]
        with suppress(OSError, UnicodeEncodeError):  # a folder that cannot be written to; a name that is not UTF-8
            write_json(RECORD, known)
    return digest


@cache
def _known(folder: Path) -> dict[str, list[Any]]:
    """What a working directory has recorded: size, time of change, inode and SHA-256 of each file."""
    with suppress(UserError, AttributeError):  # not there, or damaged
        record = read_json(folder / RECORD).items()
        return {name: known for name, known in record if isinstance(known, list) and len(known) == 4}
    return {}
