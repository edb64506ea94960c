"""Files on this machine that a study's models and tasks are made of, which rules have as inputs."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.sources.local_data import FOLDER, SETTLED_NS
from shallower.sources.model_sources import model_source
from shallower.sources.tasks import task_files
from shallower.sources.unlabelled import unlabelled_files

# Digests of files that were read, which spare each start of Snakemake reading them again.
RECORD = FOLDER / "contents.json"


def local_model_files(definition: Mapping[str, Any]) -> list[str]:
    """Files of a model on this machine whose content its import depends on; none for other sources."""
    return model_source(definition).own_files(definition)


def local_task_files(definition: Mapping[str, Any]) -> list[str]:
    """Data files on this machine that a task is made of; none for other sources."""
    return [str(path) for paths in task_files(definition).values() for path in paths]


def local_unlabelled_files(definition: Mapping[str, Any]) -> list[str]:
    """Files on this machine of a task's texts without labels."""
    return [str(path) for path in unlabelled_files(definition)]


def content_of(files: Sequence[str]) -> str:
    """A digest of the content of files; "" where there are none.

    As a parameter of a rule it has the rule's job run again whenever they hold something else, and then alone: for
    Snakemake a file of an older date, as of one that was moved or copied with its date, has not changed.
    """
    if not files:
        return ""
    digests = "\n".join(map(_digest, files))
    return sha256(digests.encode()).hexdigest()[:16]


def _digest(name: str) -> str:
    """The SHA-256 of a file, which is read again only when it has changed; "" where it cannot be read."""
    known = _known(Path.cwd())
    with suppress(OSError, UserError):  # steps report what cannot be read
        found = Path(name).stat()
        state = [found.st_size, found.st_mtime_ns, found.st_ino]
        if known.get(name, [])[:-1] != state:
            digest = sha256_of(name)
            # What changed just now may change again without a trace.
            if time.time_ns() - found.st_mtime_ns < SETTLED_NS:
                return digest
            known[name] = [*state, digest]
            write_json(RECORD, known)
        return str(known[name][-1])
    return ""


@cache
def _known(folder: Path) -> dict[str, list[Any]]:
    """What a working directory has recorded: size, time of change, inode and SHA-256 of each file."""
    with suppress(UserError, TypeError, ValueError):  # not there, or damaged
        return dict(read_json(folder / RECORD))
    return {}
