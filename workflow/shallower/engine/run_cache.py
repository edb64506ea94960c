"""Identical runs are trained once: a lock keeps them apart in time, a record leads the later one to the result.

Runs are identical when their keys are: all that a result depends on, as JSON. Strategies often agree on what to drop
(of 6 layers, `top` and `even-alternate` both drop the uppermost first), and the result is the same model each time.
"""

import fcntl
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import atomic_write, read_json, sha256_of, write_json

logger = logging.getLogger(__name__)

# What a finished run is copied by. The tokenizer is no part of the training, the manifest is in the record.
RESULT_FILES = ("model.safetensors", "config.json", "training.jsonl")


@contextmanager
def exclusive_lock(lock: str | Path, label: str) -> Iterator[None]:
    """Hold a lock file while the block runs; wait, saying so, while another process on this machine holds it.

    The operating system releases the lock of a process that dies, so none is ever stale. The empty file stays: a
    process may already be waiting for it.
    """
    lock = Path(lock)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("%s: an identical run is at work; waiting for its result", label)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            # Some cluster file systems have no locks. Runs that happen to be identical then get in each other's way.
            logger.warning("%s: no lock on %s (%s); if an identical run breaks off, run again", label, lock, error)
        yield


class FinishedRun:
    """The record of the last finished run with a key: its folder, its files' SHA-256 and its manifest.

    `file` is the record's JSON file; only a process that holds the key's lock may use it.
    """

    def __init__(self, file: str | Path, key: Any) -> None:
        self.file = Path(file)
        self.key = key

    def write(self, folder: str | Path, manifest: Mapping[str, Any]) -> None:
        """Put on record that the run in `folder` is complete."""
        sha256 = {name: sha256_of(Path(folder) / name) for name in RESULT_FILES}
        record = {"key": self.key, "folder": str(folder), "sha256": sha256, "manifest": dict(manifest)}
        write_json(self.file, record)

    def copy_to(self, folder: str | Path) -> dict[str, Any] | None:
        """Copy the recorded run's files into a folder and return the manifest for them; None if that cannot be.

        The manifest is that of the training, and `trained_as` names the folder it was done for: none where that is this
        very folder, as after a kill of the workflow alone, whose training went on. A record is left aside when it is of
        another key, or when its files are gone or have changed since.
        """
        folder = Path(folder)
        if not self.file.exists():
            return None
        try:
            record = read_json(self.file)
            source = Path(record["folder"])
            if record["key"] != self.key:
                return None
            if source.resolve() == folder.resolve():
                for name in RESULT_FILES:
                    _verify(source / name, record["sha256"][name])
                return dict(record["manifest"])
            folder.mkdir(parents=True, exist_ok=True)
            for name in RESULT_FILES:
                _copy_verified(source / name, folder / name, record["sha256"][name])
            return {"trained_as": record["folder"], **record["manifest"]}
        except (UserError, OSError, KeyError, TypeError) as error:
            logger.info("the record %s is of no use (%s); training", self.file, error)
            return None


def _copy_verified(source: Path, target: Path, sha256: str) -> None:
    """Copy a file. Raises UserError, and leaves no copy, when the content is not the expected one."""
    with atomic_write(target) as part:
        shutil.copyfile(source, part)
        _verify(part, sha256, source)


def _verify(file: Path, sha256: str, source: Path | None = None) -> None:
    if sha256_of(file) != sha256:
        raise UserError(f"{source or file} has changed since it was recorded")
