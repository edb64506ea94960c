"""Texts that are there more than once: within the training split, and in both splits."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

# Rows that are taken out of a table at a time.
ROWS = 10_000


def repeated_texts(tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Rows whose texts (or pairs of texts) are, letter by letter, those of another row.

    `train`: training rows that repeat an earlier one; `validation_in_train`: validation rows that are training rows.
    """
    train: set[int] = set()
    for texts in _hashes(tables["train"]):
        train.add(texts)
    common = sum(texts in train for texts in _hashes(tables["validation"]))
    return {"train": len(tables["train"]) - len(train), "validation_in_train": common}


def _hashes(table: pa.Table) -> Iterator[int]:
    """A number for each row's texts: hundreds of thousands of texts themselves take too much memory."""
    names = [name for name in ("text", "text_pair") if name in table.column_names]
    for start in range(0, len(table), ROWS):
        columns = [table[name].slice(start, ROWS).to_pylist() for name in names]
        yield from map(hash, zip(*columns, strict=True))
