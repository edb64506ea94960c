"""Where the data of a task comes from: one class for each `source` that a study can name, in `TASK_SOURCES`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import local_path
from shallower.core.layout import CALIBRATION, SPLITS, TEST
from shallower.core.wording import listed
from shallower.sources.file_formats import SUFFIXES, kind_of
from shallower.sources.glue import GLUE_TASKS, HUB_REPOSITORY, HUB_REVISION, hub_file
from shallower.sources.hub import download
from shallower.sources.hub_requests import check_repository
from shallower.sources.labelled_files import Columns, Labelled, read_labelled, without_repeats
from shallower.sources.layouts import layout_problems, local_files, split_files, version_problems
from shallower.sources.packages import distribution_file, extract_file, path_parts
from shallower.sources.queries import LEAST_QUERIES, num_queries, scored_queries, with_groups
from shallower.sources.retrieval import (
    PARTS,
    QRELS,
    QUERIES,
    read_collection,
    read_nothing,
    shared_queries,
    some_queries,
)
from shallower.sources.slices import GROUP, check_calibration, check_classes, classes_of, drawn, held_out, shuffled
from shallower.task_kinds.class_labels import canonical
from shallower.task_kinds.embedding import Embedding
from shallower.task_kinds.registry import task_kind


@dataclass(frozen=True)
class HubFiles:
    """Files of one commit of a dataset repository, by split."""

    repository: str
    revision: str
    names: Mapping[str, str]

    def fetch(self, folder: Path) -> dict[str, list[Path]]:
        """Download the files into a folder. Raises UserError as `shallower.sources.hub.download` does."""
        found = download(self.repository, self.revision, self.names.values(), "dataset", folder)
        return {split: [found[name]] for split, name in self.names.items()}


class TaskSource:
    """A source of labelled text; `definition` is a study's task entry. By default the splits are files of their own.

    A definition may have a split "test" in addition to those for training and validation.
    """

    def files_here(self, definition: Mapping[str, Any]) -> dict[str, list[Path]]:
        """Files of each split on this machine, whether or not they exist; none for other sources."""
        return {}

    def hub_files(self, definition: Mapping[str, Any]) -> HubFiles | None:
        """Files on the hub that the data is read from; None for other sources."""
        return None

    def fetch(self, definition: Mapping[str, Any], folder: Path) -> dict[str, list[Path]]:
        """The data files; those that have to be downloaded are put into `folder`. Raises UserError."""
        on_hub = self.hub_files(definition)
        return on_hub.fetch(folder) if on_hub else self.files_here(definition)

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the definition, before any file is looked at."""
        yield from _column_problems(definition)

    def columns(self, definition: Mapping[str, Any]) -> Columns:
        """How rows of the data files become texts and labels."""
        ranges = definition.get("label_ranges")
        return Columns(
            tuple(definition["text"]),
            definition.get("label", ""),
            tuple(_class_names(definition)) if task_kind(definition["target"]).has_classes else None,
            target=definition["target"],
            names=tuple(definition["columns"]) if "columns" in definition else None,
            ranges=tuple((low, high) for low, high in ranges) if ranges else None,
            scale=_scale(definition),
            label_columns=tuple(definition.get("label_columns", ())),
        )

    def examples(self, definition: Mapping[str, Any], files: Mapping[str, Sequence[Path]]) -> Labelled:
        """All splits, cut to the number of examples that the study asks for, and its calibration examples, if any.

        Without a file of them there are no training examples. Raises StudyErrors with what is wrong in any file.
        """
        labelled = _read(files, self.columns(definition))
        if "train" not in files:
            nothing = labelled.tables["validation"].slice(0, 0)
            labelled = replace(labelled, tables={"train": nothing, **labelled.tables})
            files = {**files, "train": files["validation"]}  # of messages, on rows that it lacks
        problems = [
            f"{_named(files[split])}: has {len(table)} rows, the study asks for {size}; ask for fewer"
            for split, table in labelled.tables.items()
            if (size := definition.get(f"{split}_examples", 0)) > len(table)
        ]
        if not problems and (problem := _calibration_problem(definition, len(labelled.tables["train"]))):
            problems = [f"{_named(files['train'])}: has {problem}"]
        if problems:
            raise StudyErrors(problems)
        orders = {split: shuffled(table) for split, table in labelled.tables.items()}
        return _sliced(labelled, self.columns(definition), definition, orders)

    def pin(self, definition: Mapping[str, Any]) -> dict[str, str]:
        """What the data depends on beyond its definition, for the manifest."""
        return {}


