"""Errors that a user can cure."""

import shlex
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake in a study, a data file or a checkpoint.

    The message names the culprit (file, key or row) and the cure. Steps print it without a traceback.
    """


class StudyErrors(UserError):
    """Everything that is wrong with a study, told at once."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        heading = f"{count} problem{'s' if count != 1 else ''} in the study:"
        super().__init__("\n".join([heading, *(f"  - {problem}" for problem in self.problems)]))


def corrupt_file_error(path: str | Path, problem: str) -> UserError:
    """The error that a file is not what it was when it was made, with the cure that costs least.

    A file of the workflow, which runs with paths relative to its folder, is made anew by itself. Snakemake then finds
    the content that it knows; in one run with other steps it would make all that depends on the file anew.
    """
    if Path(path).parts[0] not in ("resources", "results"):
        return UserError(f"{path}: {problem}; get it anew")
    return UserError(
        f"{path}: {problem}; make it anew by itself, before the next run, with: snakemake --cores all --force "
        f"{shlex.quote(str(path))} (and your --configfile)"
    )
