"""Files on this machine that a study's models and tasks are made of, which rules have as inputs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

from shallower.sources.file_digests import digest_of
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
    digests = "\n".join(map(_digest, files))
    return sha256(digests.encode()).hexdigest()[:16]


def _digest(name: str) -> str:
    """The SHA-256 of a file; "" where it cannot be read, which steps report."""
    with suppress(OSError):
        return digest_of(name)
    return ""