class GlueSource(TaskSource):
    """A GLUE task from a folder, or from the hub at a pinned revision."""

    def files_here(self, definition: Mapping[str, Any]) -> dict[str, list[Path]]:
        if not definition["directory"]:
            return {}
        directory = local_path(definition["directory"])
        names = {"train": "train", "validation": GLUE_TASKS[definition["subset"]].validation}
        names |= {TEST: definition["test_split"]} if "test_split" in definition else {}
        return {split: split_files(directory, name) for split, name in names.items()}

    def hub_files(self, definition: Mapping[str, Any]) -> HubFiles | None:
        if definition["directory"]:
            return None
        names = {split: hub_file(definition["subset"], split) for split in SPLITS}
        names |= {TEST: hub_file(definition["subset"], definition["test_split"])} if "test_split" in definition else {}
        return HubFiles(HUB_REPOSITORY, HUB_REVISION, names)

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        if problem := _test_split_problem(definition):
            yield problem
        elif definition["directory"]:
            found = [path for paths in self.files_here(definition).values() for path in paths]
            yield from layout_problems(local_path(definition["directory"]), definition["subset"], found)

    def columns(self, definition: Mapping[str, Any]) -> Columns:
        task = GLUE_TASKS[definition["subset"]]
        # QQP has some empty questions; GLUE is scored on them, too.
        target = definition.get("target", task.target)
        scale = task.similarity_range if task_kind(target).answers_with_vectors else None
        return Columns(task.text, "label", task.labels, may_be_empty=True, target=target, scale=scale)

    def pin(self, definition: Mapping[str, Any]) -> dict[str, str]:
        return {} if definition["directory"] else {"repository": HUB_REPOSITORY, "revision": HUB_REVISION}


class FilesSource(TaskSource):
    """A file on this machine for each split, or several that a pattern such as train-*.parquet names."""

    def files_here(self, definition: Mapping[str, Any]) -> dict[str, list[Path]]:
        return {split: local_files(name) for split, name in _named_files(definition).items()}

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        yield from super().problems(definition)
        yield from _file_problems(self.files_here(definition))


class CollectionSource(TaskSource):
    """Queries, documents and judgements in files on this machine; pairs of texts to train on, if any, in another one.

    They are the split that is scored on; numbers of validation and test examples are those of queries. Test queries
    have judgements of their own, and search the same documents.
    """

    def files_here(self, definition: Mapping[str, Any]) -> dict[str, list[Path]]:
        parts = (*PARTS, "train", *(f"{TEST}_{part}" for part in PARTS))
        names = {part: definition[f"{part}_file"] for part in parts if f"{part}_file" in definition}
        return {part: local_files(name) for part, name in names.items()}

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        if "train_file" in definition:
            yield from super().problems(definition)
        yield from _file_problems(self.files_here(definition))

    def columns(self, definition: Mapping[str, Any]) -> Columns:
        return super().columns({"text": (), **definition})

    def examples(self, definition: Mapping[str, Any], files: Mapping[str, Sequence[Path]]) -> Labelled:
        validation, remarks = read_collection(files)
        place = _named(files.get("train", files[QUERIES]))
        # Of pairs of texts, from which models learn.
        columns = replace(self.columns(definition), target=Embedding.name)
        if "train" in files:
            labelled = read_labelled({"train": files["train"]}, columns)
        else:
            labelled = Labelled({"train": read_nothing()}, "none", [])
        tables = {**labelled.tables, "validation": validation}
        if f"{TEST}_{QRELS}" in files:
            own = {part: files.get(f"{TEST}_{part}", files[part]) for part in PARTS}
            tables[TEST], of_test = read_collection(own)
            remarks += of_test
            if problem := shared_queries(validation, tables[TEST], of_one_file=f"{TEST}_{QUERIES}" not in files):
                raise UserError(f"{own[QRELS][0]}: {problem}")
        for split in {*tables} & {"validation", TEST}:
            if (size := definition.get(f"{split}_examples")) is not None:
                queries = files.get(f"{TEST}_{QUERIES}", files[QUERIES]) if split == TEST else files[QUERIES]
                tables[split] = some_queries(tables[split], size, queries[0], f"{split}_examples")
        train = tables["train"]
        if (size := definition.get("train_examples", 0)) > len(train):
            raise UserError(f"{place}: has {len(train)} rows, the study asks for {size}; ask for fewer")
        if problem := _calibration_problem(definition, len(train)):
            raise UserError(f"{place}: has {problem}")
        labelled = replace(labelled, tables=tables, remarks=[*labelled.remarks, *remarks])
        others = ("validation_examples", "test_examples")
        asked = {key: value for key, value in definition.items() if key not in others}
        return _sliced(labelled, columns, asked, {"train": shuffled(train)})


