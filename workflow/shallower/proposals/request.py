"""What a user asks of `make study`: files and options, and what the study is called."""

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from shallower.core.errors import UserError
from shallower.core.layout import SPLITS, STUDY, TEST
from shallower.proposals.choice import Asked
from shallower.sources.file_formats import composed
from shallower.sources.layouts import local_files
from shallower.study.file import NAME

SHARES = (80, 10, 10)
SEED = 1
SUFFIXES = (".yaml", ".yml")
MOST_LETTERS = 40
# Names of files that say nothing of what is in them: their folder's is better.
_GENERAL = frozenset({"train", "training", "data", "dataset", "all", "full", "file", "rows", "examples"})


@dataclass(frozen=True)
class Request:
    """Files and options.

    Attributes:
        files: the file, or the pattern of files, of each split that was given; "train" always is.
        asked: what was said of columns and kind.
        labels: names of the classes.
        columns: names of all columns, for files without a line of names.
        model: the model, as `propose_model` takes it.
        name: of the study.
        output: the study's file.
        seed: by which rows are divided; None for `SEED`.
        shares: per cent of the splits that rows are divided into; None for `SHARES`, of large files fewer to
            validate and test on.
        leaves_out: whether rows that lack a text or the label are left out.
        template: a study whose first model, training, budget and delivery are the defaults.
    """

    files: dict[str, str]
    asked: Asked = field(default_factory=Asked)
    labels: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    model: str | None = None
    name: str | None = None
    output: str | None = None
    seed: int | None = None
    shares: tuple[int, ...] | None = None
    leaves_out: bool = False
    template: str = "config.yaml"

    @property
    def paths(self) -> dict[str, list[Path]]:
        """The files of each split that was given."""
        return {split: local_files(name) for split, name in self.files.items()}

    @property
    def study_name(self) -> str:
        """The study's name: as asked for, or after its data; of train.csv and the like, after the folder."""
        if self.name:
            return slug(self.name, "")
        path = Path(self.files[SPLITS[0]])
        stem = path.name.partition(".")[0].replace("*", "")
        stem = re.sub(r"(?i)[-_.]?(train|training)([-_.]?\d.*)?$", "", stem) or stem
        return slug(path.resolve().parent.name if stem.casefold() in _GENERAL else stem, "mine")

    @property
    def study_file(self) -> Path:
        """The file of the study."""
        return Path(self.output or f"studies/{self.study_name}.yaml")

    @property
    def data_folder(self) -> Path:
        """The folder of rows that were divided, one for each study."""
        return Path("data", self.study_name)

    @property
    def is_divided(self) -> bool:
        """Whether the training file is to be divided."""
        return SPLITS[1] not in self.files

    @property
    def division_seed(self) -> int:
        """The seed by which rows are divided."""
        return SEED if self.seed is None else self.seed

    @property
    def divided_shares(self) -> dict[str, int]:
        """Per cent of each split that the training file is divided into; what the test split would get, train gets."""
        shares = dict(zip((*SPLITS, TEST), self.shares or SHARES, strict=True))
        if TEST in self.files:
            shares[SPLITS[0]] += shares.pop(TEST)
        return shares

    def check(self) -> None:
        """Raise UserError for options that cannot be, and for files and folders that would be overwritten."""
        if self.name and self.study_name != self.name:
            raise UserError(
                f"NAME={self.name}: write letters (a to z), digits, '_', '.' and '-', {MOST_LETTERS} at most"
            )
        if self.study_file.suffix not in SUFFIXES:
            raise UserError(f"OUTPUT={self.output}: a study's file ends in .yaml")
        shares = None if self.shares is None else ",".join(map(str, self.shares))
        if not self.is_divided:
            for name, value in (("SEED", self.seed), ("SHARES", shares)):
                if value is not None:
                    raise UserError(f"{name}={value}: is for a file that is divided; with VALIDATION, leave it out")
        if self.shares is not None and (len(self.shares) != 3 or sum(self.shares) != 100 or min(self.shares) < 1):
            raise UserError(
                f"SHARES={shares}: give three whole numbers that sum to 100, for train, "
                "validation and test, such as SHARES=80,10,10"
            )
        if self.division_seed < 0:
            raise UserError(f"SEED={self.seed}: write a whole number of at least 0")
        if self.leaves_out and not self.is_divided:
            raise UserError("INCOMPLETE=leave-out: is for a file that is divided; with VALIDATION, correct the files")
        places = {self.study_file: "choose another file with OUTPUT=, or another name with NAME="}
        if self.is_divided:
            places[self.data_folder] = "choose another name with NAME=, or move the folder away"
        places[Path(STUDY.format(study=self.study_name))] = "a study of this name has run: choose another with NAME="
        for place, ways in places.items():
            if place.exists() or place.is_symlink():
                raise UserError(f"{place}: is there already, and nothing is overwritten; {ways}")


def slug(text: str, otherwise: str) -> str:
    """A text as a name in a study, or another name where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")[:MOST_LETTERS]
    return name if re.fullmatch(NAME, name) else otherwise


def names(text: str) -> tuple[str, ...]:
    """Names in an option, separated by commas."""
    return tuple(composed(name.strip()) for name in text.split(","))
