"""Versions of packages, and the state of the code, for manifests."""

import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The folder that studies write to.
RESULTS = "results"
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy")


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str | None]:
    """The versions of Python and of the packages that results depend on; None for one that is not installed."""
    return {"python": platform.python_version(), **{package: _version(package) for package in packages}}


def code_state(folder: str | Path, leaving_out: Sequence[str] = ()) -> dict[str, Any]:
    """The git commit of the checkout that holds `folder` and whether tracked files differ from it.

    Published results are tracked, but no code: they may differ, as may files and folders of `leaving_out`, by their
    paths in the checkout. Both None outside a checkout, without git, or before the first commit.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return {"commit": None, "dirty": None}
    left_out = [f":(top,exclude){path}" for path in (RESULTS, *leaving_out)]
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":/", *left_out)
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: str | Path, *arguments: str) -> str | None:
    try:
        # --no-optional-locks: several runs may call git at once.
        answer = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