class HubSource(TaskSource):
    """Files of a dataset repository on the Hugging Face hub, at one commit."""

    def hub_files(self, definition: Mapping[str, Any]) -> HubFiles | None:
        return HubFiles(definition["repository"], definition["revision"], _named_files(definition))

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        yield from super().problems(definition)
        by_split = _named_files(definition)
        names = [*by_split.values()]
        if problem := check_repository(definition["repository"], names):
            yield problem
        yield from (
            f"{name}: unknown kind of file; use {', '.join(SUFFIXES)}" for name in names if kind_of(name) is None
        )
        yield from (
            f"{name}: names one file of the repository; patterns are for files on this machine"
            for name in names
            if "*" in name
        )
        yield from _same_file({split: [os.path.normpath(name)] for split, name in by_split.items()})


class PackageSource(TaskSource):
    """One file inside a distribution of a Python package, divided here into training and validation examples.

    Rows with the same text are one example (the first of them counts), so that no text is in both splits. The
    validation examples are drawn first: they do not depend on how many training examples a study asks for. Test
    examples are a file of their own in the same distribution.
    """

    def fetch(self, definition: Mapping[str, Any], folder: Path) -> dict[str, list[Path]]:
        archive = distribution_file(definition["package"], definition["version"], definition["sha256"])
        files = {}
        for split, name in self._paths(definition).items():
            # In a folder of its own, since two files may have the same name.
            files[split] = [folder / split / f"{PurePosixPath(name).stem}.{definition['format']}"]
            files[split][0].parent.mkdir()
            try:
                extract_file(archive, name, files[split][0])
            except UserError as error:
                raise UserError(f"{definition['package']} {definition['version']}: {error}") from None
        return files

    def _paths(self, definition: Mapping[str, Any]) -> dict[str, str]:
        """Paths inside the distribution."""
        return {"data": definition["path"], **({TEST: definition["test_file"]} if "test_file" in definition else {})}

    def problems(self, definition: Mapping[str, Any]) -> Iterator[str]:
        yield from super().problems(definition)
        paths = self._paths(definition)
        for path in paths.values():
            try:
                path_parts(path, "file")
            except UserError as error:
                yield str(error)
        if len({*map(os.path.normpath, paths.values())}) < len(paths):
            yield f"path and test_file are the same file, {definition['path']}; name two files without common rows"

    def examples(self, definition: Mapping[str, Any], files: Mapping[str, Sequence[Path]]) -> Labelled:
        (path,) = files["data"]
        columns = self.columns(definition)
        labelled = _read(files, columns)
        table = without_repeats(labelled.tables["data"])
        num_validation = definition["validation_examples"]
        num_train = definition.get("train_examples", 2)
        if num_train + num_validation > len(table):
            raise UserError(
                f"{path.name}: has {len(table)} different texts, the study asks for {num_train} to train on and "
                f"{num_validation} to validate; ask for fewer"
            )
        order = shuffled(table)
        kind = task_kind(columns.target)
        validation = drawn(table, order, num_validation, () if kind.has_classes else None, kind.answers_words)
        # By id, since the validation examples may not be the first of the order.
        order = order[~np.isin(table["id"].to_numpy()[order], validation["id"].to_numpy())]
        if GROUP in validation.column_names:
            _check_num_queries(validation, "validation_examples", num_validation)
            validation, remark = scored_queries(validation, "validation")
            labelled = replace(labelled, remarks=[*labelled.remarks, *([remark] if remark else [])])
        if problem := _calibration_problem(definition, len(order)):
            raise UserError(f"{path.name}: without those to validate has {problem}")
        rows = np.sort(order)
        tables, orders = {"train": table.take(rows), "validation": validation}, {"train": np.searchsorted(rows, order)}
        if TEST in files:
            tables[TEST] = without_repeats(labelled.tables[TEST])
            orders[TEST] = shuffled(tables[TEST])
            if (size := definition.get("test_examples", 0)) > len(tables[TEST]):
                raise UserError(
                    f"{_named(files[TEST])}: has {len(tables[TEST])} different texts, the study asks for {size} to "
                    "test on; ask for fewer"
                )
        asked = {key: value for key, value in definition.items() if key != "validation_examples"}
        return _sliced(replace(labelled, tables=tables), columns, asked, orders)


