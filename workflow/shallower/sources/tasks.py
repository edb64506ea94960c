"""Where tasks come from: GLUE, one's own files, data sets on the hub, the installed documentation."""

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import sha256_of, write_json, write_whole
from shallower.core.provenance import code_state, versions
from shallower.sources import hub
from shallower.sources.docstrings import DOCS_TASKS, check_sizes, installed_versions, make_examples
from shallower.sources.glue import GLUE_TASKS, HUB_REPOSITORY, HUB_REVISION, hub_file
from shallower.sources.labelled_files import SUFFIXES, Columns, labelled_table, read_labelled
from shallower.task_kinds.registry import task_kind

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation")
TASK = "task.json"

# Seed of the draw when a study takes only some of a split's examples: the same ones for everybody.
SLICE_SEED = 0


def fetch_task(definition: Mapping[str, Any], target_dir: str | Path) -> None:
    """Bring a task into one form: train.parquet, validation.parquet, task.json and manifest.json.

    The tables are those of `shallower.sources.labelled_files`. Raises UserError with what is wrong with the data, or
    when a download fails.
    """
    target_dir = Path(target_dir)
    with tempfile.TemporaryDirectory(prefix="shallower-") as folder:
        files = _fetch_files(definition, Path(folder))
        tables = _tables(definition, files)
        originals = {split: {"file": path.name, "sha256": sha256_of(path)} for split, path in files.items()}
    for split, table in tables.items():
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_whole(target_dir / f"{split}.parquet", sink.getvalue().to_pybytes())
        logger.info("%s: %d examples", split, len(table))
    labels = _labels(definition)
    write_json(
        target_dir / TASK,
        {
            "name": definition["name"],
            "target": task_target(definition),
            "labels": list(labels) if labels else None,
            "has_pair": "text_pair" in tables["train"].column_names,
            "rows": {split: len(table) for split, table in tables.items()},
        },
    )
    names = [*(f"{split}.parquet" for split in tables), TASK]
    write_json(
        target_dir / "manifest.json",
        {
            "source": dict(definition),
            "originals": originals,
            "versions": versions(("numpy", "pyarrow")),
            **_origin(definition),
            "code": code_state(Path(__file__).parent),
            "sha256": {name: sha256_of(target_dir / name) for name in names},
        },
    )


