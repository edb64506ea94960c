"""The same figure to explore: charts for pages, which name the variant under the pointer with all its numbers.

A chart is a Vega-Lite specification, which a page draws (see `shallower.reporting.variants_page`). It holds its data
and loads nothing.
"""

import math
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from shallower.core.variants import FULL, RUNTIMES, TORCH, TRIMMED
from shallower.reporting.colours import BEST_COLOUR, BUDGET_COLOUR, INK, NUMBER_COLOURS, RUNTIME_COLOURS, SOFT
from shallower.reporting.variant_points import Points, frontier, shown_runtimes, shown_vocabularies
from shallower.reporting.variant_texts import point_name, variant_texts
from shallower.reporting.variants_page import VariantFigure

HEIGHT = 320  # pixels; a chart is as wide as its place on the page
SHAPES, AREAS, TORCH_AREA = {FULL: "circle", TRIMMED: "diamond"}, {FULL: 200, TRIMMED: 330}, 1.4
RING_AREA = 640
# Columns of the data, other than those that the pointer shows.
COST, SCORE, NUMBER, TITLES = "cost", "height", "number", "titles"


def variant_charts(points: Points) -> list[dict[str, Any]]:
    """Two charts, by time and by size of the files, on logarithmic axes: each a `title` and a `specification`."""
    titles = points.cost_labels.items()
    return [{"title": title, "specification": _chart(points, cost, title).to_dict()} for cost, title in titles]


def variant_figure(points: Points, rows: pd.DataFrame) -> VariantFigure:
    """The charts of one model on one task, with the numbers of all variants, which are the rows of variants.csv."""
    chosen = points.rows[points.rows["is_recommended"]]
    return VariantFigure(
        model=points.model,
        task=points.task,
        charts=variant_charts(points),
        texts=[variant_texts(row) for row in rows.to_dict("records")],
        runtimes=shown_runtimes(points.rows),
        vocabularies=shown_vocabularies(points.rows),
        has_limits=bool(points.limits),
        recommended="".join(point_name(row) for row in chosen.to_dict("records")),
        remark=points.remark,
    )


def _chart(points: Points, cost: str, title: str) -> alt.LayerChart:
    rows = points.rows.assign(order=points.rows["runtime"].map(RUNTIMES.index))
    rows = rows.sort_values(["order", "height"], kind="stable")
    shown = pd.DataFrame([_datum(row, cost) for row in rows.to_dict("records")])
    layers = [*_limits(points, cost), _frontier(points, cost, title)]
    for vocabulary in (TRIMMED, FULL):
        for runtime in RUNTIMES:
            here = shown[((rows["vocabulary"] == vocabulary) & (rows["runtime"] == runtime)).to_numpy()]
            if len(here):
                layers += _markers(here, runtime, vocabulary)
    layers += _marked(shown[rows["is_full"].to_numpy()], INK, AREAS[FULL] * TORCH_AREA)
    layers += _marked(shown[rows["is_recommended"].to_numpy()], BUDGET_COLOUR, RING_AREA)
    chart = alt.layer(*layers).properties(width="container", height=HEIGHT)
    return chart.configure(font="system-ui, sans-serif").configure_axis(
        labelFontSize=12,
        titleFontSize=12,
        titleFontWeight="normal",
        titleColor=INK,
        labelColor=SOFT,
        gridColor="#e3e7eb",
    )


def _axes(points: Points, cost: str, title: str) -> tuple[alt.X, alt.Y]:
    """Scales are set by hand: room for the markers at both ends."""
    costs, heights = points.rows[cost], points.rows["height"]
    margin = (costs.max() / costs.min()) ** 0.07 if costs.max() > costs.min() else 1.5
    low, high = costs.min() / margin, costs.max() * margin
    room = 0.06 * ((heights.max() - heights.min()) or 1.0)
    x = alt.X(
        f"{COST}:Q",
        title=title,
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=_ticks(low, high), format="~g", grid=False),
    )
    y = alt.Y(
        f"{SCORE}:Q",
        title=points.height_label,
        scale=alt.Scale(domain=[heights.min() - room, heights.max() + room], zero=False, nice=False),
        axis=alt.Axis(tickCount=7),
    )
    return x, y


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 and so on between two positive numbers."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [tick for power in powers for step in (1, 2, 5) if low <= (tick := step * 10.0**power) <= high]


def _limits(points: Points, cost: str) -> list[alt.Chart]:
    """The budget's lines."""
    found = []
    for column, channel, name in ((cost, alt.X, COST), ("height", alt.Y, SCORE)):
        if column in points.limits:
            data = alt.Data(values=[{name: points.limits[column]}])
            rule = alt.Chart(data).mark_rule(color=BUDGET_COLOUR, strokeDash=[3, 3], strokeWidth=1.5, clip=True)
            found.append(rule.encode(channel(f"{name}:Q")))
    return found


def _frontier(points: Points, cost: str, title: str) -> alt.Chart:
    best = frontier(points.rows, cost)
    values = [{COST: x, SCORE: y} for x, y in zip(best[cost], best["height"], strict=True)]
    x, y = _axes(points, cost, title)
    return alt.Chart(alt.Data(values=values)).mark_line(color=BEST_COLOUR, strokeWidth=3).encode(x, y)


def _markers(shown: pd.DataFrame, runtime: str, vocabulary: str) -> list[alt.Chart]:
    is_trimmed = vocabulary == TRIMMED
    base = _base(shown)
    marker = base.mark_point(
        shape=SHAPES[vocabulary],
        size=AREAS[vocabulary] * (TORCH_AREA if runtime == TORCH else 1),
        fill="white" if is_trimmed else RUNTIME_COLOURS[runtime],
        stroke=RUNTIME_COLOURS[runtime] if is_trimmed else "white",
        strokeWidth=1.8 if is_trimmed else 0.8,
        opacity=1,
    )
    number = base.mark_text(
        fontSize=10, fontWeight="bold", baseline="middle", color=INK if is_trimmed else NUMBER_COLOURS[runtime]
    )
    return [marker, number.encode(text=f"{NUMBER}:N")]


def _marked(shown: pd.DataFrame, colour: str, area: float) -> list[alt.Chart]:
    """A ring around a variant, if there is one."""
    if shown.empty:
        return []
    return [_base(shown).mark_point(shape="circle", size=area, filled=False, stroke=colour, strokeWidth=2.4, opacity=1)]


def _base(shown: pd.DataFrame) -> alt.Chart:
    # Columns are called by number, since a title may be any text, and Vega-Lite takes some characters for paths.
    tooltip = [alt.Tooltip(f"text{place}:N", title=title) for place, title in enumerate(shown[TITLES].iloc[0])]
    return alt.Chart(shown.drop(columns=TITLES)).encode(alt.X(f"{COST}:Q"), alt.Y(f"{SCORE}:Q"), tooltip=tooltip)


def _datum(row: Mapping[Any, Any], cost: str) -> dict[str, Any]:
    texts = variant_texts(row)
    return {
        COST: row[cost],
        SCORE: row["height"],
        NUMBER: "x" if row["collapsed"] else f"{row['layers']}",
        TITLES: list(texts),
        **{f"text{place}": text for place, text in enumerate(texts.values())},
    }
