"""A task's data from any of `TASK_SOURCES`, brought into one form and checked."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import sha256_of, write_json
from shallower.core.layout import CALIBRATION, SPLITS, TEST
from shallower.core.parquet import flattened, to_array, write_parquet
from shallower.core.provenance import code_state, versions
from shallower.sources.labelled_files import LONG_TEXTS, Columns, Labelled
from shallower.sources.local_data import LocalData, kept
from shallower.sources.queries import num_queries, shared_queries
from shallower.sources.repeats import in_others, repeated_texts
from shallower.sources.slices import GROUP, SLICE_SEED
from shallower.sources.task_sources import TASK_SOURCES
from shallower.task_kinds.base import LACKING
from shallower.task_kinds.class_sets import class_counts
from shallower.task_kinds.registry import task_kind

logger = logging.getLogger(__name__)

TASK = "task.json"


def fetch_task(definition: Mapping[str, Any], target_dir: str | Path) -> None:
    """Bring a task into one form: train.parquet, validation.parquet, task.json and manifest.json.

    The tables are those of `shallower.sources.labelled_files`. Calibration examples that the training split has to do
    without (see `fetch_calibration`) are left out. Raises UserError with what is wrong with the data, or when a
    download fails.
    """
    target_dir = Path(target_dir)
    labelled, originals = _fetched(definition)
    columns = TASK_SOURCES[definition["source"]].columns(definition)
    tables = {split: labelled.tables[split] for split in SPLITS}
    for split, table in tables.items():
        write_parquet(target_dir / f"{split}.parquet", table)
        logger.info("%s: %d examples", split, len(table))
    repeats = repeated_texts(tables)
    logger.info("train: %d of %d rows have the texts of an earlier one", repeats["train"], len(tables["train"]))
    common = repeats["validation_in_train"]
    logger.info("validation: %d of %d rows have the texts of training rows", common, len(tables["validation"]))
    notes = task_kind(columns.target).notes(columns.labels or (), tables["train"]["label"].to_pylist())
    for name, value in notes.items():
        logger.info("%s: %s", name, value)
    write_json(
        target_dir / TASK,
        {
            "name": definition["name"],
            "target": columns.target,
            "labels": list(columns.labels) if columns.labels else None,
            **notes,
            "has_pair": "text_pair" in tables["validation"].column_names,
            "rows": {split: len(table) for split, table in tables.items()},
            "text_bytes": sum(map(text_bytes, tables.values())),
        },
    )
    names = [*(f"{split}.parquet" for split in tables), TASK]
    write_json(
        target_dir / "manifest.json",
        {
            "source": dict(definition),
            "originals": originals,
            "classes": _class_counts(columns, tables),
            **_group_counts(columns.target, tables),
            "repeats": repeats,
            "reading": {"labels": labelled.labels_are, "remarks": labelled.remarks},
            "versions": versions(("numpy", "pyarrow")),
            **TASK_SOURCES[definition["source"]].pin(definition),
            "code": code_state(Path(__file__).parent),
            "sha256": {name: sha256_of(target_dir / name) for name in names},
        },
    )


def fetch_calibration(definition: Mapping[str, Any], size: int, target_dir: str | Path) -> None:
    """Write calibration.parquet, `size` examples of a task's training data that nothing is trained on, and a manifest.

    They are drawn with the fixed seed of all slices, from the rows that `train_examples` leaves or, without that key,
    from all: such a definition has `calibration_examples` itself, and its training split lacks them. The ids of the
    rows are those that they have in the training file. Raises UserError as `fetch_task` does.
    """
    definition = {**definition, "calibration_examples": size}
    labelled, originals = _fetched(definition)
    logger.info("calibration: %d examples of the training data", size)
    repeats = in_others({split: labelled.tables[split] for split in (*SPLITS, CALIBRATION)}, CALIBRATION)
    common = (repeats[f"{CALIBRATION}_in_{split}"] for split in SPLITS)
    logger.info("calibration: %d rows have the texts of training rows, %d of validation rows", *common)
    originals = {
        name.replace("train", CALIBRATION).replace("data", CALIBRATION): file
        for name, file in originals.items()
        if not name.startswith(("validation", TEST))
    }
    table = labelled.tables[CALIBRATION]
    _write_part(definition, CALIBRATION, table, originals, {"repeats": repeats}, Path(target_dir))


def fetch_test(definition: Mapping[str, Any], target_dir: str | Path) -> None:
    """Write test.parquet, the split "test" of a definition that has one, and a manifest.

    Labels are read as those of the other splits are. Raises UserError as `fetch_task` does.
    """
    labelled, originals = _fetched(definition)
    logger.info("test: %d examples", len(labelled.tables[TEST]))
    own = {name: file for name, file in originals.items() if name.startswith(TEST)}
    reading = {"reading": {"labels": labelled.labels_are, "remarks": labelled.remarks}}
    _write_part(definition, TEST, labelled.tables[TEST], own, reading, Path(target_dir))


def _write_part(
    definition: Mapping[str, Any],
    part: str,
    table: pa.Table,
    originals: Mapping[str, Mapping[str, str]],
    more: Mapping[str, Any],
    target_dir: Path,
) -> None:
    """Write the table of a task's examples beyond its training and validation data, and a manifest with `more`."""
    name = f"{part}.parquet"
    write_parquet(target_dir / name, table)
    source = TASK_SOURCES[definition["source"]]
    columns = source.columns(definition)
    write_json(
        target_dir / "manifest.json",
        {
            "source": dict(definition),
            "seed": SLICE_SEED,
            "originals": originals,
            "classes": _class_counts(columns, {part: table}),
            **_group_counts(columns.target, {part: table}),
            **more,
            "rows": {part: len(table)},
            "text_bytes": text_bytes(table),
            "versions": versions(("numpy", "pyarrow")),
            **source.pin(definition),
            "code": code_state(Path(__file__).parent),
            "sha256": {name: sha256_of(target_dir / name)},
        },
    )


