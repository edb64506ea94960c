"""The queries of a ranking: which rows belong to one, and which queries can be scored.

Rows with the same first text are of one query, compared without case and repeated blanks, as repeats are.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from shallower.core.errors import UserError
from shallower.core.wording import counted
from shallower.sources.labelled_files import compared_texts
from shallower.sources.slices import GROUP
from shallower.task_kinds.base import shown

# Queries that can be scored, which a split or a collection needs.
LEAST_QUERIES = 2
QUERY = ("text",)


def with_groups(table: pa.Table) -> pa.Table:
    """A table with the column `group`: the id of the first row with the same query."""
    first: dict[tuple[str, ...], int] = {}
    ids = table["id"].to_pylist()
    groups = [first.setdefault(query, row) for query, row in zip(compared_texts(table, QUERY), ids, strict=True)]
    return table.append_column(GROUP, pa.array(groups, pa.int64()))


def num_queries(table: pa.Table) -> int:
    """How many queries the rows of a table belong to."""
    return len(table[GROUP].unique())


def scored_queries(table: pa.Table, split: str) -> tuple[pa.Table, str | None]:
    """The rows of the queries that tell one model from another, and how many others were left out.

    Whatever the order of texts that are all equally relevant, or not relevant at all, the score is the same. Raises
    UserError where fewer than `LEAST_QUERIES` are left.
    """
    groups, labels = table[GROUP].to_numpy(), table["label"].to_numpy()
    queries, query_of_row = np.unique(groups, return_inverse=True)
    lowest, highest = np.full(len(queries), np.inf), np.full(len(queries), -np.inf)
    np.minimum.at(lowest, query_of_row, labels)
    np.maximum.at(highest, query_of_row, labels)
    is_scored = lowest < highest
    if is_scored.sum() < LEAST_QUERIES:
        raise UserError(
            f"the {split} split has {counted(int(is_scored.sum()), 'query', 'queries')} with texts of different "
            f"relevance, and at least {LEAST_QUERIES} are needed; each query needs rows of texts that answer it and of "
            "texts that do not"
        )
    if is_scored.all():
        return table, None
    kept = is_scored[query_of_row]
    remark = (
        f"{split}: {(~is_scored).sum():,} of {counted(len(queries), 'query', 'queries')} "
        f"({counted(int((~kept).sum()), 'row')}) left out: all their texts are equally relevant, so that each order "
        f"scores the same; {(~is_scored & (highest == 0)).sum():,} of them have no relevant text"
    )
    return table.filter(pa.array(kept)), remark


def shared_queries(tables: Mapping[str, pa.Table]) -> Iterator[str]:
    """What is wrong where two splits have a query in common: models would be scored on what they have seen."""
    queries = {split: dict.fromkeys(compared_texts(table, QUERY)) for split, table in tables.items()}
    splits = list(tables)
    for place, split in enumerate(splits):
        for other in splits[:place]:
            if common := [query for query in queries[split] if query in queries[other]]:
                more = f" and {counted(len(common) - 1, 'other query', 'other queries')}" if len(common) > 1 else ""
                yield (
                    f"the {other} and {split} splits share the query {shown(common[0][0])}{more}; divide a ranking by "
                    "whole queries"
                )
