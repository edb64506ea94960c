"""Predictions on disk: one row an example, with its id, label and logits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.parquet import to_array, to_column, write_parquet
from shallower.evaluation.retrieval import Found
from shallower.task_kinds.registry import task_kind

# Entry of a file's metadata.
DIGEST = b"sha256"


@dataclass(frozen=True)
class Predictions:
    """ids [n] ascending, labels [n, ...] as the kind of task stores them, logits [n, outputs] float32.

    `groups` [n] int64 say which rows belong together (`shallower.evaluation.groups`); None where none do. `found` are
    the documents that the logits of a retrieval, their grades, are of.
    """

    ids: NDArray[Any]
    labels: NDArray[Any]
    logits: NDArray[Any]
    groups: NDArray[np.int64] | None = None
    found: Found | None = None

    @property
    def computed(self) -> NDArray[Any]:
        """What a model computed [n, ...], before it was looked up in judgements: logits, or cosines of documents."""
        return self.logits if self.found is None else self.found.cosines


def read_predictions(path: str | Path, target: str) -> Predictions:
    """Read predictions.parquet, sorted by id.

    Raises UserError when the file is missing or damaged, when an id comes twice, when rows differ in their
    number of logits, or when a logit is not finite.
    """
    try:
        table = parquet.read_table(path)
        ids, labels, lists = (table[name] for name in ("id", "label", "logits"))
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise corrupt_file_error(path, f"not a file of predictions ({error})") from None
    each = labels.type.value_type if pa.types.is_list(labels.type) else labels.type
    numbers = all(pa.types.is_integer(one) or pa.types.is_floating(one) for one in (ids.type, each))
    if not numbers or not pa.types.is_list(lists.type):
        raise corrupt_file_error(
            path, f"not a file of predictions (columns of {ids.type}, {labels.type} and {lists.type})"
        )
    if table.num_rows == 0:
        raise UserError(f"{path}: no predictions in it")
    try:
        ids, stored, logits = ids.to_numpy(), to_array(labels), to_array(lists).astype(np.float32)
        if not logits.shape[1]:
            raise ValueError("no logits")
    except ValueError:
        raise UserError(f"{path}: rows differ in their number of logits or labels; delete it and run again") from None
    labels = stored.astype(task_kind(target).label_dtype)
    groups = table["group"].to_numpy() if "group" in table.column_names else None
    documents = None
    if "documents" in table.column_names:
        documents = Found(to_array(table["documents"]), to_array(table["cosines"]).astype(np.float32))
    found = content_digest(ids, stored, logits, groups, documents).encode("ascii")
    if (table.schema.metadata or {}).get(DIGEST, found) != found:
        raise corrupt_file_error(path, "damaged: its content is not what was written")
    if not np.isfinite(logits).all():
        raise UserError(f"{path}: a logit is not a finite number; the run diverged, lower its learning rate")
    order = np.argsort(ids, kind="stable")
    if len(np.unique(ids)) != len(ids):
        raise UserError(f"{path}: an example id comes twice")
    if documents is not None:
        documents = Found(documents.documents[order], documents.cosines[order])
    return Predictions(ids[order], labels[order], logits[order], None if groups is None else groups[order], documents)


def write_predictions(
    path: str | Path,
    ids: NDArray[Any],
    labels: NDArray[Any],
    logits: NDArray[Any],
    groups: NDArray[np.int64] | None = None,
    found: Found | None = None,
) -> None:
    """Write a parquet file with the columns id (int64), label (see `stored_labels`) and logits (list of float32).

    Where rows belong together there is also group (int64), and of a retrieval documents and cosines (`Found`). Rows are
    in the order of the arrays. Its metadata hold the SHA-256 of their content.
    """
    labels = stored_labels(labels)
    columns = {"label": to_column(labels), "logits": to_column(logits.astype(np.float32))}
    columns |= {} if groups is None else {"group": pa.array(groups, pa.int64())}
    if found is not None:
        columns |= {"documents": to_column(found.documents), "cosines": to_column(found.cosines)}
    table = pa.table({"id": pa.array(ids, pa.int64()), **columns})
    digest = content_digest(table["id"].to_numpy(), labels, logits, groups, found)
    write_parquet(path, table.replace_schema_metadata({DIGEST: digest}), compression="snappy")


def stored_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels of tokens as tables hold them: [n] as int64 or float64, several numbers a text [n, ...] as they are."""
    if labels.ndim > 1:
        return labels
    return labels.astype(np.int64 if np.issubdtype(labels.dtype, np.integer) else np.float64)


def content_digest(
    ids: NDArray[Any],
    labels: NDArray[Any],
    logits: NDArray[Any],
    groups: NDArray[np.int64] | None = None,
    found: Found | None = None,
) -> str:
    """SHA-256 of what a file of predictions holds, as hexadecimal digits."""
    digest = hashlib.sha256()
    arrays: list[tuple[NDArray[Any], Any]] = [(ids, np.int64), (labels, labels.dtype), (logits, np.float32)]
    arrays += [] if groups is None else [(groups, np.int64)]
    arrays += [] if found is None else [(found.documents, np.int64), (found.cosines, np.float32)]
    for array, kind in arrays:
        digest.update(np.ascontiguousarray(array, kind).data)
    return digest.hexdigest()


def predictions_of(logits: NDArray[Any], target: str, settings: Mapping[str, Any] | None = None) -> NDArray[Any]:
    """Answers [n, ...] of a model from its logits [n, outputs], in the form of the labels of that kind of task.

    `settings` are those of scoring, or the content of a metrics.json, which says the same.
    """
    return task_kind(target, settings).answers(logits)


def read_matched(
    paths: Sequence[str | Path],
    reference: Predictions | None,
    target: str,
    settings: Sequence[Mapping[str, Any] | None] | None = None,
) -> tuple[Predictions, NDArray[Any]]:
    """Predictions of several runs on the same examples: the first file's table, and answers [runs, n, ...].

    `settings` are those of `predictions_of` for each file. Examples are matched by id, never by position. Raises
    UserError, naming the file, when ids, labels or groups differ from those of `reference` (of the first file where
    there is no reference).
    """
    expected, answers = reference, []
    # Of each only the answers are kept: logits of many classes are large.
    for path, own in zip(paths, settings or [None] * len(paths), strict=True):
        table = read_predictions(path, target)
        expected = expected or table
        if not np.array_equal(table.ids, expected.ids):
            only_here = np.setdiff1d(table.ids, expected.ids).size
            only_there = np.setdiff1d(expected.ids, table.ids).size
            raise UserError(
                f"{path}: predictions are for other validation examples than those they are compared with "
                f"({only_here} ids only here, {only_there} only there); delete it and run again"
            )
        if not np.array_equal(table.labels, expected.labels):
            raise UserError(f"{path}: labels differ from those compared with; delete it and run again")
        if (table.groups is None) != (expected.groups is None) or not np.array_equal(
            np.asarray(table.groups), np.asarray(expected.groups)
        ):
            raise UserError(f"{path}: groups of rows differ from those compared with; delete it and run again")
        answers.append(predictions_of(table.logits, target, own))
    if expected is None:
        raise ValueError("no predictions to read")
    return expected, np.stack(answers)
