"""The page of judged strategies, and the section that the report has of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from shallower.core.wording import DASH, counted
from shallower.oracle.names import (
    ALL_SIZES,
    BEST,
    FIGURES,
    HALVINGS,
    MARGIN,
    RANDOM,
    UNDECIDED,
    WITHIN,
    WITHIN_SIZES,
    WORSE,
)
from shallower.oracle.sentences import (
    correlation_sentence,
    coverage_sentences,
    measure_title,
    number,
    price_text,
    shortlist_sentence,
    strategy_sentences,
    strategy_title,
    with_interval,
)
from shallower.reporting.images import image_uri
from shallower.reporting.sections import Section
from shallower.reporting.templates import render_fragment, render_page
from shallower.surgery.origins import origin_title

# How the tag of a verdict looks: classes of page.css.
TAG_CLASSES = {BEST: "tag robust", WITHIN: "tag robust", WORSE: "tag bad", UNDECIDED: "tag"}
METHOD = (
    "Strategies were judged by refining all subsets of layers of a size. The layers that each strategy keeps were "
    "looked up among them: the model that keeps the same layers is the same training."
)
TERMS = {
    "Regret": "The score after refining of the best subset of a size minus that of the chosen one, in points. What is "
    "best was chosen on one half of the validation split and measured on the other, with other seeds where there are "
    "several."
}


def oracle_page(tables: Mapping[str, pd.DataFrame], figures: Mapping[str, Path], confidence: float) -> str:
    """oracle.html, from the tables by their names and SVG files by the names of figures; confidence from 0 to 1."""
    study = tables["strategies"]["study"].iloc[0]
    return render_page("oracle_page.jinja", study=study, **_content(tables, figures, confidence))


def oracle_section(tables: Mapping[str, pd.DataFrame], figures: Mapping[str, Path], confidence: float) -> Section:
    """The same as a section of the report."""
    content = _content(tables, figures, confidence)
    return Section(
        lead=render_fragment("oracle_lead.jinja", groups=content["groups"]),
        contents={"oracle": "Strategies judged"},
        body=render_fragment("oracle_section.jinja", **content),
        methods=[METHOD],
        terms=TERMS,
    )


def _content(tables: Mapping[str, pd.DataFrame], figures: Mapping[str, Path], confidence: float) -> dict[str, Any]:
    """The variables of the templates."""
    seeds = int(tables["regret"]["seeds"].min())
    return {
        "groups": [_group(tables, *group) for group in _groups(tables["strategies"])],
        "figures": [(FIGURES[name], image_uri(path)) for name, path in figures.items()],
        "left_out": coverage_sentences(tables["coverage"]),
        "confidence": f"{100 * confidence:g}",
        "halvings": HALVINGS,
        "margin": number(MARGIN),
        "several_seeds": seeds > 1,
        "seeds": counted(seeds, "seed"),
    }


def _groups(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(table["model"], table["origin"], strict=True)))


def _of(table: pd.DataFrame, model: str, origin: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["origin"] == origin)]


def _group(tables: Mapping[str, pd.DataFrame], model: str, origin: str) -> dict[str, Any]:
    """What the page shows of a model and an origin."""
    of = {name: _of(table, model, origin) for name, table in tables.items()}
    correlations, shortlists = of["correlations"], of["shortlists"]
    mean_correlations = correlations[correlations["task"].isna()]
    mean_shortlists = shortlists[shortlists["task"].isna()]
    sentences = list(strategy_sentences(of["strategies"]))
    return {
        "title": f"{model}, {origin_title(origin)}",
        "model": model,
        "sentences": sentences,
        "shortlist": shortlist_sentence(mean_shortlists),
        "correlation": correlation_sentence(mean_correlations),
        "strategies": [_strategy_row(row) for row in of["strategies"].to_dict("records")],
        "shortlists": [_shortlist_row(row, shortlists) for row in mean_shortlists.to_dict("records")],
        "tasks": list(dict.fromkeys(of["regret"]["task"])),
        "correlations": [_correlation_row(name, rows) for name, rows in correlations.groupby("measure", sort=False)],
        "picks": [_pick_row(row) for row in of["regret"].to_dict("records") if row["strategy"] != RANDOM],
        "best": [_best_row(row) for row in of["best"].to_dict("records")],
    }


def _strategy_row(row: Mapping[str, Any]) -> dict[str, Any]:
    is_random = row["strategy"] == RANDOM
    third = f"{row['in_best_third']:.0f} of {row['picks']:.0f} ({row['expected_by_chance']:.1f} by chance)"
    difference = with_interval(row, "difference", "difference_low", "difference_high")
    return {
        "name": strategy_title(row["strategy"]),
        "cases": int(row["cases"]),
        "regret": with_interval(row, "regret"),
        "difference": DASH if row["verdict"] == BEST else difference,
        "verdict": row["verdict"],
        "tag_class": TAG_CLASSES[row["verdict"]],
        "third": DASH if is_random else third,
        "price": price_text(row["refinings"], row["forward_passes"]),
    }


def _shortlist_row(mean: Mapping[str, Any], shortlists: pd.DataFrame) -> list[str]:
    same = shortlists[(shortlists["refined"] == mean["refined"]) & shortlists["task"].notna()]
    of_tasks = [number(rows["regret"].mean()) for _, rows in same.groupby("task", sort=False)]
    price = price_text(mean["refinings"], mean["forward_passes"])
    return [f"{mean['refined']:.0f}", with_interval(mean, "regret"), *of_tasks, price]


def _correlation_row(name: str, rows: pd.DataFrame) -> list[str]:
    def shown(kept: str, only_mean: bool) -> list[str]:
        chosen = rows[(rows["num_kept"] == kept) & (rows["task"].isna() == only_mean)]
        if only_mean:
            return [with_interval(row, "correlation", decimals=2) for row in chosen.to_dict("records")]
        return [number(value, 2) for value in chosen["correlation"]]

    return [measure_title(name), *shown(WITHIN_SIZES, True), *shown(WITHIN_SIZES, False), *shown(ALL_SIZES, True)]


def _pick_row(row: Mapping[str, Any]) -> list[str]:
    return [
        row["task"],
        f"{row['num_kept']}",
        row["strategy"],
        row["kept_layers"],
        with_interval(row, "regret"),
        number(row["apparent_regret"]),
        f"{row['mean_rank']:.3g} of {row['num_subsets']}",
        price_text(row["refinings"], row["forward_passes"]),
    ]


def _best_row(row: Mapping[str, Any]) -> list[str]:
    return [
        row["task"],
        f"{row['num_kept']}",
        row["kept_layers"],
        number(row["apparent_score"]),
        number(row["score"]),
        f"{row['num_subsets']}",
    ]
