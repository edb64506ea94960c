"""The message about files that earlier steps have not made."""

from collections.abc import Sequence
from pathlib import Path

from shallower.core.errors import UserError

MAX_NAMED = 10


def missing_files_error(problem: str, paths: Sequence[Path], remedy: str) -> UserError:
    """An error that names the first missing files and counts the others."""
    named = "\n".join(f"  {path}" for path in paths[:MAX_NAMED])
    more = f"\n  and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
    return UserError(f"{problem}:\n{named}{more}\n{remedy}")
