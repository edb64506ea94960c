"""Regression: labels that are numbers, such as ratings."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from shallower.core.errors import UserError
from shallower.proposals.base import Candidate, Decision, KindProposal
from shallower.proposals.classes import are_ids
from shallower.proposals.columns import Column
from shallower.task_kinds.regression import number

# Parts of the range of labels, equally large, of which each split gets its share.
STRATA = 10


class Ratings(KindProposal):
    """A number a row."""

    name = "regression"

    def candidates(self, columns: Sequence[Column], texts: Sequence[Column]) -> Iterator[Candidate]:
        for column in columns:
            if column.numbers is None or column.is_ids or len(column.counts) < 2:
                continue
            kind = "whole numbers" if column.is_whole else "numbers"
            reason = f"{kind} from {min(column.numbers):g} to {max(column.numbers):g}"
            yield Candidate(self.name, (column,), reason, not are_ids(column))

    def decisions(self, label: Sequence[str], values: Sequence[Any], asked: Sequence[str] | None) -> Iterator[Decision]:
        if asked is not None:
            raise UserError("LABELS: a regression has no classes; leave it out, or say KIND=classification")
        if len({number(value) for value in values}) == 1:
            raise UserError(
                f"all {len(values):,} rows have the number {values[0]}; nothing can be learnt from one: name another "
                "column with LABEL="
            )
        reason = "a correlation says how well the order and the distances of ratings are met; the first one decides"
        yield Decision("metrics", ["pearson", "spearmanr"], reason, "another order in the study")

    def problem(self, value: Any) -> str | None:
        try:
            number(value)
        except ValueError as error:
            return str(error)
        return None

    def strata(self, label: Sequence[str], values: Sequence[Any]) -> list[Hashable]:
        numbers = np.array([number(value) for value in values])
        limits = np.unique(np.quantile(numbers, np.linspace(0, 1, STRATA + 1)[1:-1]))
        return [int(stratum) for stratum in np.searchsorted(limits, numbers, side="right")]
