"""Where the files of a task are on this machine: as a study names them, or in a folder of GLUE as people have it."""

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from shallower.core.files import local_path
from shallower.sources.file_formats import GZIP, OTHER_SUFFIXES, SUFFIXES, saved_problem

# Parts of a split, as the hub names them: train-00000-of-00003.parquet.
_PART = re.compile(r"(.+)-[0-9]{5}-of-([0-9]{5})\.[^-]+")

# Folders of GLUE's original zip, whose files have other columns than the hub's.
ORIGINAL_FOLDERS = {
    "cola": "CoLA",
    "mnli": "MNLI",
    "mrpc": "MRPC",
    "qnli": "QNLI",
    "qqp": "QQP",
    "rte": "RTE",
    "sst2": "SST-2",
    "stsb": "STS-B",
    "wnli": "WNLI",
}


def local_files(name: str) -> list[Path]:
    """The file of that name, or all files that match it, in the order of their names, where there is none."""
    path = local_path(name)
    if os.path.exists(path) or not glob.has_magic(name):  # noqa: PTH110 (never raises)
        return [path]
    return sorted(map(Path, glob.glob(str(path), recursive=True))) or [path]  # noqa: PTH207 (as a shell does)


def split_files(directory: Path, name: str) -> list[Path]:
    """The file of a split of GLUE or its parts; the name it would have as parquet where there is none."""
    endings = [*SUFFIXES, *OTHER_SUFFIXES]
    endings += [f"{ending}{GZIP}" for ending in endings if ending != ".parquet"]
    paths = [directory / f"{name}{ending}" for ending in endings]
    # os.path: no error for names that are too long
    whole = next((path for path in paths if os.path.isfile(path)), None)  # noqa: PTH113
    parts = [path for path in _listed(directory) if path.suffix == ".parquet" and name == _split_and_parts(path)[0]]
    return [whole] if whole else parts or paths[:1]


def layout_problems(directory: Path, subset: str, files: Sequence[Path]) -> Iterator[str]:
    """What is wrong with a folder of a GLUE task, and what is to be done; `files` are those of its splits."""
    yield from version_problems(files)
    for (name, total), count in Counter(map(_split_and_parts, files)).items():
        if total and count != total:
            yield f"{directory}: {count} of {total} parts of {name} are there; get all of one version"
    missing = [path for path in files if not os.path.exists(path)]  # noqa: PTH110
    if missing and (other := _other_layout(directory, subset)):
        yield f"{directory}: {other}"
    elif missing:
        there = ", ".join(path.name for path in _listed(directory)[:10]) or "no files"
        yield (f"{missing[0]}: file not found; a GLUE folder holds the files of nyu-mll/glue ({directory} has {there})")


def version_problems(files: Iterable[Path]) -> Iterator[str]:
    """Splits that are there twice, in different numbers of parts: read together, they would have each row twice."""
    totals: dict[Path, set[int]] = defaultdict(set)
    for path in files:
        name, total = _split_and_parts(path)
        totals[path.with_name(name)].add(total)
    for split, found in totals.items():
        if len(found) > 1:
            numbers = " and ".join(map(str, sorted(found)))
            yield (
                f"{split.parent}: the parts of {split.name} are of versions with {numbers} parts; remove those of all "
                "versions but one"
            )


def _split_and_parts(path: Path) -> tuple[str, int]:
    """The split that a file is a part of by its name, and of how many; the whole name and 0 for other files."""
    match = _PART.fullmatch(path.name)
    return (match[1], int(match[2])) if match else (path.name, 0)


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _other_layout(directory: Path, subset: str) -> str | None:
    """Which other layout of GLUE a folder has, with a remedy."""
    if saved := saved_problem(directory) or saved_problem(directory / "train"):
        return saved
    has_dev = any(path.name.startswith("dev") for path in _listed(directory))
    if has_dev or any(path.suffix in (".tsv", ".txt") for path in _listed(directory.parent / ORIGINAL_FOLDERS[subset])):
        return (
            "GLUE as its original zip has it (dev.tsv, columns of its own) is not read; use the files of nyu-mll/glue "
            "on the Hugging Face hub, or glue_directory: null, which downloads them"
        )
    return None
