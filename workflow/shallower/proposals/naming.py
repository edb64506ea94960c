"""Names in a study that are made of the names of files and folders."""

import re
import unicodedata
from pathlib import Path

from shallower.study.file import NAME

MOST_LETTERS = 40
# Names of files that say nothing of what is in them: their folder's is better.
_GENERAL = frozenset({"train", "training", "data", "dataset", "all", "full", "file", "rows", "examples"})


def slug(text: str, otherwise: str) -> str:
    """A text as a name in a study, or another name where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")[:MOST_LETTERS]
    return name if re.fullmatch(NAME, name) else otherwise


def name_of_data(path: Path) -> str:
    """What a file of data is about, by its name or, where that is train.csv or the like, by its folder's."""
    stem = path.name.partition(".")[0].replace("*", "")
    stem = re.sub(r"(?i)[-_.]?(train|training)([-_.]?\d.*)?$", "", stem) or stem
    if stem.casefold() in _GENERAL:
        return slug(path.resolve().parent.name, "mine")
    return slug(stem, "mine")
