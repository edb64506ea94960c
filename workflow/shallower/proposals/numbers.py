"""Kinds of tasks whose labels are numbers: ratings, the relevance of a text to a query, the similarity of two texts."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from shallower.core.errors import UserError
from shallower.core.wording import listed, unsuited
from shallower.proposals.base import OTHER_ORDER, Candidate, Decision, KindProposal
from shallower.proposals.columns import Column, are_pair
from shallower.proposals.division import Texts, compared
from shallower.task_kinds.ranking import relevance
from shallower.task_kinds.registry import OWNERS
from shallower.task_kinds.regression import number

# Parts of the range of labels, equally large, of which each split gets its share.
STRATA = 10
QUERY_NAMES = frozenset({"query", "question", "search", "search_term", "q"})
RELEVANCE_NAMES = frozenset({"relevance", "relevance_score", "rel", "grade", "qrel", "gain"})
# Rows that a query has on average, from which its texts are there to be put in order.
TEXTS_OF_QUERY = 3


class Numbers(KindProposal):
    """A number a row.

    Attributes:
        metrics: of the kind, the first one decides.
        says: what they say.
    """

    metrics: ClassVar[tuple[str, ...]] = ("pearson", "spearmanr")
    says: ClassVar[str] = "a correlation says how well the order and the distances of ratings are met"

    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        if asked is not None:
            reason = f"it is for {listed(OWNERS['labels'])}; leave it out, or say KIND=classification"
            raise UserError(unsuited("LABELS", self.name, reason))
        if len({*map(number, values)}) == 1:
            raise UserError(
                f"all {len(values):,} rows have the number {values[0]}; nothing can be learnt from one: name another "
                "column with LABEL="
            )
        yield Decision("metrics", [*self.metrics], f"{self.says}; the first one decides", OTHER_ORDER)

    def read(self, value: Any) -> float:
        return number(value)

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        numbers = np.array([*map(number, values)])
        limits = np.unique(np.quantile(numbers, np.linspace(0, 1, STRATA + 1)[1:-1]))
        return [int(stratum) for stratum in np.searchsorted(limits, numbers, side="right")]


class Regression(Numbers):
    """A rating, or any other number."""

    name = "regression"

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        for column in columns:
            if column.numbers is not None and not column.is_ids and len(column.counts) > 1:
                yield Candidate(self.name, (column,), column.extent, not column.are_class_ids)


class Embedding(Numbers):
    """How similar two texts are, where the model answers with vectors of texts."""

    name = "embedding"
    metrics = ("spearmanr", "pearson")
    says = "correlations of the cosines of vectors with the similarities, as is usual for sentence embeddings"
    needs = " with a MODEL of sentence-transformers"

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        if len(texts) < 2:
            return
        is_pair = any(are_pair(one.name, other.name, alike=True) for one in texts for other in texts)
        for column in columns:
            if column.numbers is None or column.is_ids or len(column.counts) < 2:
                continue
            is_natural = (is_pair or "simil" in column.name.casefold()) and not column.are_class_ids
            reason = f"{column.extent}, which say how similar two texts are, and the model gives vectors of texts"
            yield Candidate(self.name, (column,), reason, is_natural, outdoes=("regression",))

    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        yield from super().decisions(label, values, asked)
        low, high = min(map(number, values)), max(map(number, values))
        if low < 0 or high > 1:
            reason = f"the lowest and the highest similarity, which become 0 and 1; labels are from {low:g} to {high:g}"
            yield Decision("similarity_range", [math.floor(low), math.ceil(high)], reason, "another one in the study")


class Ranking(Numbers):
    """How relevant a text is to a query."""

    name = "ranking"
    metrics = ("ndcg_at_10", "mrr_at_10")
    says = "how far up the relevant texts of each query come"

    def texts(self, columns: Sequence[Column]) -> list[Column]:
        """Also the column that is called as queries are: the same ones are there again and again."""

        def is_query(column: Column) -> bool:
            return (
                _is_query(column) and len(column.counts) > 1 and all(isinstance(each, str) for each in column.present)
            )

        return [column for column in columns if column.is_text or is_query(column)]

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        if len(texts) < 2:
            return
        queries = [column for column in texts if _is_query(column)]
        query = (queries or texts)[0]
        each = len(query.present) / max(1, len(query.counts))
        for column in columns:
            if column.numbers is None or min(column.numbers) < 0 or column.is_ids or len(column.counts) < 2:
                continue
            reason = f"a relevance from 0 on, and {each:.1f} rows of each {query.name} on average"
            is_natural = bool(queries) and each >= TEXTS_OF_QUERY
            outdoes = ("classification", "regression") if column.name.casefold() in RELEVANCE_NAMES else ()
            yield Candidate(self.name, (column,), reason, is_natural, outdoes)

    def unit(self, num_texts: int) -> tuple[str, str]:
        return "query", "queries"

    def key(self, texts: Sequence[Any]) -> Texts:
        return compared(texts[:1])

    def num_scored(self, texts: Sequence[Sequence[Any]], values: Sequence[Any]) -> int:
        """Rows of queries whose texts are not all equally relevant."""
        found = defaultdict(list)
        for each, value in zip(texts, values, strict=True):
            found[self.key(each)].append(self.read(value))
        return sum(len(grades) for grades in found.values() if min(grades) < max(grades))

    def read(self, value: Any) -> float:
        return relevance(value)

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        return [0] * len(values)


def _is_query(column: Column) -> bool:
    return column.name.casefold() in QUERY_NAMES
