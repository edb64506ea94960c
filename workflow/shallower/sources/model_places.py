"""Places that hold a model's files: a repository of the hub, or a folder on disk or inside a wheel."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Protocol

from shallower.core.errors import UserError
from shallower.core.files import LFS_POINTER
from shallower.models.folder import CONFIG, WEIGHTS, WEIGHTS_INDEX
from shallower.sources.hub import download, list_files

WEIGHT_NAMES = {WEIGHTS, WEIGHTS_INDEX}


class ModelPlace(Protocol):
    """A place that has a model's files; `pin` goes into the manifest and identifies the version that was read."""

    @property
    def pin(self) -> Mapping[str, str]:
        """Which version of the model was read, for the manifest."""

    def names(self) -> list[str]:
        """Names of the files there."""

    def inner_models(self) -> list[str]:
        """Sub-folders with a model, such as the checkpoints of a training."""

    def fetch(self, names: Iterable[str], directory: Path) -> None:
        """Copy files, which must be there, into a folder."""


@dataclass(frozen=True)
class HubPlace:
    """One commit of a model repository on the Hugging Face hub."""

    repository: str
    revision: str

    @property
    def pin(self) -> Mapping[str, str]:
        return {"revision": self.revision}

    def names(self) -> list[str]:
        return list_files(self.repository, self.revision)

    def inner_models(self) -> list[str]:
        files = {tuple(name.rsplit("/", 1)) for name in self.names() if "/" in name}
        return sorted({folder for folder, name in files if name in WEIGHT_NAMES and (folder, CONFIG) in files})

    def fetch(self, names: Iterable[str], directory: Path) -> None:
        download(self.repository, self.revision, names, "model", directory)


@dataclass(frozen=True)
class FolderPlace:
    """A folder on disk or inside a wheel."""

    folder: Traversable
    pin: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        try:
            return sorted(path.name for path in self.folder.iterdir() if path.is_file())
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be read ({error.strerror}); check its permissions") from None

    def inner_models(self) -> list[str]:
        folders = {path.name: {file.name for file in path.iterdir()} for path in self.folder.iterdir() if path.is_dir()}
        return sorted(folder for folder, names in folders.items() if CONFIG in names and names & WEIGHT_NAMES)

    def check(self, names: Iterable[str]) -> None:
        """Raise UserError when one of these files, as far as they are there, is only a pointer of Git LFS."""
        for name in names:
            if not (self.folder / name).is_file():
                continue
            with _opened(self.folder, name) as file:
                if file.read(len(LFS_POINTER)) == LFS_POINTER:
                    raise UserError(
                        f"{name} is a pointer of Git LFS, not the file itself; fetch it with git lfs pull, in the "
                        "folder that git cloned"
                    )

    def fetch(self, names: Iterable[str], directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not (self.folder / name).is_file():
                raise UserError(f"{self.folder} has no file {name}, which {WEIGHTS_INDEX} names; add it")
            self.check([name])
            (directory / name).parent.mkdir(exist_ok=True)
            with _opened(self.folder, name) as source, (directory / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _opened(folder: Traversable, name: str) -> IO[bytes]:
    try:
        return (folder / name).open("rb")
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}); check its permissions") from None
