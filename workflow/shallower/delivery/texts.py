"""The texts of a split, as a user sends them to a model."""

from pathlib import Path

import pyarrow.parquet as pq


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
