"""What the report says of the models to take within a study's budget, as data for the templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from shallower.core import layout
from shallower.core.runs import arm_title
from shallower.core.wording import DASH, percent
from shallower.reporting.budget import (
    LATENCY,
    LAYERS,
    MEGABYTES,
    PREFER,
    PREFER_LATENCY,
    SCORE_KEPT,
    budget_text,
    limits_of,
)
from shallower.reporting.drawings import layer_stack
from shallower.reporting.variants import variant_of

LIMIT_TITLES = {SCORE_KEPT: "score", MEGABYTES: "size", LATENCY: "time", LAYERS: "layers"}


@dataclass(frozen=True)
class Numbers:
    """A model that is recommended or closest; `missed` are the limits that it does not hold.

    `kept_on_test` and `interval_on_test` are of its task's test examples; en dashes where it has none.
    """

    stack: Markup
    depth: str
    arm: str
    kept: str
    interval: str
    megabytes: str
    latency: str
    missed: str
    directory: str
    kept_on_test: str
    interval_on_test: str


@dataclass(frozen=True)
class Row:
    """One model on one task: the sentences, of which the second is of a test, and the numbers where there are any."""

    model: str
    task: str
    recommended: bool
    sentence: str
    test_sentence: str
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
        # What decides between variants; None where none were measured.
        "prefer": budget.get(PREFER, PREFER_LATENCY) if "runtime" in table else None,
        "models_kept": config["keep_models"],
        "is_tested": "test_sentence" in table and bool(table["test_sentence"].notna().any()),
    }


def _row(row: Mapping[str, Any]) -> Row:
    numbers = None if row["origin"] is None else _numbers(row)
    tested = row.get("test_sentence") or ""
    return Row(row["model"], row["task"], bool(row["recommended"]), row["sentence"], tested, numbers)


def _numbers(row: Mapping[str, Any]) -> Numbers:
    kept = [int(layer) for layer in row["kept_layers"].split()]
    return Numbers(
        stack=layer_stack(kept, int(row["num_layers"])),
        depth=f"{len(kept)} of {row['num_layers']:.0f}",
        arm=_arm(row),
        kept=_kept(row, "kept"),
        interval=_interval(row, "kept"),
        megabytes=f"{row['megabytes']:.1f}",
        latency=DASH if row["latency_ms"] is None else f"{row['latency_ms']:.2f}",
        missed=", ".join(LIMIT_TITLES[limit] for limit in (row["limits_missed"] or "").split()) or DASH,
        directory=_folder(row) if row["recommended"] else "",
        kept_on_test=_kept(row, "test_kept"),
        interval_on_test=_interval(row, "test_kept"),
    )


def _folder(row: Mapping[str, Any]) -> str:
    """Where the model is: the delivered folder, where the study has any, else that of the run."""
    names = {name: row[name] for name in ("study", "model", "task")}
    return layout.DELIVERED.format(**names) if row.get("runtime") else str(row["directory"])


def _arm(row: Mapping[str, Any]) -> str:
    arm = arm_title(row["origin"], row["strategy"], row["amount"])
    return f"{arm}, {variant_of(row).title}" if row.get("runtime") else arm


def _kept(row: Mapping[str, Any], name: str) -> str:
    return DASH if row.get(f"{name}_low") is None else percent(row[f"{name}_percent"])


def _interval(row: Mapping[str, Any], name: str) -> str:
    return DASH if row.get(f"{name}_low") is None else f"{row[f'{name}_low']:.1f} to {row[f'{name}_high']:.1f}"