def _origin(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What the data depends on beyond its definition."""
    match definition["source"]:
        case "glue" if not definition["directory"]:
            return {"repository": HUB_REPOSITORY, "revision": HUB_REVISION}
        case "installed-docs":
            return {"versions": installed_versions()}
        case _:
            return {}


def task_files(definition: Mapping[str, Any]) -> list[Path]:
    """Files on this machine that hold the task, whether or not they exist; none for other sources."""
    return list(_local_files(definition).values())


def check_task(definition: Mapping[str, Any]) -> list[str]:
    """What is wrong with a task, as far as it can be seen without a download."""
    try:
        if definition["source"] == "installed-docs":
            sizes = {split: definition[f"{split}_examples"] for split in SPLITS}
            return [problem] if (problem := check_sizes(definition["kind"], sizes)) else []
        if problems := list(_definition_problems(definition)):
            return problems
        if files := _local_files(definition):
            _tables(definition, files)
    except StudyErrors as error:
        return error.problems
    except UserError as error:
        return [str(error)]
    return []


def _definition_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a task of one's own, before any file is looked at."""
    if definition["source"] not in ("files", "hub"):
        return
    if definition["label"] in definition["text"]:
        yield f"label: the column {definition['label']!r} is one of text, too; a model could read the answer"
    names = [definition[f"{split}_file"] for split in SPLITS]
    if definition["source"] == "hub":
        if problem := hub.check_repository(definition["repository"], names):
            yield problem
        yield from (
            f"{name}: unknown kind of file; use {', '.join(SUFFIXES)}"
            for name in names
            if PurePosixPath(name).suffix not in SUFFIXES
        )
    if len({os.path.realpath(name) for name in names}) == 1:
        yield f"train_file and validation_file are the same file, {names[0]}; name two files without common rows"


def _local_files(definition: Mapping[str, Any]) -> dict[str, Path]:
    match definition["source"]:
        case "files":
            return {split: Path(definition[f"{split}_file"]) for split in SPLITS}
        case "glue" if definition["directory"]:
            directory = Path(definition["directory"])
            names = {"train": "train", "validation": GLUE_TASKS[definition["subset"]].validation}
            return {split: _existing(directory, name) for split, name in names.items()}
        case _:
            return {}


def _existing(directory: Path, name: str) -> Path:
    """The file of a split, whatever its kind; the name it would have as parquet where there is none."""
    paths = [directory / f"{name}{suffix}" for suffix in SUFFIXES]
    # os.path: no error for names that are too long
    return next((path for path in paths if os.path.isfile(path)), paths[0])  # noqa: PTH113


def _fetch_files(definition: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Files of both splits; those of a hub are downloaded into `folder`."""
    match definition["source"]:
        case "glue" if not definition["directory"]:
            repository, revision = HUB_REPOSITORY, HUB_REVISION
            names = {split: hub_file(definition["subset"], split) for split in SPLITS}
        case "hub":
            repository, revision = definition["repository"], definition["revision"]
            names = {split: definition[f"{split}_file"] for split in SPLITS}
        case _:
            return _local_files(definition)
    found = hub.download(repository, revision, names.values(), "dataset", folder)
    return {split: found[name] for split, name in names.items()}


def _tables(definition: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, pa.Table]:
    """Both splits, checked and cut to the asked number of examples.

    Raises StudyErrors with what is wrong in either split.
    """
    if definition["source"] == "installed-docs":
        return _docs_tables(definition)
    columns = _columns(definition)
    tables, problems = {}, []
    for split, path in files.items():
        try:
            tables[split] = _sliced(read_labelled(path, columns), definition.get(f"{split}_examples"), path)
        except StudyErrors as error:
            problems += error.problems
        except UserError as error:
            problems.append(str(error))
    if not problems:
        found = {split: table.column("label").to_pylist() for split, table in tables.items()}
        problems += task_kind(columns.target).split_problems(found, columns.labels)
    if problems:
        raise StudyErrors(problems)
    return tables


def _docs_tables(definition: Mapping[str, Any]) -> dict[str, pa.Table]:
    task = DOCS_TASKS[definition["kind"]]
    examples = make_examples(definition["kind"], definition["train_examples"], definition["validation_examples"])
    return {
        split: labelled_table(
            [
                [example.text for example in chosen],
                *([[example.text_pair for example in chosen]] if task.has_pair else []),
            ],
            [example.label for example in chosen],
            task_kind("classification"),
        )
        for split, chosen in examples.items()
    }


def _columns(definition: Mapping[str, Any]) -> Columns:
    if definition["source"] == "glue":
        task = GLUE_TASKS[definition["subset"]]
        # QQP has some empty questions; GLUE is scored on them, too.
        return Columns(task.text, "label", task.labels, may_be_empty=True, target=task.target)
    return Columns(tuple(definition["text"]), definition["label"], _labels(definition), target=definition["target"])


def task_target(definition: Mapping[str, Any]) -> str:
    """The name of a task's kind."""
    match definition["source"]:
        case "glue":
            return GLUE_TASKS[definition["subset"]].target
        case "installed-docs":
            return "classification"
        case _:
            return definition["target"]


def _labels(definition: Mapping[str, Any]) -> tuple[str, ...] | None:
    match definition["source"]:
        case "glue":
            return GLUE_TASKS[definition["subset"]].labels
        case "installed-docs":
            return DOCS_TASKS[definition["kind"]].labels
        case _:
            return tuple(definition["labels"]) if task_kind(definition["target"]).has_classes else None


def _sliced(table: pa.Table, examples: int | None, path: Path) -> pa.Table:
    """The asked number of rows, drawn with a fixed seed and left in their order."""
    if examples is None:
        return table
    if examples > len(table):
        raise UserError(f"{path}: has {len(table)} rows, the study asks for {examples}; ask for fewer")
    chosen = np.random.default_rng(SLICE_SEED).permutation(len(table))[:examples]
    return table.take(np.sort(chosen))
