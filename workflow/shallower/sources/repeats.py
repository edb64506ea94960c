"""Texts that are there more than once: within the training split, and in several splits."""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from shallower.core.layout import TEST

# Rows that are taken out of a table at a time.
ROWS = 10_000


def repeated_texts(tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Rows whose texts (or pairs of texts) are, letter by letter, those of another row.

    `train`: training rows that repeat an earlier one; `validation_in_train`: validation rows that are training rows.
    With a split "test", also `test_in_train` and so on: test rows that are rows of each other split.
    """
    train: set[int] = set()
    for texts in _hashes(tables["train"]):
        train.add(texts)
    common = sum(texts in train for texts in _hashes(tables["validation"]))
    found = {"train": len(tables["train"]) - len(train), "validation_in_train": common}
    return found | (in_others(tables) if TEST in tables else {})


def in_others(tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Rows of the split "test" whose texts are those of a row of another split, as `test_in_train` and the like."""
    test = [*_hashes(tables[TEST])]
    others = {split: {*_hashes(table)} for split, table in tables.items() if split != TEST}
    return {f"{TEST}_in_{split}": sum(texts in known for texts in test) for split, known in others.items()}


def _hashes(table: pa.Table) -> Iterator[int]:
    """A number for each row's texts: hundreds of thousands of texts themselves take too much memory."""
    names = [name for name in ("text", "text_pair") if name in table.column_names]
    if "documents" in table.column_names:  # of a collection the queries, since splits search the same documents
        table = table.filter(pc.greater(pc.list_value_length(table["documents"]), 0))
    for start in range(0, len(table), ROWS):
        columns = [table[name].slice(start, ROWS).to_pylist() for name in names]
        yield from map(hash, zip(*columns, strict=True))
