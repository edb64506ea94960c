"""Errors that a user can cure."""

from collections.abc import Iterable


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
