"""Where the data of a task comes from: one class for each `source` that a study can name, in `TASK_SOURCES`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from shallower.core.errors import StudyErrors, UserError
from shallower.core.layout import SPLITS
from shallower.sources import hub
from shallower.sources.glue import GLUE_TASKS, HUB_REPOSITORY, HUB_REVISION, hub_file
from shallower.sources.labelled_files import SUFFIXES, Columns, read_labelled, without_repeats
from shallower.sources.packages import distribution_file, extract_file, path_parts
from shallower.task_kinds.registry import task_kind

# Seed of the draw when a study takes only some of a split's examples: the same ones for everybody.
SLICE_SEED = 0


class TaskSource:
    """A source of labelled text; `definition` is a study's task entry. By default the splits are files of their own."""

    def files_here(self, definition: Mapping[str, Any]) -> dict[str, Path]:
        """Files on this machine that the data is read from, whether or not they exist; none for other sources."""
        return {}

    def fetch(self, definition: Mapping[str, Any], folder: Path) -> dict[str, Path]:
        """The data files; those that have to be downloaded are put into `folder`. Raises UserError."""
        return self.files_here(definition)

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the definition, before any file is looked at."""
        yield from _column_problems(definition)

    def columns(self, definition: Mapping[str, Any]) -> Columns:
        """How rows of the data files become texts and labels."""
        ranges = definition.get("label_ranges")
        return Columns(
            tuple(definition["text"]),
            definition["label"],
            tuple(definition["labels"]) if task_kind(definition["target"]).has_classes else None,
            target=definition["target"],
            names=tuple(definition["columns"]) if "columns" in definition else None,
            ranges=tuple((low, high) for low, high in ranges) if ranges else None,
        )

    def tables(self, definition: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, pa.Table]:
        """Both splits, cut to the number of examples that the study asks for.

        Raises StudyErrors with what is wrong in either file.
        """
        columns = self.columns(definition)
        tables, problems = {}, []
        for split, path in files.items():
            try:
                tables[split] = _slice(read_labelled(path, columns), definition.get(f"{split}_examples"), path)
            except StudyErrors as error:
                problems += error.problems
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise StudyErrors(problems)
        return tables

    def pin(self, definition: Mapping[str, Any]) -> dict[str, str]:
        """What the data depends on beyond its definition, for the manifest."""
        return {}


class GlueSource(TaskSource):
    """A GLUE task from a folder, or from the hub at a pinned revision."""

    def files_here(self, definition: Mapping[str, Any]) -> dict[str, Path]:
        if not definition["directory"]:
            return {}
        directory = Path(definition["directory"])
        names = {"train": "train", "validation": GLUE_TASKS[definition["subset"]].validation}
        return {split: _existing(directory, name) for split, name in names.items()}

    def fetch(self, definition: Mapping[str, Any], folder: Path) -> dict[str, Path]:
        if definition["directory"]:
            return self.files_here(definition)
        names = {split: hub_file(definition["subset"], split) for split in SPLITS}
        return _from_hub(HUB_REPOSITORY, HUB_REVISION, names, folder)

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        yield from ()

    def columns(self, definition: Mapping[str, Any]) -> Columns:
        task = GLUE_TASKS[definition["subset"]]
        # QQP has some empty questions; GLUE is scored on them, too.
        return Columns(task.text, "label", task.labels, may_be_empty=True, target=task.target)

    def pin(self, definition: Mapping[str, Any]) -> dict[str, str]:
        return {} if definition["directory"] else {"repository": HUB_REPOSITORY, "revision": HUB_REVISION}


class FilesSource(TaskSource):
    """Two files on this machine."""

    def files_here(self, definition: Mapping[str, Any]) -> dict[str, Path]:
        return {split: Path(definition[f"{split}_file"]) for split in SPLITS}

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        yield from super().problems(definition)
        yield from _same_file(definition)


class HubSource(TaskSource):
    """Two files of a dataset repository on the Hugging Face hub, at one commit."""

    def fetch(self, definition: Mapping[str, Any], folder: Path) -> dict[str, Path]:
        names = {split: definition[f"{split}_file"] for split in SPLITS}
        return _from_hub(definition["repository"], definition["revision"], names, folder)

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        yield from super().problems(definition)
        names = [definition[f"{split}_file"] for split in SPLITS]
        if problem := hub.check_repository(definition["repository"], names):
            yield problem
        yield from (
            f"{name}: unknown kind of file; use {', '.join(SUFFIXES)}"
            for name in names
            if PurePosixPath(name).suffix not in SUFFIXES
        )
        yield from _same_file(definition)


class PackageSource(TaskSource):
    """One file inside a distribution of a Python package, divided here into training and validation examples.

    Rows with the same text are one example (the first of them counts), so that no text is in both splits. The
    validation examples are drawn first: they do not depend on how many training examples a study asks for.
    """

    def fetch(self, definition: Mapping[str, Any], folder: Path) -> dict[str, Path]:
        archive = distribution_file(definition["package"], definition["version"], definition["sha256"])
        path = folder / f"{PurePosixPath(definition['path']).stem}.{definition['format']}"
        try:
            extract_file(archive, definition["path"], path)
        except UserError as error:
            raise UserError(f"{definition['package']} {definition['version']}: {error}") from None
        return {"data": path}

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        yield from super().problems(definition)
        try:
            path_parts(definition["path"], "file")
        except UserError as error:
            yield str(error)

    def tables(self, definition: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, pa.Table]:
        path = files["data"]
        table = without_repeats(read_labelled(path, self.columns(definition)))
        num_validation = definition["validation_examples"]
        num_train = definition.get("train_examples", max(2, len(table) - num_validation))
        if num_train + num_validation > len(table):
            raise UserError(
                f"{path.name}: has {len(table)} different texts, the study asks for {num_train} to train on and "
                f"{num_validation} to validate; ask for fewer"
            )
        order = np.random.default_rng(SLICE_SEED).permutation(len(table))
        chosen = {"train": order[num_validation : num_validation + num_train], "validation": order[:num_validation]}
        return {split: table.take(np.sort(rows)) for split, rows in chosen.items()}


TASK_SOURCES: dict[str, TaskSource] = {
    "glue": GlueSource(),
    "files": FilesSource(),
    "hub": HubSource(),
    "package": PackageSource(),
}


def _from_hub(repository: str, revision: str, names: Mapping[str, str], folder: Path) -> dict[str, Path]:
    found = hub.download(repository, revision, names.values(), "dataset", folder)
    return {split: found[name] for split, name in names.items()}


def _existing(directory: Path, name: str) -> Path:
    """The file of a split, whatever its kind; the name it would have as parquet where there is none."""
    paths = [directory / f"{name}{suffix}" for suffix in SUFFIXES]
    # os.path: no error for names that are too long
    return next((path for path in paths if os.path.isfile(path)), paths[0])  # noqa: PTH113


def _same_file(definition: Mapping[str, Any]) -> Iterator[str]:
    names = [definition[f"{split}_file"] for split in SPLITS]
    if len({os.path.realpath(name) for name in names}) == 1:
        yield f"train_file and validation_file are the same file, {names[0]}; name two files without common rows"


def _column_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    if definition["label"] in definition["text"]:
        yield f"label: the column {definition['label']!r} is one of text, too; a model could read the answer"
    if "columns" in definition:
        absent = [name for name in (*definition["text"], definition["label"]) if name not in definition["columns"]]
        yield from (f"columns: has no {name!r}, which text or label names; add it" for name in absent)
    if "label_ranges" not in definition:
        return
    ranges = definition["label_ranges"]
    if definition["target"] != "classification":
        yield "label_ranges: a regression takes the numbers themselves; remove the key"
    elif len(ranges) != len(definition.get("labels", ranges)):
        yield f"label_ranges: there are {len(ranges)} for {len(definition['labels'])} labels; give one for each label"
    if upside_down := [list(pair) for pair in ranges if pair[0] > pair[1]]:
        yield f"label_ranges: {upside_down[0]} ends before it begins; write the lower number first"
    elif any(first[1] >= second[0] for first, second in zip(sorted(ranges), sorted(ranges)[1:], strict=False)):
        yield "label_ranges: two of them overlap (both ends are included); separate them"


def _slice(table: pa.Table, examples: int | None, path: Path) -> pa.Table:
    """The asked number of rows, drawn with a fixed seed and left in their order."""
    if examples is None:
        return table
    if examples > len(table):
        raise UserError(f"{path}: has {len(table)} rows, the study asks for {examples}; ask for fewer")
    chosen = np.random.default_rng(SLICE_SEED).permutation(len(table))[:examples]
    return table.take(np.sort(chosen))
