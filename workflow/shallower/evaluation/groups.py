"""Rows that belong together, such as a query's texts or a sentence's words: what is drawn where examples are drawn.

`groups` [n] are whole numbers, the same in rows of one group and no others; None where each row stands for itself. All
that resamples, halves or counts examples does so by units: groups where there are any, else rows. The number of a unit
is its place among the ascending groups, or the row's.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def num_units(labels: Sequence[Any] | NDArray[Any], groups: NDArray[np.int64] | None) -> int:
    """How many units the rows [n] of labels are."""
    return len(labels) if groups is None else len(np.unique(groups))


def units_of(groups: NDArray[np.int64]) -> NDArray[np.intp]:
    """The unit of each row [n]."""
    return np.unique(groups, return_inverse=True)[1].reshape(-1)


def rows_of(groups: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """The rows of each unit, ascending."""
    units = units_of(groups)
    order = np.argsort(units, kind="stable")
    return np.split(order, np.cumsum(np.bincount(units))[:-1])


def unit_sums(values: NDArray[Any], groups: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Sums [units] of values [n] over the rows of each unit."""
    return values.astype(np.float64) if groups is None else np.bincount(units_of(groups), values).astype(np.float64)
