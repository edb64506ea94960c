"""Errors that a user can fix."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from shallower.core.wording import counted


class UserError(Exception):
    """A mistake in a study, a data file or a checkpoint.

    The message names what is wrong (file, key or row) and a remedy. Steps print it without a traceback.
    """


class StudyErrors(UserError):
    """All problems of a study, reported together."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        heading = f"{counted(len(self.problems), 'problem')} in the study:"
        super().__init__("\n".join([heading, *(f"  - {problem}" for problem in self.problems)]))


def snakemake_command(*arguments: str | Path) -> str:
    """The command that makes a part of a study, as remedies name it, to be pasted into a shell."""
    return f"snakemake --cores all {shlex.join(map(str, arguments))} (and your --configfile)"


def corrupt_file_error(path: str | Path, problem: str) -> UserError:
    """The error that the content of a file has changed or is invalid, with the cheapest remedy.

    A file of the workflow, whose paths are relative to its folder, is recreated alone. Snakemake then finds the content
    that it has on record; if the next run recreated the file, it would rerun all steps that depend on it.
    """
    if Path(path).parts[0] not in ("resources", "results"):
        return UserError(f"{path}: {problem}; download it again")
    command = snakemake_command("--force", path)
    return UserError(f"{path}: {problem}; recreate this file alone, before the next run, with: {command}")
