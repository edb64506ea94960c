"""Every arm of one model on one task in numbers, as data for the templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from shallower.core.runs import BASELINE
from shallower.core.wording import DASH, TIMES, Unit, percent, score_text
from shallower.evaluation.metrics import metric_title
from shallower.reporting.drawings import Scale, layer_stack
from shallower.reporting.summary import batch_sizes, layer_sets
from shallower.surgery.origins import origin_title
from shallower.task_kinds.registry import task_kind

# One arm that lost nearly everything must not squeeze the others into a corner of the drawings; in percent.
LOWEST_DRAWN = 80.0


@dataclass(frozen=True)
class ArmRow:
    """One arm, or the baseline."""

    name: str
    is_baseline: bool
    collapsed: int
    stack: Markup
    depth: int
    score: str
    deviation: str
    drawing: Markup | None
    kept: str
    others: Sequence[str]


@dataclass(frozen=True)
class NumbersTable:
    """The arms by origin, of which the baseline has none ("").

    `size` says how many rows were scored, `chance` what has the chance level and which ("" for none); `others` are the
    headings of the last columns.
    """

    model: str
    task: str
    metric: str
    seeds: int
    size: str
    chance: str
    confidence: float
    others: Sequence[str]
    origins: Sequence[tuple[str, Sequence[ArmRow]]]


def numbers_table(baseline: pd.Series, arms: pd.DataFrame, confidence: float) -> NumbersTable:
    """The table of a model and task, from rows of a summary; `confidence` is that of the intervals (0 to 1)."""
    sizes = batch_sizes(arms)
    shares = arms[["kept_percent", "kept_low", "kept_high"]].astype(float)
    lowest, highest = (shares.min().min(), shares.max().max()) if len(arms) else (100.0, 100.0)
    scale = Scale(min(98.0, max(lowest, LOWEST_DRAWN) - 1), max(102.0, highest + 1), 100.0)
    kind = task_kind(baseline["target"])
    groups = [
        (origin_title(origin), [_arm_row(row, sizes, scale) for row in rows.to_dict("records")])
        for origin, rows in arms.groupby("origin", sort=False)
    ]
    return NumbersTable(
        model=baseline["model"],
        task=baseline["task"],
        metric=metric_title(baseline["metric"], baseline["positive_class"]),
        seeds=int(baseline["seeds"]),
        size=_validation(kind.row).counted(int(baseline["num_examples"])),
        chance=f"{kind.constant} scores {score_text(baseline['chance'])}" if pd.notna(baseline["chance"]) else "",
        confidence=confidence,
        others=["size", *(f"speed, batch {size}" for size in sizes), "last training"],
        origins=[("", [_arm_row(baseline.to_dict(), sizes, scale)]), *groups],
    )


def _validation(row: Unit) -> Unit:
    return Unit(*(f"validation {word}" for word in row))


def _arm_row(row: Mapping[str, Any], sizes: Sequence[int], scale: Scale) -> ArmRow:
    is_baseline = row["origin"] == BASELINE
    drawing, kept = _kept(row, scale, is_baseline)
    speeds = (row[f"speedup_batch{size}"] for size in sizes)
    return ArmRow(
        name="full model" if is_baseline else f"{row['strategy']} {row['amount']}",
        is_baseline=is_baseline,
        collapsed=int(row["collapsed"]),
        stack=layer_stack(layer_sets(row["kept_layers"])[0], row["num_layers"]),
        depth=row["num_layers"] - row["num_dropped"],
        score=score_text(row["score"]),
        deviation="" if pd.isna(row["score_sd"]) else f"± {row['score_sd']:.3f}",
        drawing=drawing,
        kept=kept,
        others=[
            f"{row['size_percent']:.0f} %",
            *(DASH if pd.isna(speed) else f"{speed:.2f} {TIMES}" for speed in speeds),
            f"{row['train_seconds']:.0f} s",
        ],
    )


def _kept(row: Mapping[str, Any], scale: Scale, is_baseline: bool) -> tuple[Markup | None, str]:
    """The score kept, drawn and in words."""
    if is_baseline:
        return scale.draw(title="100 %"), percent(100)
    if pd.isna(row["kept_percent"]):
        return None, DASH
    low, high = row["kept_low"], row["kept_high"]
    if pd.isna(low):
        return scale.draw(title="100 %"), percent(row["kept_percent"])
    title = f"{row['kept_percent']:.1f} %, interval {low:.1f} to {high:.1f} %"
    return scale.draw(row["kept_percent"], (low, high), title), percent(row["kept_percent"])
