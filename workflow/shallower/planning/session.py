"""The last start of a study: what it has to do, what has failed, and whether it still runs.

The workflow records it in files that others read meanwhile, on this machine or on another one of a cluster.
"""

import logging
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from shallower.core import layout
from shallower.core.errors import system_error_text
from shallower.core.files import read_json, write_json
from shallower.core.locks import POLL_SECONDS, try_lock

logger = logging.getLogger(__name__)

# For a moment, somebody who looks whether a start still runs holds its lock.
ATTEMPTS = 4


class State(StrEnum):
    """What has become of a start. Unknown: by another machine, in a folder whose locks may hold on one machine only."""

    RUNNING = "running"
    ENDED = "ended"
    KILLED = "killed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Failure:
    """A job that has failed, or a group of jobs that run as one.

    Attributes:
        logs: of its steps.
        files: that will not be made therefore, its own and those of all jobs that depend on it, but for those that an
            earlier failure has.
    """

    logs: Sequence[str]
    files: Sequence[str]


@dataclass(frozen=True)
class Session:
    """The last start of a study. Paths are relative to the folder that it runs in, but for that of `log`.

    Attributes:
        state: what has become of it.
        started: when, in seconds since the epoch by the clock of the disk. What it makes is not older.
        log: the file of what Snakemake prints; "" where there is none.
        jobs: the files that it has to make, with the log of the job that makes each; "" where that has none.
        failures: jobs that have failed, and are not tried again.
    """

    state: State
    started: float
    log: str
    jobs: Mapping[str, str]
    failures: Sequence[Failure]


class SessionRecord:
    """Records a start of a study for others. What is not begun records nothing.

    A record that cannot be written is no reason to stop: that is logged.
    """

    def __init__(self, study: str, folder: Path = Path()) -> None:
        self._files = _Files(study, folder)
        self._lock: BaseFileLock | None = None
        self._record: dict[str, Any] = {}
        self._lost: set[str] = set()

    def begin(self, log: str, jobs: Mapping[str, str]) -> None:
        """Record a start that has certain files to make (see `Session`), and that runs until this process ends."""
        self._lock = self._locked()
        with _logging_errors():
            write_json(self._files.jobs, dict(jobs))
            self._record = {
                "started": self._files.jobs.stat().st_mtime,
                "host": platform.node(),
                "is_locked": self._lock is not None,
                "log": log,
                "failures": [],
                "has_ended": False,
            }
            self._write()

    def add_failure(self, logs: Iterable[str], files: Iterable[str]) -> None:
        """Record that a job has failed, and all files that it keeps from being made; see `Failure`."""
        if self._record:
            left = sorted({*files} - self._lost)
            self._lost.update(left)
            self._record["failures"].append({"logs": list(logs), "files": left})
            self._write()

    def end(self) -> None:
        """Record that everything is over."""
        if self._record:
            self._record["has_ended"] = True
            self._write()

    def _write(self) -> None:
        with _logging_errors():
            write_json(self._files.record, self._record)

    def _locked(self) -> BaseFileLock | None:
        """The lock by which others see that this process is there; None where the folder has none."""
        for _ in range(ATTEMPTS):
            try:
                if lock := try_lock(self._files.lock):
                    return lock
            except OSError:
                return None
            time.sleep(POLL_SECONDS)
        return None


@contextmanager
def _logging_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.warning("make status will not know of this start: %s", system_error_text(error))


def read_session(study: str, folder: Path = Path()) -> Session | None:
    """The last start of a study in a folder; None where none is on record.

    Raises UserError when its record is damaged.
    """
    files = _Files(study, folder)
    if not files.record.exists():
        return None
    record = read_json(files.record)
    failures = [Failure(**failure) for failure in record["failures"]]
    return Session(_state(record, files.lock), record["started"], record["log"], read_json(files.jobs), failures)


def _state(record: Mapping[str, Any], lock_file: Path) -> State:
    if record["has_ended"]:
        return State.ENDED
    if not record["is_locked"]:
        return State.UNKNOWN
    try:
        lock = try_lock(lock_file)
    except OSError:  # nothing can be locked from here
        return State.UNKNOWN
    if lock is None:
        return State.RUNNING
    lock.release()
    return State.KILLED if record["host"] == platform.node() else State.UNKNOWN


class _Files:
    """The files of the record. What there is to do may be long, and is written once."""

    def __init__(self, study: str, folder: Path) -> None:
        scratch = folder / layout.SCRATCH
        self.record = scratch / f"session-{study}.json"
        self.jobs = scratch / f"jobs-{study}.json"
        self.lock = scratch / f"session-{study}.lock"