def _fetched(definition: Mapping[str, Any]) -> tuple[Labelled, dict[str, dict[str, str]]]:
    """The splits of a task, and the name and SHA-256 of each file that they were read from."""
    source = TASK_SOURCES[definition["source"]]
    with tempfile.TemporaryDirectory(prefix="shallower-") as folder:
        files = source.fetch(definition, Path(folder))
        labelled = _examples(definition, files)
        originals = {
            split if len(paths) == 1 else f"{split} {part}": {"file": path.name, "sha256": sha256_of(path)}
            for split, paths in files.items()
            for part, path in enumerate(paths, start=1)
        }
    if long_texts := definition.get("long_texts"):
        note = {LONG_TEXTS: long_texts}
        tables = {split: table.replace_schema_metadata(note) for split, table in labelled.tables.items()}
        labelled = replace(labelled, tables=tables)
    names = ", ".join(source.columns(definition).of_labels)
    if names:
        logger.info("%s: labels are read as %s", names, labelled.labels_are)
    for remark in labelled.remarks:
        logger.info("%s", remark)
    return labelled, originals


def text_bytes(table: pa.Table) -> int:
    """Bytes of a table's texts."""
    columns = [table[name] for name in ("text", "text_pair") if name in table.column_names]
    return sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in columns)


def _class_counts(columns: Columns, tables: Mapping[str, pa.Table]) -> dict[str, dict[str, int]] | None:
    """Numbers of examples of each class, by split; None for a task without classes."""
    if (labels := columns.labels) is None:
        return None
    read = flattened if task_kind(columns.target).answers_words else to_array
    counts = {split: class_counts(read(table["label"]), len(labels)).tolist() for split, table in tables.items()}
    return {split: dict(zip(labels, found, strict=True)) for split, found in counts.items()}


def _group_counts(target: str, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Numbers of groups of rows by split, such as `{"queries": {"train": 100}}`; nothing where rows have none.

    Of texts with a label for each word these are the texts, and there are the numbers of words, too.
    """
    if task_kind(target).answers_words:
        words = {split: len(flattened(table["label"])) for split, table in tables.items()}
        texts = {split: len(table) for split, table in tables.items()}
        return {"groups": {task_kind(target).drawn.many: texts}, "words": words}
    counts = {split: num_queries(table) for split, table in tables.items() if GROUP in table.column_names}
    return {"groups": {task_kind(target).drawn.many: counts}} if counts else {}


def task_files(definition: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Files of each split on this machine, whether or not they exist; none for other sources."""
    return TASK_SOURCES[definition["source"]].files_here(definition)


def check_task(definition: Mapping[str, Any]) -> list[str]:
    """What is wrong with a task, as far as it can be seen without a download."""
    return list(local_data(definition).problems)


def local_data(definition: Mapping[str, Any]) -> LocalData:
    """What is found in a task's files on this machine; nothing for other sources. The same content is read once."""
    source = TASK_SOURCES[definition["source"]]
    try:
        if problems := list(source.problems(definition)):
            return LocalData(tuple(problems))
        files = source.files_here(definition)
    except UserError as error:
        return LocalData((str(error),))

    def read() -> LocalData:
        try:
            tables = _examples(definition, files).tables
        except UserError as error:
            return LocalData(tuple(error.problems))
        return LocalData((), {split: len(table) for split, table in tables.items()}, repeated_texts(tables))

    return kept(definition, files, Path(__file__).resolve(), read) if files else LocalData()


def answers_with_vectors(definition: Mapping[str, Any]) -> bool:
    """Whether models for a task answer with the vectors of texts."""
    return task_kind(TASK_SOURCES[definition["source"]].columns(definition).target).answers_with_vectors


def answers_words(definition: Mapping[str, Any]) -> bool:
    """Whether models for a task answer each word of a text."""
    return task_kind(TASK_SOURCES[definition["source"]].columns(definition).target).answers_words


def num_outputs(definition: Mapping[str, Any]) -> int:
    """Number of logits of a model for a task: its classes, or one number."""
    return len(TASK_SOURCES[definition["source"]].columns(definition).labels or [""])


def _with_remedy(problem: str, definition: Mapping[str, Any]) -> str:
    """A problem of splits, and what a study can do: rows to train on are drawn without a look at test examples."""
    is_drawn = "train_examples" in definition and problem.startswith(f"the {TEST} split has") and LACKING in problem
    return f"{problem}; or raise train_examples" if is_drawn else problem


def _examples(definition: Mapping[str, Any], files: Mapping[str, Sequence[Path]]) -> Labelled:
    """The splits, read and checked. Raises StudyErrors or UserError with what is wrong."""
    source = TASK_SOURCES[definition["source"]]
    labelled = source.examples(definition, files)
    columns = source.columns(definition)
    found = {split: table.column("label").to_pylist() for split, table in labelled.tables.items()}
    if problems := list(task_kind(columns.target).split_problems(found, columns.labels)):
        raise StudyErrors([_with_remedy(problem, definition) for problem in problems])
    grouped = {split: table for split, table in labelled.tables.items() if GROUP in table.column_names}
    if problems := list(shared_queries(grouped)):
        raise StudyErrors(problems)
    return labelled
