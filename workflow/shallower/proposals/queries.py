"""Ranking: texts of queries, and how relevant each is."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from shallower.core.errors import UserError
from shallower.proposals.base import Candidate, Decision, KindProposal
from shallower.proposals.columns import Column
from shallower.proposals.division import Texts, compared
from shallower.task_kinds.ranking import relevance

QUERY_NAMES = frozenset({"query", "question", "search", "search_term", "q"})
# Rows that a query has on average, from which its texts are there to be put in order.
TEXTS_OF_QUERY = 3


class Queries(KindProposal):
    """A relevance a row, of a query and a text."""

    name = "ranking"

    def holds_text(self, column: Column) -> bool:
        """Whether a column is text, or called as queries are: the same ones are there again and again."""
        is_query = column.name.casefold() in QUERY_NAMES and all(isinstance(value, str) for value in column.present)
        return column.is_text or (is_query and len(column.counts) > 1)

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        queries = [column for column in texts if column.name.casefold() in QUERY_NAMES]
        if len(texts) < 2:
            return
        query = (queries or texts)[0]
        each = len(query.present) / max(1, len(query.counts))
        for column in columns:
            if column.numbers is None or min(column.numbers) < 0 or column.is_ids or len(column.counts) < 2:
                continue
            reason = f"a relevance from 0 on, and {each:.1f} rows of each {query.name} on average"
            yield Candidate(self.name, (column,), reason, bool(queries) and each >= TEXTS_OF_QUERY)

    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        if asked is not None:
            raise UserError("LABELS: a ranking has no classes; leave it out, or say KIND=classification")
        reason = "how far up the relevant texts of each query come; the first one decides"
        yield Decision("metrics", ["ndcg_at_10", "mrr_at_10"], reason, "another order in the study")

    def unit(self, num_texts: int) -> str:
        return "query"

    def key(self, texts: Sequence[Any]) -> Texts:
        return compared(texts[:1])

    def problem(self, value: Any) -> str | None:
        try:
            relevance(value)
        except ValueError as error:
            return str(error)
        return None

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        return [0] * len(values)