TASK_SOURCES: dict[str, TaskSource] = {
    "glue": GlueSource(),
    "files": FilesSource(),
    "hub": HubSource(),
    "package": PackageSource(),
    "collection": CollectionSource(),
}


def _named(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _named_files(definition: Mapping[str, Any]) -> dict[str, str]:
    """The file, or the pattern of files, that a definition names for each split that it has."""
    splits = [split for split in (*SPLITS, TEST) if f"{split}_file" in definition]
    return {split: definition[f"{split}_file"] for split in splits}


def _file_problems(here: Mapping[str, Sequence[Path]]) -> Iterator[str]:
    """What is wrong with the names of files on this machine, by what they are for."""
    yield from _same_file({part: [*map(os.path.realpath, files)] for part, files in here.items()})
    for files in here.values():
        yield from version_problems(files)
    # A pattern may find what a study may not name.
    with_braces = (path for files in here.values() for path in files if {*"{}"} & {*str(path)})
    yield from (f"{path}: Snakemake takes braces for wildcards; rename the file" for path in with_braces)


def _same_file(files: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for one, other in combinations(files, 2):
        if common := sorted({*files[one]} & {*files[other]}):
            name = os.path.relpath(common[0])
            yield f"{one}_file and {other}_file are the same file, {name}; name two files without common rows"


def _test_split_problem(definition: Mapping[str, Any]) -> str | None:
    """Why a GLUE task cannot be tested on the split that its definition names, if it names one."""
    split, task = definition.get("test_split"), GLUE_TASKS[definition["subset"]]
    if split is None or split in task.further:
        return None
    remedy = f"use {listed(task.further)}" if task.further else "bring labelled test rows as a task with source: files"
    if split in ("train", "validation", task.validation):
        return f"test_split: models are trained on the training split and chosen by the validation split; {remedy}"
    if split.startswith("test"):
        return f"test_split: the labels of GLUE's test splits are not published (each is -1); {remedy}"
    return f"test_split: GLUE's {definition['subset']} has no labelled split {split!r}; {remedy}"


def _column_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    key = "label_columns" if "label_columns" in definition else "label"
    of_labels = definition.get("label_columns", [definition.get("label")])
    for name in of_labels:
        if name in definition["text"]:
            yield f"{key}: the column {name!r} is one of text, too; a model could read the answer"
    if "columns" in definition:
        absent = [name for name in (*definition["text"], *of_labels) if name not in definition["columns"]]
        yield from (f"columns: has no {name!r}, which text or {key} names; add it" for name in absent)
    names: dict[str, str] = {}
    for name in _class_names(definition):
        if (other := names.setdefault(canonical(name), name)) != name:
            alike = f"{other!r} and {name!r} are the same but for blanks around them or how letters are composed"
            yield f"{key if key == 'label_columns' else 'labels'}: {alike}; rename one of them"
    yield from _pair_problems(definition)
    if "label_ranges" not in definition:
        return
    ranges = definition["label_ranges"]
    if len(ranges) != len(definition.get("labels", ranges)):
        yield f"label_ranges: there are {len(ranges)} for {len(definition['labels'])} labels; give one for each label"
    if upside_down := [list(pair) for pair in ranges if pair[0] > pair[1]]:
        yield f"label_ranges: {upside_down[0]} ends before it begins; write the lower number first"
    elif any(first[1] >= second[0] for first, second in zip(sorted(ranges), sorted(ranges)[1:], strict=False)):
        yield "label_ranges: two of them overlap (both ends are included); separate them"


def _pair_problems(definition: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the range of similarities of pairs of texts."""
    low, high = definition.get("similarity_range", (0, 1))
    if not low < high:
        yield f"similarity_range: [{low}, {high}] is empty; write the lowest similarity before the highest"


def _scale(definition: Mapping[str, Any]) -> tuple[float, float] | None:
    """The lowest and the highest similarity of a task of sentence embeddings; None for other kinds."""
    if not task_kind(definition["target"]).answers_with_vectors:
        return None
    low, high = definition.get("similarity_range", (0, 1))
    return low, high


def _class_names(definition: Mapping[str, Any]) -> Sequence[str]:
    """Names of the classes: `labels` or, where each has a column, those of the columns."""
    names: Sequence[str] = definition.get("label_columns", definition.get("labels", ()))
    return names


def _read(files: Mapping[str, Sequence[Path]], columns: Columns) -> Labelled:
    """All splits, with the groups of rows that belong together where the kind of task has any.

    Splits that are scored on have the groups alone that tell models apart. Raises UserError as `read_labelled` and
    `scored_queries` do.
    """
    labelled = read_labelled(files, columns)
    if not task_kind(columns.target).groups_by_first_text:
        return labelled
    tables, remarks = {split: with_groups(table) for split, table in labelled.tables.items()}, [*labelled.remarks]
    for split in {*tables} & {"validation", TEST}:
        try:
            tables[split], remark = scored_queries(tables[split], split)
        except UserError as error:
            raise UserError(f"{_named(files[split])}: {error}") from None
        remarks += [remark] if remark else []
    return replace(labelled, tables=tables, remarks=remarks)


def _has_classes(columns: Columns) -> bool:
    """Whether each text is of one class, by which texts are drawn."""
    kind = task_kind(columns.target)
    return kind.has_classes and not kind.answers_words


def _calibration_problem(definition: Mapping[str, Any], num_rows: int) -> str | None:
    """What is wrong with the number of calibration examples for a training file of so many rows; follows "has"."""
    if (size := definition.get("calibration_examples")) is None:
        return None
    num_train = definition.get("train_examples")
    if size + (num_train or 2) <= num_rows:
        return None
    others = f"{num_train} to train on and " if num_train else ""
    left = "" if num_train else " and at least 2 are to train on"
    return f"{num_rows} rows, the study asks for {others}{size} to calibrate with{left}; ask for fewer"


def _sliced(
    labelled: Labelled, columns: Columns, definition: Mapping[str, Any], orders: Mapping[str, NDArray[np.int64]]
) -> Labelled:
    """All splits, cut to the numbers of examples that a definition names, by the orders in which rows are drawn.

    With `calibration_examples`, also the split "calibration". Where a definition says how many examples are to train
    on, calibration takes from the others, so that the training split is the same with and without it; otherwise the
    training split is what calibration leaves. Raises UserError where training or calibration examples are too few for
    the classes.
    """
    tables = dict(labelled.tables)
    sizes = {split: definition.get(f"{split}_examples") for split in (*SPLITS, TEST)}
    kind = task_kind(columns.target)
    needed: set[int] | None = set() if kind.has_classes else None
    if (size := sizes["validation"]) is not None:
        tables["validation"] = drawn(tables["validation"], orders["validation"], size, needed, kind.answers_words)
    if TEST in tables and (size := sizes[TEST]) is not None:
        tables[TEST] = drawn(tables[TEST], orders[TEST], size, needed, kind.answers_words)
    if (size := sizes["train"]) is not None:
        needed = None if needed is None else classes_of(tables["validation"], kind.answers_words)
        whole = tables["train"].take(np.sort(orders["train"]))
        tables["train"] = drawn(tables["train"], orders["train"], size, needed, kind.answers_words)
        if needed is not None:
            check_classes(whole, tables["train"], needed, columns.labels or (), kind.answers_words)
    if (size := definition.get("calibration_examples")) is not None:
        whole = labelled.tables["train"]
        taken = None if sizes["train"] is None else tables["train"]["id"].to_numpy()
        rows = held_out(whole, orders["train"], size, taken, _has_classes(columns))
        tables[CALIBRATION] = whole.take(rows)
        if taken is None:
            tables["train"] = whole.take(np.setdiff1d(np.arange(len(whole)), rows))
        if _has_classes(columns):
            check_calibration(tables[CALIBRATION], tables["train"], size, columns.labels or ())
        elif kind.has_classes:
            trained, calibrated = (classes_of(tables[split], of_words=True) for split in ("train", CALIBRATION))
            if lacking := [repr((columns.labels or ())[index]) for index in sorted(trained - calibrated)]:
                remark = (
                    f"calibration: none of its {size} sentences has {listed(lacking)}, which training sentences have"
                )
                labelled = replace(labelled, remarks=[*labelled.remarks, remark])
    sizes[CALIBRATION] = size
    for split in (split for split in tables if sizes.get(split) is not None and GROUP in tables[split].column_names):
        key = "calibration.examples" if split == CALIBRATION else f"{split}_examples"
        _check_num_queries(tables[split], key, sizes[split])
    if CALIBRATION in tables and not len(tables["train"]):
        raise UserError(f"calibration.examples: {size} rows leave no query to train on; ask for fewer")
    return replace(labelled, tables=tables)


def _check_num_queries(table: pa.Table, key: str, size: int | None) -> None:
    """Raise UserError where the rows that a key asks for hold too few queries."""
    if num_queries(table) < LEAST_QUERIES:
        raise UserError(
            f"{key}: queries are taken with all their texts, and {size} rows hold fewer than {LEAST_QUERIES} of them; "
            "ask for more"
        )
