"""Texts that are there more than once: within the training split, and in several splits."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shallower.core.layout import TEST, VALIDATION
from shallower.sources.labelled_files import TEXTS, compared_texts

DOCUMENTS = "documents"


def repeated_texts(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Rows whose texts (or pairs of texts) are those of another row, compared without case and repeated blanks.

    `train`: training rows that repeat an earlier one; `validation_in_train`: validation rows that are training rows.
    With a split "test", also `test_in_train` and so on: test rows that are rows of each other split. Of a collection
    rows are its queries, and training rows have one where it is one of their texts; `compared` has their number by
    split.
    """
    validation = tables["validation"]
    found: dict[str, Any] = {
        "train": len(tables["train"]) - len({*_hashes(tables["train"])}),
        "validation_in_train": _num_common(validation, tables["train"]),
    }
    if DOCUMENTS in validation.column_names:
        found["compared"] = {split: num_compared(tables[split]) for split in (VALIDATION, TEST) if split in tables}
    return found | (in_others(tables, TEST) if TEST in tables else {})


def in_others(tables: Mapping[str, pa.Table], split: str) -> dict[str, int]:
    """Rows of a split whose texts are those of a row of another one, as `test_in_train` and the like."""
    others = {name: table for name, table in tables.items() if name != split}
    return {f"{split}_in_{name}": _num_common(tables[split], table) for name, table in others.items()}


def num_compared(table: pa.Table) -> int:
    """How many rows of a table are looked for in other splits: all, or the queries of a collection."""
    return len(_queries(table))


def _num_common(sought: pa.Table, table: pa.Table) -> int:
    """How many rows of a table are rows of another; where one of both is a collection, by any of their texts."""
    if (DOCUMENTS in sought.column_names) == (DOCUMENTS in table.column_names):
        known = {*_hashes(table)}
        return sum(texts in known for texts in _hashes(sought))
    known = {*chain.from_iterable(_single_hashes(table))}
    return sum(not known.isdisjoint(texts) for texts in zip(*_single_hashes(sought), strict=True))


def _single_hashes(table: pa.Table) -> list[Iterator[int]]:
    """The same for each column of texts by itself."""
    return [_hashes(table, [name]) for name in TEXTS if name in table.column_names]


def _queries(table: pa.Table) -> pa.Table:
    """Of a collection the queries, since splits search the same documents; other tables as they are."""
    if DOCUMENTS not in table.column_names:
        return table
    return table.filter(pc.greater(pc.list_value_length(table[DOCUMENTS]), 0))


def _hashes(table: pa.Table, columns: Sequence[str] = TEXTS) -> Iterator[int]:
    """A number for each row's texts: hundreds of thousands of texts themselves take too much memory."""
    return map(hash, compared_texts(_queries(table), columns))
