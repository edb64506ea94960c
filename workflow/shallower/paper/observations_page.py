"""The verdicts on the paper's observations as a page, and as data for the report's section."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from shallower.core.wording import DASH, MINUS, counted
from shallower.paper.outcomes import NOT_SUPPORTED, OUTCOMES, SUPPORTED
from shallower.reporting.drawings import Scale
from shallower.reporting.templates import render_page

# How the tag of a verdict looks: classes of page.css.
TAG_CLASSES = {SUPPORTED: "tag robust", NOT_SUPPORTED: "tag bad"}
TESTS = {"paired bootstrap": "bootstrap", "t-test over tasks": "t-test"}
# Decimals, and what stands behind the number, by unit.
UNITS = {"points": (2, ""), "%": (1, " %"), "examples": (0, "")}
ROLES = {
    "decides": "Deciding",
    "checks": "Single tasks, which must not contradict",
    "tested": "Tested together with these, but not part of the verdict",
    "shown": "Shown, but not part of the verdict",
}


@dataclass(frozen=True)
class ModelVerdict:
    """The verdict on a hypothesis for a model, "" for none, and the contrasts behind it by their role."""

    model: str
    verdict: str
    tag_class: str
    reason: str
    summary: str
    contrasts: Sequence[tuple[str, Sequence[Sequence[str | Markup]]]]


@dataclass(frozen=True)
class Claim:
    """A hypothesis and its verdicts."""

    text: str
    rule: str
    verdicts: Sequence[ModelVerdict]


def observations_page(frame: pd.DataFrame, study: str) -> str:
    """observations.html, from observations.csv."""
    return render_page("paper_observations_page.jinja", study=study, observations=observations(frame))


def observations(frame: pd.DataFrame) -> list[tuple[str, list[Claim]]]:
    """The claims of each observation, in the order of observations.csv."""
    frame = frame.assign(model=frame["model"].fillna(""))
    return [
        (observation, [_claim(rows) for _, rows in of_it.groupby("hypothesis", sort=False)])
        for observation, of_it in frame.groupby("observation", sort=False)
    ]


def _claim(rows: pd.DataFrame) -> Claim:
    first = rows.iloc[0]
    verdicts = [_verdict(model, of_model) for model, of_model in rows.groupby("model", sort=False)]
    return Claim(first["claim"], first["rule"], verdicts)


def _verdict(model: str, rows: pd.DataFrame) -> ModelVerdict:
    first = rows.iloc[0]
    contrasts = rows[rows["comparison"].notna()]
    dropped = [f"{counted(int(number), 'layer')} dropped" for number in contrasts["num_dropped"].dropna().unique()]
    return ModelVerdict(
        model=model,
        verdict=first["verdict"],
        tag_class=TAG_CLASSES.get(first["verdict"], "tag"),
        reason=first["reason"],
        summary=", ".join([f"{counted(len(contrasts), 'comparison')} in numbers", *dropped]),
        contrasts=[
            (ROLES[role], [_row(row, contrasts[contrasts["unit"] == row["unit"]]) for _, row in of_role.iterrows()])
            for role, of_role in contrasts.groupby("role", sort=False)
        ],
    )


def _row(row: pd.Series, alike: pd.DataFrame) -> list[str | Markup]:
    """A contrast as the cells of a row; effects of the same unit, `alike`, are drawn on one scale."""
    decimals, suffix = UNITS.get(row["unit"], (3, f" {row['unit']}"))
    has_interval = pd.notna(row["low"])
    ends = alike[["effect", "low", "high"]].astype(float)
    scale = Scale(min(0.0, ends.min().min()), max(0.0, ends.max().max()), reference=0.0, width=100)
    return [
        row["comparison"].replace(" minus ", f" {MINUS} "),
        row["task"],
        _signed(row["effect"], decimals) + suffix,
        f"{_signed(row['low'], decimals)} to {_signed(row['high'], decimals)}" if has_interval else DASH,
        scale.draw(row["effect"], (row["low"], row["high"]) if has_interval else None),
        _p_text(row["p"]),
        _p_text(row["p_holm"]),
        f"{row['seeds_agreeing']:.0f} of {row['seeds']:.0f}" if pd.notna(row["seeds_agreeing"]) else DASH,
        TESTS.get(row["test"], row["test"]),
        OUTCOMES.get(row["outcome"], DASH),
    ]


def _signed(value: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}".replace("-", MINUS)


def _p_text(p: float) -> str:
    if pd.isna(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
