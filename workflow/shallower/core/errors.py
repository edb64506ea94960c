"""Errors that a user can fix."""

import errno
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from shallower.core.wording import counted

# Errors of the system that are no bugs, and what the user can do.
REMEDIES = {
    errno.ENOSPC: "free some space and run again; finished runs and checkpoints are kept",
    errno.EDQUOT: "free some of your quota and run again; finished runs and checkpoints are kept",
    errno.EROFS: "make it writable, or run in a folder that is, and run again",
    errno.EACCES: "make it readable and writable for you and run again",
    errno.EPERM: "make it readable and writable for you and run again",
    errno.ENOTDIR: "a file stands where a folder should be; move it away and run again",
    errno.EEXIST: "a file stands where a folder should be; move it away and run again",
    errno.EIO: "check the disk, or the connection to it, and run again",
    errno.ESTALE: "check the connection to the disk and run again",
    errno.EMFILE: "raise the limit of open files (ulimit -n) and run again",
}


class UserError(Exception):
    """A mistake in a study, a data file or a checkpoint.

    The message names what is wrong (file, key or row) and a remedy. Steps print it without a traceback.
    """

    @property
    def problems(self) -> list[str]:
        """What is wrong, problem by problem."""
        return [str(self)]


class StudyErrors(UserError):
    """All problems of a study, reported together."""

    def __init__(self, problems: Iterable[str]) -> None:
        self._problems = list(problems)
        heading = f"{counted(len(self._problems), 'problem')} in the study:"
        super().__init__("\n".join([heading, *(f"  - {problem}" for problem in self._problems)]))

    @property
    def problems(self) -> list[str]:
        return self._problems


def snakemake_command(*arguments: str | Path) -> str:
    """The command that makes a part of a study, as remedies name it, to be pasted into a shell."""
    return f"snakemake --cores all {shlex.join(map(str, arguments))} (and your --configfile)"


def system_error_text(error: OSError) -> str:
    """What an error of the system says: the file, what is wrong with it, and a remedy."""
    # Of two names the second is that of the file written, as when a file is copied.
    path = error.filename2 or error.filename or "a file"
    number = error.errno or 0
    return f"{path}: {os.strerror(number)}; {REMEDIES.get(number, 'run again')}"


def corrupt_file_error(path: str | Path, problem: str) -> UserError:
    """The error that the content of a file has changed or is invalid, with the cheapest remedy.

    A file of the workflow, whose paths are relative to its folder, is recreated alone. Snakemake then finds the content
    that it has on record; if the next run recreated the file, it would rerun all steps that depend on it.
    """
    if Path(path).parts[0] not in ("resources", "results"):
        return UserError(f"{path}: {problem}; download it again")
    command = snakemake_command("--force", path)
    return UserError(f"{path}: {problem}; recreate this file alone, before the next run, with: {command}")
