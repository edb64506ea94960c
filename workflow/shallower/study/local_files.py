"""Files on this machine that a study's models and tasks are made of, which rules have as inputs."""

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from shallower.core.files import sha256_of
from shallower.sources.model_sources import model_source
from shallower.sources.tasks import task_files
from shallower.sources.unlabelled import unlabelled_files


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
    digests = [_digest(name, *_state(name)) for name in files]
    return sha256("\n".join(digests).encode()).hexdigest()[:16]


def _state(name: str) -> tuple[int, int, int]:
    try:
        found = Path(name).stat()
    except OSError:  # which Snakemake reports, as an input that is not there
        return (0, 0, 0)
    return found.st_size, found.st_mtime_ns, found.st_ino


@cache
def _digest(name: str, size: int, mtime_ns: int, inode: int) -> str:
    return sha256_of(name) if inode else ""
