"""A study's budget: its limits, in words, and what the study recommends within it."""

from collections.abc import Mapping

import pandas as pd

from shallower.core.wording import JOINED, counted, listed

SCORE_KEPT, MEGABYTES, LATENCY, LAYERS = LIMITS = ("score_kept", "megabytes", "latency_ms", "layers")
# What decides between variants that meet the budget.
PREFER = "prefer"
PREFER_LATENCY, PREFER_SIZE = ("latency", "size")


def limits_of(budget: Mapping[str, float]) -> list[str]:
    """The limits that a budget sets; its batch size says what one of them is for, and `prefer` is none."""
    return [limit for limit in LIMITS if limit in budget]


def budget_text(budget: Mapping[str, float]) -> str:
    """The limits of a budget in words."""
    texts = {
        SCORE_KEPT: "at least {:g} % of the score",
        MEGABYTES: "at most {:g} MB",
        LATENCY: f"at most {{:g}} ms for {texts_at_once(budget.get('batch_size'))}",
        LAYERS: f"at most {counted(int(budget.get(LAYERS, 0)), 'layer')}",
    }
    return listed([texts[limit].format(budget[limit]).replace(" %", f"{JOINED}%") for limit in limits_of(budget)])


def texts_at_once(batch_size: float | None) -> str:
    """How many texts a time is for."""
    return "one text" if batch_size in (1, None) else f"{batch_size:g} texts at once"


def recommended_arm(rows: pd.DataFrame) -> tuple[str, str, str] | None:
    """Origin, strategy and amount of the model to take, by the row of recommended.csv; None where there is none."""
    row = rows.iloc[0]
    return (row["origin"], row["strategy"], row["amount"]) if row["recommended"] else None
