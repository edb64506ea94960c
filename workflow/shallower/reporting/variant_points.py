"""The variants of one model on one task as points: what the static and the interactive figure both draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shallower.core.variants import RUNTIMES, VOCABULARIES, Variant
from shallower.evaluation.metrics import metric_title
from shallower.reporting.budget import LATENCY, MEGABYTES, SCORE_KEPT, texts_at_once
from shallower.reporting.summary import batch_sizes
from shallower.reporting.variants import reference_of

# Variants that lost nearly everything must not squeeze the others into a line; in per cent of the full model's score.
LOWEST_DRAWN = 80.0
# By how much the lowest height is below the budget's, at least.
BELOW_BUDGET = 5.0
KEPT_LABEL = "score kept, % of the full model's"


@dataclass(frozen=True)
class Points:
    """What there is to draw of one model on one task.

    Attributes:
        rows: those of variants.csv that are drawn, with columns `height`, `latency_ms`, `megabytes`, `is_full` (the
            full model as it was trained) and `is_recommended`.
        model, task: what they are of.
        height_label: what `height` is: the score kept in per cent, or the score where there is no such share.
        batch_size: the one that `latency_ms` is for.
        limits: the budget's limits that have a line, by the column that they are of.
        hidden: how many variants are too low to be drawn, below `floor`.
        floor: in the unit of `height`.
    """

    rows: pd.DataFrame
    model: str
    task: str
    height_label: str
    batch_size: int
    limits: Mapping[str, float]
    hidden: int
    floor: float

    @property
    def cost_labels(self) -> dict[str, str]:
        """The columns of `rows` that score is drawn by, with labels of their axes."""
        return {
            "latency_ms": f"time for {texts_at_once(self.batch_size)} (ms), left is faster",
            "megabytes": "files (MB), left is smaller",
        }

    @property
    def remark(self) -> str:
        """What is not drawn, in words; "" where all is."""
        if not self.hidden:
            return ""
        count = "1 variant keeps" if self.hidden == 1 else f"{self.hidden} variants keep"
        return f"{count} less than {self.floor:g} %, not drawn"


def variant_points(
    rows: pd.DataFrame, budget: Mapping[str, Any] | None = None, recommended: pd.Series | None = None
) -> Points:
    """The points of rows of variants.csv, which are of one model and task.

    `budget` are the study's limits, and `recommended` the row of recommended.csv; times are those of the budget's batch
    size, by default the smallest.
    """
    budget, reference = budget or {}, reference_of(rows)
    batch_size = budget.get("batch_size", min(batch_sizes(rows)))
    has_kept = bool(rows["kept_percent"].notna().all())
    height = rows["kept_percent"] if has_kept else rows["score"]
    points = rows.assign(
        height=height,
        latency_ms=rows[f"latency_ms_batch{batch_size}"],
        megabytes=rows["bytes"] / 1e6,
        is_full=rows.index == reference.name,
        is_recommended=_is_recommended(rows, recommended),
    )
    limits = {column: budget[column] for column in (LATENCY, MEGABYTES) if column in budget}
    floor = -np.inf
    if has_kept:
        floor = min(LOWEST_DRAWN, budget.get(SCORE_KEPT, 100.0) - BELOW_BUDGET)
        limits |= {"height": budget[SCORE_KEPT]} if SCORE_KEPT in budget else {}
    is_drawn = (points["height"] >= floor) | points["is_full"] | points["is_recommended"]
    return Points(
        rows=points[is_drawn],
        model=reference["model"],
        task=reference["task"],
        height_label=KEPT_LABEL if has_kept else metric_title(reference["metric"], reference["positive_class"]),
        batch_size=batch_size,
        limits=limits,
        hidden=int((~is_drawn).sum()),
        floor=float(floor),
    )


def _is_recommended(rows: pd.DataFrame, recommended: pd.Series | None) -> Any:
    if recommended is None or not recommended["recommended"]:
        return False
    keys = ["origin", "strategy", "amount", *Variant._fields]
    return (rows[keys] == list(recommended[keys])).all(axis=1)


def frontier(points: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The points that no other one beats in both height and cost (a column), by ascending cost; none that collapsed."""
    ordered = points[points["collapsed"] == 0].sort_values([cost, "height"], ascending=[True, False], kind="stable")
    best_before = ordered["height"].astype(float).cummax().shift(fill_value=-np.inf)
    return ordered[ordered["height"] > best_before]


def shown_runtimes(points: pd.DataFrame) -> list[str]:
    """The runtimes among the points, in their order."""
    return [runtime for runtime in RUNTIMES if runtime in set(points["runtime"])]


def shown_vocabularies(points: pd.DataFrame) -> list[str]:
    """The vocabularies among the points, in their order."""
    return [vocabulary for vocabulary in VOCABULARIES if vocabulary in set(points["vocabulary"])]
