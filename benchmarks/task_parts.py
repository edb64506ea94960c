"""The rows of a task as files: some to train on, some to choose by, some without labels, its own validation split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.sources.tasks import fetch_task

SEED = 0
UNLABELLED = "unlabelled"


def divided(table: pa.Table, sizes: Mapping[str, int], unlabelled: int, place: str) -> dict[str, pa.Table]:
    """Parts of a table by name, of `sizes` rows, and at most `unlabelled` others without their labels; seeded.

    Raises UserError when none would be left for the latter.
    """
    labelled = sum(sizes.values())
    if len(table) <= labelled:
        raise UserError(f"{place}: has {len(table)} training rows; ask for fewer than {labelled} with labels")
    order = np.random.default_rng(SEED).permutation(len(table))
    parts, start = {}, 0
    for name, size in sizes.items():
        parts[name] = table.take(order[start : start + size])
        start += size
    return parts | {UNLABELLED: table.take(order[start : start + unlabelled]).drop_columns(["label"])}


def write_files(
    definition: Mapping[str, Any], rows: int, unlabelled: int, folder: Path, validation: int = 0
) -> dict[str, Any]:
    """Fetch a task, write its parts as parquet files into a folder, and return its entry of a study.

    With `validation`, so many other rows of the training split are to choose by, and the task's validation split is the
    test; the entry says so.
    """
    fetch_task(definition, folder)
    task = read_json(folder / "task.json")
    tables = {
        split: pq.read_table(folder / f"{split}.parquet").drop_columns(["id"]) for split in ("train", "validation")
    }
    if task["labels"]:
        names = np.array(task["labels"], dtype=object)
        for split, table in tables.items():
            named = pa.array(names[table["label"].to_numpy()], pa.string())
            tables[split] = table.set_column(table.column_names.index("label"), "label", named)
    if validation:
        tables["test"] = tables["validation"]
    sizes = {"train": rows} | ({"validation": validation} if validation else {})
    tables |= divided(tables["train"], sizes, unlabelled, definition["name"])
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}-rows.parquet")
    entry = {
        "name": definition["name"],
        "source": "files",
        **{f"{name}_file": str(folder / f"{name}-rows.parquet") for name in tables},
        "text": [name for name in ("text", "text_pair") if name in tables["train"].column_names],
        "label": "label",
        "target": task["target"],
        "metrics": list(definition["metrics"]),
    }
    return entry | ({"labels": task["labels"]} if task["labels"] else {})
