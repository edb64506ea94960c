"""The figure of one model on one task over all its variants: score kept by time and by size, static."""

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from shallower.core.variants import FULL, RUNTIME_TITLES, RUNTIMES, TORCH, TRIMMED, VOCABULARY_TITLES
from shallower.reporting.colours import BEST_COLOUR, BUDGET_COLOUR, INK, NUMBER_COLOURS, RUNTIME_COLOURS, SOFT
from shallower.reporting.figures import SETTINGS, finish, legend_entry
from shallower.reporting.subset_figures import BUDGET_LINE
from shallower.reporting.variant_points import (
    Points,
    frontier,
    shown_runtimes,
    shown_vocabularies,
)
from shallower.reporting.variant_texts import point_name

# Markers have room for a number of two digits.
MARKERS, AREAS = {FULL: "o", TRIMMED: "D"}, {FULL: 155, TRIMMED: 175}
# Files for torch and for ONNX have the same size: one marker has to be visible around the other.
LARGER = {TORCH: 1.5}
# A trimmed vocabulary changes little: its wider, hollow markers stay visible around the others.
TRIMMED_LINE = 1.6
RING_AREA = 420


def score_by_variant(points: Points) -> Figure:
    """Score kept by time and by size, both on logarithmic axes; a marker has the number of layers that are kept.

    Colours are runtimes and shapes vocabularies. A ring is around the recommended variant, whose score has its
    interval; a black edge is around the full model as it was trained. The grey line joins the variants that no other
    one beats in both score and cost; dotted lines are the budget's.
    """
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(11.2, 5.4), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for panel, (cost, label) in zip(panels, points.cost_labels.items(), strict=True):
            _draw_points(panel, points, cost)
            panel.set_xlabel(label)
        panels[0].set_ylabel(points.height_label)
        _name_marked(panels[0], points)
        if points.remark:
            panels[1].annotate(
                points.remark, (1, 0), (-4, 5), xycoords="axes fraction", textcoords="offset points",
                ha="right", fontsize=8.5, color=SOFT,
            )  # fmt: skip
        reference = points.rows[points.rows["is_full"]].iloc[0]
        finish(figure, reference, "score kept by time and size, in every variant", {}, _legend(points))
    return figure


def _draw_points(panel: Axes, points: Points, cost: str) -> None:
    rows = points.rows
    panel.set_xscale("log")
    best = frontier(rows, cost)
    panel.plot(best[cost], best["height"], color=BEST_COLOUR, linewidth=3, zorder=1.5, solid_capstyle="round")
    if "height" in points.limits:
        panel.axhline(points.limits["height"], zorder=1.4, **BUDGET_LINE)
    if cost in points.limits:
        panel.axvline(points.limits[cost], zorder=1.4, **BUDGET_LINE)
    # The hollow markers below the filled ones, larger ones below smaller ones, higher scores on top.
    ordered = rows.assign(runtime_order=rows["runtime"].map(RUNTIMES.index))
    ordered = ordered.sort_values(["vocabulary", "runtime_order", "height"], ascending=[False, True, True])
    for place, row in enumerate(ordered.to_dict("records")):
        _draw_point(panel, row, cost, zorder=3 + place / len(ordered))
    chosen = rows[rows["is_recommended"]]
    if points.rows["kept_low"].notna().all():
        panel.vlines(
            chosen[cost], chosen["kept_low"], chosen["kept_high"], color=BUDGET_COLOUR, linewidth=1.6, zorder=2
        )
    panel.scatter(
        chosen[cost], chosen["height"], s=RING_AREA, facecolors="none", edgecolors=BUDGET_COLOUR, linewidths=2, zorder=6
    )
    panel.margins(x=0.08, y=0.08)
    panel.grid(axis="y")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _draw_point(panel: Axes, row: dict[Any, Any], cost: str, zorder: float) -> None:
    colour, is_trimmed = RUNTIME_COLOURS[row["runtime"]], row["vocabulary"] == TRIMMED
    edge = INK if row["is_full"] else colour if is_trimmed else "white"
    panel.scatter(
        [row[cost]],
        [row["height"]],
        s=AREAS[row["vocabulary"]] * LARGER.get(row["runtime"], 1),
        marker=MARKERS[row["vocabulary"]],
        color="white" if is_trimmed else colour,
        edgecolors=edge,
        linewidths=2.2 if row["is_full"] else TRIMMED_LINE if is_trimmed else 0.8,
        zorder=zorder,
    )
    panel.annotate(
        "x" if row["collapsed"] else f"{row['layers']}",
        (row[cost], row["height"]),
        ha="center",
        va="center_baseline",
        fontsize=7.5,
        fontweight="bold",
        color=INK if is_trimmed else NUMBER_COLOURS[row["runtime"]],
        zorder=zorder,
    )


def _name_marked(panel: Axes, points: Points) -> None:
    """Names of the recommended variant and of the full model, above the panel, where no marker is."""
    rows = points.rows
    chosen, full = rows[rows["is_recommended"]], rows[rows["is_full"]].iloc[0]
    named = [(full, "the full model, as it was trained", SOFT)]
    if len(chosen):
        text = f"recommended: {point_name(chosen.iloc[0].to_dict())}"
        # One name where the full model is the one.
        named = [*(named if not chosen["is_full"].iloc[0] else []), (chosen.iloc[0], text, BUDGET_COLOUR)]
    panel.set_title(" ", pad=14 * len(named) - 4)  # room for them
    low, high = panel.get_xlim()
    for place, (row, text, colour) in enumerate(named):
        side = 0 if row["latency_ms"] < (low * high) ** 0.5 else 1
        place_above = 1.03 + 0.05 * place
        name = panel.text(
            row["latency_ms"], place_above, text, transform=panel.get_xaxis_transform(),
            ha=("left", "right")[side], va="bottom", fontsize=9, color=colour,
        )  # fmt: skip
        leader = panel.annotate(
            "", (row["latency_ms"], row["height"]), (row["latency_ms"], place_above),
            textcoords=panel.get_xaxis_transform(), zorder=1.3,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 9},
        )  # fmt: skip
        for artist in (name, leader):
            artist.set_in_layout(False)  # a name may stand above the other panel


def _legend(points: Points) -> list[Line2D]:
    entries = [
        legend_entry(RUNTIME_TITLES[runtime], RUNTIME_COLOURS[runtime], "o", line=False)
        for runtime in shown_runtimes(points.rows)
    ]
    vocabularies = shown_vocabularies(points.rows)
    if len(vocabularies) > 1:
        for vocabulary in vocabularies:
            sign = legend_entry(VOCABULARY_TITLES[vocabulary], SOFT, MARKERS[vocabulary], line=False)
            if vocabulary == TRIMMED:
                sign.set(markerfacecolor="white", markeredgecolor=SOFT, markeredgewidth=TRIMMED_LINE)
            entries.append(sign)
    entries.append(Line2D([], [], label="not beaten in score and cost", color=BEST_COLOUR, linewidth=3))
    if points.limits:
        label = "budget, for lower ends of intervals" if "height" in points.limits else "budget"
        entries.append(Line2D([], [], label=label, **BUDGET_LINE))
    # A number as a marker is mathematics to matplotlib, which texts of figures are not.
    with mpl.rc_context({"text.parse_math": True}):
        number = legend_entry("number of layers kept", SOFT, "$4$", line=False)
    number.set(markeredgewidth=0)
    return [*entries, number]
