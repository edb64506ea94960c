"""The last start of a study: what it has to make, what has failed, and whether it still runs.

The workflow records it in files that others read meanwhile, on this machine or on another one of a cluster.
"""

import atexit
import json
import logging
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from shallower.core import layout
from shallower.core.files import ascii_json, read_json, write_text
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
    """The last start of a study. Paths are relative to the folder that it runs in.

    Attributes:
        state: what has become of it.
        started: when, in seconds since the epoch by the clock of the disk. What it makes is not older.
        log: the file of what Snakemake prints; "" where there is none.
        jobs: the files that it has to make, with the log of the job that makes each; "" where that has none.
        temporary: those of them that are deleted after their use.
        failures: jobs that have failed, and are not tried again.
    """

    state: State
    started: float
    log: str
    jobs: Mapping[str, str]
    temporary: frozenset[str]
    failures: Sequence[Failure]


class SessionRecord:
    """Records a start of a study for others, unless another start of that study runs.

    What is not begun records nothing. A record that cannot be written is no reason to stop: that is logged.
    """

    def __init__(self, study: str, folder: Path = Path()) -> None:
        self._study = study
        self._files = _Files(study, folder)
        self._lock: BaseFileLock | None = None
        self._has_begun = False
        self._lost: set[str] = set()

    def begin(self, log: str, jobs: Mapping[str, str], temporary: Iterable[str] = ()) -> None:
        """Record a start that has certain files to make (see `Session`), until `end`, or until this process ends."""
        with self._logging_errors():
            if not self._get_lock():
                logger.warning("another start of study %s runs; make status shows that one alone", self._study)
                return
            # First, so that no record of an earlier start is taken for one of this.
            for file in (self._files.start, self._files.failures):
                file.unlink(missing_ok=True)
            _write(self._files.jobs, {"jobs": dict(jobs), "temporary": list(temporary)})
            self._files.running.touch()
            start = {
                "started": self._files.jobs.stat().st_mtime,
                "host": platform.node(),
                "is_locked": self._lock is not None,
                "log": os.path.relpath(log) if log else "",
            }
            _write(self._files.start, start)
            self._has_begun = True
            atexit.register(self.end)
        if not self._has_begun:
            self._release()

    def add_failure(self, logs: Iterable[str], files: Iterable[str]) -> None:
        """Record that a job has failed, and all files that it keeps from being made; see `Failure`."""
        if self._has_begun:
            left = sorted({*files} - self._lost)
            self._lost.update(left)
            line = ascii_json({"logs": list(logs), "files": left})
            with self._logging_errors(), self._files.failures.open("a", encoding="ascii") as failures:
                failures.write(line + "\n")

    def end(self) -> None:
        """Record that everything is over. Needs no space on the disk."""
        if self._has_begun:
            self._has_begun = False
            atexit.unregister(self.end)
            with self._logging_errors():
                self._files.running.unlink(missing_ok=True)
            self._release()

    def _get_lock(self) -> bool:
        """Lock the record, by which others see that this process is there; False while another process does that.

        Where the folder has no locks, it is not locked.
        """
        for _ in range(ATTEMPTS):
            with suppress(OSError):
                if (lock := try_lock(self._files.lock)) is None:
                    time.sleep(POLL_SECONDS)
                    continue
                self._lock = lock
            return True
        return False

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @contextmanager
    def _logging_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            logger.warning("make status will not know all of this start: %s", error)


def read_session(study: str, folder: Path = Path()) -> Session | None:
    """The last start of a study in a folder; None where none is on record.

    Raises UserError when its record is damaged.
    """
    files = _Files(study, folder)
    if not files.start.exists():
        return None
    start, to_make = read_json(files.start), read_json(files.jobs)
    lines = files.failures.read_text(encoding="ascii").splitlines() if files.failures.exists() else []
    failures = []
    for line in lines:
        with suppress(ValueError):  # the last one, while it is written, or of a full disk
            failures.append(Failure(**json.loads(line)))
    return Session(
        _state(start, files),
        start["started"],
        start["log"],
        to_make["jobs"],
        frozenset(to_make["temporary"]),
        failures,
    )


def _state(start: Mapping[str, Any], files: "_Files") -> State:
    if not files.running.exists():
        return State.ENDED
    if not start["is_locked"]:
        return State.UNKNOWN
    try:
        lock = try_lock(files.lock)
    except OSError:  # nothing can be locked from here
        return State.UNKNOWN
    if lock is None:
        return State.RUNNING
    lock.release()
    return State.KILLED if start["host"] == platform.node() else State.UNKNOWN


def _write(file: Path, content: Any) -> None:
    """Write JSON in ASCII: not all names of files are text."""
    write_text(file, ascii_json(content) + "\n")


class _Files:
    """The files of the record."""

    def __init__(self, study: str, folder: Path) -> None:
        folder = folder / layout.SCRATCH / "sessions" / study
        self.start = folder / "start.json"
        # Long, in a large study.
        self.jobs = folder / "jobs.json"
        # A line of JSON for each.
        self.failures = folder / "failures.jsonl"
        # There as long as the start runs, and after it was killed.
        self.running = folder / "running"
        self.lock = folder / "lock"
