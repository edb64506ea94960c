"""Studies in a clean copy of this repository, and names of folders in which an interrupted comparison goes on."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contest import BENCHMARKS, LIBRARY, ROOT, Usage, machine, run_process
from shallower.core.files import fingerprint, sha256_of


def comparison_key(settings: Mapping[str, Any]) -> str:
    """Name of the folder of a comparison: one with other settings, code or machine does not go on with it."""
    # Not the commit: results are tracked, and change the state of the repository as they are written.
    where = {name: value for name, value in machine("").items() if name not in ("commit", "date")}
    code = [sha256_of(file) for folder in (LIBRARY, BENCHMARKS) for file in sorted(folder.rglob("*.py"))]
    return fingerprint({"settings": settings, "where": where, "code": code})


def copy_repository(folder: Path) -> Path:
    """A clean copy: the files that git tracks or would, as they are now, without results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not name.startswith("results/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def run_study(
    copy: Path, config: str, cores: int, targets: Sequence[Path] = (), environment: Mapping[str, str] | None = None
) -> Usage:
    """Run the study of a file in a copy of the repository, to its report or to `targets`; its log is next to the file.

    A run that was cut off before goes on; nobody else uses the copy, so that a lock in it is a leftover.
    """
    options = ["--cores", str(cores), "--rerun-incomplete", "--nolock", "--configfile", config]
    command = [sys.executable, "-m", "snakemake", *map(str, targets), *options]
    return run_process(command, (copy / config).with_suffix(".log"), environment, copy)
