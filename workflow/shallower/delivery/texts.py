"""The texts of a split, as a user sends them to a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from shallower.task_kinds.registry import task_kind


def takes_pairs(task: Mapping[str, Any]) -> bool:
    """Whether an input for a model of a task (by its task.json) is two texts, not one that gets a vector of its own."""
    return bool(task["has_pair"]) and not task_kind(task["target"]).answers_with_vectors


def read_inputs(path: str | Path, task: Mapping[str, Any]) -> list[str | list[str]]:
    """The inputs that a task's table has for a model, in their order: texts or pairs of them."""
    rows = read_texts(path, task["has_pair"]).values()
    if takes_pairs(task):
        return list(rows)
    return [text for texts in rows for text in texts]


def read_texts(path: str | Path, has_pair: bool) -> dict[int, list[str]]:
    """The one or two texts of each example of a task's table, by the example's id."""
    columns = ["text", "text_pair"] if has_pair else ["text"]
    table = pq.read_table(path, columns=["id", *columns])
    texts = zip(*(table[column].to_pylist() for column in columns), strict=True)
    return dict(zip(table["id"].to_pylist(), map(list, texts), strict=True))


def read_words(path: str | Path) -> dict[int, list[str]]:
    """The words of each example of a task's table, by the example's id."""
    table = pq.read_table(path, columns=["id", "words"])
    return dict(zip(table["id"].to_pylist(), table["words"].to_pylist(), strict=True))
