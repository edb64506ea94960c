"""Ranking: the texts of each query are put in order by how well they answer it (cross-encoders, rerankers).

A row is a query, a text, and how relevant the text is: 0 or 1, or a grade. The model reads both texts together and
gives one number; only the order of the numbers of one query counts.

Grades above 1 are divided by the highest one of the task when they are read, so that the loss is the one that
sentence-transformers' CrossEncoder has for one output: binary cross-entropy of labels from 0 to 1. The scores, whose
gains are linear in the labels, are the same with and without that division.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shallower.core.wording import Unit
from shallower.task_kinds.base import MISSING, LabelColumn, LabelReading, is_missing, shown
from shallower.task_kinds.regression import COLLAPSED_SPREAD, ROUNDING, Regression, number

if TYPE_CHECKING:
    import torch


def relevance(value: Any) -> float:
    """How relevant a text is, 0 or more. Raises ValueError with what is wrong, to follow the column's name."""
    if is_missing(value):
        raise ValueError(MISSING)
    try:
        found = number(value)
    except ValueError:
        raise ValueError(
            f"{shown(value)} is no relevance; write 0 for a text that does not answer the query, else 1 or a grade"
        ) from None
    if found < 0:
        raise ValueError(f"{shown(value)} is below 0; write 0 for a text that does not answer the query")
    return found


class Ranking(Regression):
    """Labels are relevances from 0 to 1; logits have a single output, the higher the more relevant."""

    name = "ranking"
    scored_as = ("ranking",)
    row = Unit("pair", "pairs")
    group = Unit("query", "queries")
    constant = "a random order"
    groups_by_first_text = True
    has_named_outputs = False
    pipeline = "text-ranking"

    def text_problem(self, columns: Sequence[str]) -> str | None:
        if len(columns) == 2:
            return None
        return "a ranking reads a query and a text; name two columns, that of the query first"

    def label_reading(self, columns: Sequence[LabelColumn], labels: Sequence[str] | None) -> LabelReading:
        highest = max((_grade(value) for column in columns for value in {*map(_hashable, column.values)}), default=1.0)
        if highest <= 1:
            return LabelReading("relevances from 0 to 1", lambda column: relevance)
        return LabelReading(
            f"relevances from 0 to {highest:g}, divided by {highest:g}",
            lambda column: lambda value: relevance(value) / highest,
        )

    def split_problems(self, found: Mapping[str, Sequence[float]], labels: Sequence[str] | None) -> Iterator[str]:
        for split, values in found.items():
            if len(present := set(values)) == 1:
                yield (
                    f"all texts of the {split} split have the relevance {min(present):g}; nothing can be learnt or "
                    "scored from one"
                )

    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits(logits.squeeze(-1), labels)

    @property
    def collapse(self) -> str:
        return "gives all texts of a query the same number"

    def is_collapsed(
        self, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64] | None = None
    ) -> bool:
        """Whether the texts of each query get (all but) the same."""
        spread, of_labels = (_within(values, groups) for values in (answers, labels))
        constant = np.abs(spread).max() <= ROUNDING * np.abs(answers).max()
        return bool(spread.std() < COLLAPSED_SPREAD * of_labels.std() or constant)


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else None


def _grade(value: Any) -> float:
    """A relevance; 0 for what is none, which is refused with its row later on."""
    try:
        return relevance(value)
    except ValueError:
        return 0.0


def _within(values: NDArray[Any], groups: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """How far values [n] are from the mean of their group."""
    places = np.zeros(len(values), np.intp) if groups is None else np.unique(groups, return_inverse=True)[1]
    return values - (np.bincount(places, values) / np.bincount(places))[places]
