"""Texts that are there more than once: within the training split, and in several splits."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shallower.core.layout import TEST, VALIDATION

# Rows that are taken out of a table at a time.
ROWS = 10_000
TEXTS, DOCUMENTS = ("text", "text_pair"), "documents"


def repeated_texts(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Rows whose texts (or pairs of texts) are, letter by letter, those of another row.

    `train`: training rows that repeat an earlier one; `validation_in_train`: validation rows that are training rows.
    With a split "test", also `test_in_train` and so on: test rows that are rows of each other split. Of a collection
    rows are its queries, and training rows have one where it is one of their texts; `compared` has their number by
    split.
    """
    validation = tables["validation"]
    found: dict[str, Any] = {
        "train": len(tables["train"]) - len({*_hashes(tables["train"])}),
        "validation_in_train": _common([*_hashes(validation)], _known(tables["train"], validation)),
    }
    if DOCUMENTS in validation.column_names:
        found["compared"] = {split: num_compared(tables[split]) for split in (VALIDATION, TEST) if split in tables}
    return found | (in_others(tables, TEST) if TEST in tables else {})


def in_others(tables: Mapping[str, pa.Table], split: str) -> dict[str, int]:
    """Rows of a split whose texts are those of a row of another one, as `test_in_train` and the like."""
    sought, hashes = tables[split], [*_hashes(tables[split])]
    others = {name: table for name, table in tables.items() if name != split}
    return {f"{split}_in_{name}": _common(hashes, _known(table, sought)) for name, table in others.items()}


def num_compared(table: pa.Table) -> int:
    """How many rows of a table are looked for in other splits: all, or the queries of a collection."""
    return len(_queries(table))


def _common(hashes: Sequence[int], known: Set[int]) -> int:
    return sum(texts in known for texts in hashes)


def _known(table: pa.Table, sought: pa.Table) -> set[int]:
    """The rows of a table in which those of another are looked for: each text by itself where these are queries."""
    if DOCUMENTS not in sought.column_names or DOCUMENTS in table.column_names:
        return {*_hashes(table)}
    names = [name for name in TEXTS if name in table.column_names]
    return {texts for name in names for texts in _hashes(table.select([name]).rename_columns(["text"]))}


def _queries(table: pa.Table) -> pa.Table:
    """Of a collection the queries, since splits search the same documents; other tables as they are."""
    if DOCUMENTS not in table.column_names:
        return table
    return table.filter(pc.greater(pc.list_value_length(table[DOCUMENTS]), 0))


def _hashes(table: pa.Table) -> Iterator[int]:
    """A number for each row's texts: hundreds of thousands of texts themselves take too much memory."""
    names, table = [name for name in TEXTS if name in table.column_names], _queries(table)
    for start in range(0, len(table), ROWS):
        columns = [table[name].slice(start, ROWS).to_pylist() for name in names]
        yield from map(hash, zip(*columns, strict=True))
