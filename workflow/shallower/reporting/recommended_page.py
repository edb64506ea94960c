"""What the report says of the models to take within a study's budget, as data for the templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from shallower.core.runs import BASELINE
from shallower.core.wording import DASH, percent
from shallower.reporting.budget import LATENCY, LAYERS, MEGABYTES, SCORE_KEPT, budget_text, limits_of
from shallower.reporting.drawings import layer_stack

LIMIT_TITLES = {SCORE_KEPT: "score", MEGABYTES: "size", LATENCY: "time", LAYERS: "layers"}


@dataclass(frozen=True)
class Numbers:
    """A model that is recommended or closest; `missed` are the limits that it does not hold."""

    stack: Markup
    depth: str
    arm: str
    kept: str
    interval: str
    megabytes: str
    latency: str
    missed: str
    directory: str


@dataclass(frozen=True)
class Row:
    """One model on one task: the sentence, and the numbers where there are any."""

    model: str
    task: str
    recommended: bool
    sentence: str
    numbers: Numbers | None


def recommended_content(config: Mapping[str, Any], table: pd.DataFrame | None) -> dict[str, Any]:
    """The variables of the macros on the recommendation, from the study and recommended.csv; empty without a budget."""
    budget = config.get("budget")
    if not budget or table is None:
        return {}
    confidence = config["evaluate"]["confidence"]
    return {
        "rows": [_row(row) for row in table.astype(object).where(table.notna(), None).to_dict("records")],
        "budget": budget_text(budget),
        "has_score": SCORE_KEPT in budget,
        "several_limits": len(limits_of(budget)) > 1,
        "confidence": f"{100 * confidence:g}",
        # One of the two ends of an interval is what counts.
        "risk": f"{50 * (1 - confidence):.3g}",
        "batch_size": next((int(size) for size in table["batch_size"].dropna()), None),
        "models_kept": config["keep_models"],
    }


def _row(row: Mapping[str, Any]) -> Row:
    numbers = None if row["origin"] is None else _numbers(row)
    return Row(row["model"], row["task"], bool(row["recommended"]), row["sentence"], numbers)


def _numbers(row: Mapping[str, Any]) -> Numbers:
    kept = [int(layer) for layer in row["kept_layers"].split()]
    has_interval = row["kept_low"] is not None
    return Numbers(
        stack=layer_stack(kept, int(row["num_layers"])),
        depth=f"{len(kept)} of {row['num_layers']:.0f}",
        arm="full model" if row["origin"] == BASELINE else f"{row['origin']} {row['strategy']}-{row['amount']}",
        kept=percent(row["kept_percent"]) if has_interval else DASH,
        interval=f"{row['kept_low']:.1f} to {row['kept_high']:.1f}" if has_interval else DASH,
        megabytes=f"{row['megabytes']:.1f}",
        latency=DASH if row["latency_ms"] is None else f"{row['latency_ms']:.2f}",
        missed=", ".join(LIMIT_TITLES[limit] for limit in (row["limits_missed"] or "").split()) or DASH,
        directory=row["directory"] or "",
    )
