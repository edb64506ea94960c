"""Figures of one model on one task: the score by layers dropped, and by time and size.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which can be distinguished with any colour vision.
Each strategy has its own marker too, and has both in all figures.
"""

import io
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from shallower.core.files import write_bytes
from shallower.core.runs import BASELINE
from shallower.core.wording import score_text
from shallower.evaluation.metrics import metric_title
from shallower.reporting.budget import texts_at_once
from shallower.reporting.colours import BASELINE_COLOUR, BEST_COLOUR, INK, SOFT
from shallower.reporting.summary import batch_sizes
from shallower.surgery.origins import origin_title
from shallower.surgery.strategies import STRATEGIES
from shallower.task_kinds.registry import task_kind

SETTINGS: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.edgecolor": "#59636e",
    "grid.color": "#e3e7eb",
    "legend.frameon": False,
    # Names of classes may have dollar signs.
    "text.parse_math": False,
    "svg.hashsalt": "shallower",  # with no date in it, the same figure is the same file
    "savefig.dpi": 160,
}
STYLES = {
    "top": ("#0072b2", "o"),
    "bottom": ("#d55e00", "v"),
    "even-alternate": ("#009e73", "s"),
    "odd-alternate": ("#cc79a7", "D"),
    "symmetric": ("#e69f00", "^"),
    "contribution": ("#56b4e9", "P"),
    "contribution-rank": ("#7a5195", "X"),
    "parameter-aggregation": ("#6b8e23", "h"),
    "parameter-variance": ("#8c564b", ">"),
    "custom": ("#000000", "*"),
    "keep": ("#000000", "P"),
}
PANELS_A_ROW = 2
SIZES = {"*": 1.4}  # of markers that look smaller than the others
OTHER_STYLES = [("#7f7f7f", "p"), ("#b8860b", "d"), ("#2f6f73", "<"), ("#c0392b", "8")]
# An amount of these strategies is a set of layers, which no line joins to another.
UNORDERED = {name for name, strategy in STRATEGIES.items() if strategy.amount.names_layers}


def styles_of(strategies: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each strategy, in order of first appearance."""
    names = list(dict.fromkeys(strategies))
    others = iter(OTHER_STYLES * len(names))
    return {name: STYLES.get(name) or next(others) for name in names}


def score_by_layers(summary: pd.DataFrame, results: pd.DataFrame) -> Figure:
    """Score by layers dropped: lines through the means of strategies, dots for seeds, a panel for each origin.

    `summary` and `results` hold the rows of one model and task. The full model is a line, with a band from its
    worst to its best seed.
    """
    baseline, arms = split_baseline(summary)
    runs = results[results["primary"] & (results["origin"] != BASELINE)]
    styles = styles_of(arms["strategy"])
    origins = list(arms["origin"].unique())
    with mpl.rc_context(SETTINGS):
        columns = min(len(origins), PANELS_A_ROW)
        rows = math.ceil(len(origins) / columns)
        figure = Figure(figsize=(1.2 + 4.6 * columns, 1.4 + 3.6 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=rows > 1, sharey=True, squeeze=False)
        panels = list(grid.ravel()[: len(origins)])
        for unused in grid.ravel()[len(origins) :]:
            unused.set_visible(False)
        for panel, origin in zip(panels, origins, strict=True):
            here = arms[arms["origin"] == origin]
            offsets = offsets_of(list(styles), here["num_dropped"])
            for strategy, (colour, marker) in styles.items():
                mine = (here["strategy"] == strategy).to_numpy()
                seeds = runs[(runs["origin"] == origin) & (runs["strategy"] == strategy)]
                draw_strategy(panel, here[mine], seeds, offsets[strategy], colour, marker)
            panel.set_title(origin_title(origin), loc="left", color=INK)
            panel.set_xlabel("layers dropped")
            panel.tick_params(labelbottom=True)
            panel.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
            # Points stand beside their number of layers, which is shown for all of them.
            numbers = (arms if rows > 1 else here)["num_dropped"]
            panel.set_xlim(numbers.min() - 0.5, numbers.max() + 0.5)
            panel.grid(axis="y")
        draw_baseline(panels, baseline)
        _draw_chance(panels, baseline, [*runs["value"], baseline["score_min"], baseline["score_max"]])
        for panel in grid[:, 0]:
            panel.set_ylabel(metric_title(baseline["metric"], baseline["positive_class"]))
        several = baseline["seeds"] > 1
        extra = [legend_entry("one seed", SOFT, ".", line=False)] if several else []
        if runs["collapsed"].any():
            extra.append(legend_entry("collapsed seed", INK, "x", line=False))
        finish(figure, baseline, "score by layers dropped", styles, extra)
    return figure


def score_by_cost(summary: pd.DataFrame) -> Figure:
    """Score by time, a column for each batch size, and by model size; a row for each origin.

    `summary` holds the rows of one model and task. The numbers above a panel are the layers left, so a point is
    identified by its marker (strategy) and its column (layers). A grey line joins the best arm at each depth.
    """
    baseline, arms = split_baseline(summary)
    styles = styles_of(arms["strategy"])
    origins = list(arms["origin"].unique())
    costs = _cost_columns(summary)
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(1.0 + 3.7 * len(costs), 1.5 + 3.1 * len(origins)), layout="constrained")
        grid = figure.subplots(len(origins), len(costs), sharey=True, sharex="col", squeeze=False)
        for panels, origin in zip(grid, origins, strict=True):
            here = arms[arms["origin"] == origin]
            for panel, (column, label) in zip(panels, costs.items(), strict=True):
                _draw_costs(panel, column, here, baseline, styles)
                panel.set_xlabel(label if origin == origins[-1] else "")
            panels[0].set_ylabel(metric_title(baseline["metric"], baseline["positive_class"]))
            panels[0].set_title(origin_title(origin), loc="left", color=INK, pad=30)
            draw_baseline(panels, baseline, labelled=False)
        extra = [
            legend_entry("full model", BASELINE_COLOUR, "o", line=False),
            Line2D([], [], label="best at each depth", color=BEST_COLOUR, linewidth=3),
        ]
        if arms["collapsed"].any():
            hollow = legend_entry("hollow: a seed collapsed", SOFT, "o", line=False)
            hollow.set(markerfacecolor="white", markeredgecolor=SOFT)
            extra.append(hollow)
        finish(figure, baseline, "what a score costs", styles, extra, joined=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure to `path`.png and `path`.svg; the same figure gives the same bytes."""
    with mpl.rc_context(SETTINGS):
        for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
            content = io.BytesIO()
            figure.savefig(content, format=suffix[1:], metadata=metadata)
            written = content.getvalue() if suffix == ".svg" else _with_palette(content)
            write_bytes(path.with_name(path.name + suffix), written)


def _with_palette(png: io.BytesIO) -> bytes:
    """The same picture with a palette of 256 colours: a third of the size, and no colour is off by more than 5 %."""
    small = io.BytesIO()
    picture = Image.open(png)
    palette = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette.save(small, "png", optimize=True, dpi=picture.info["dpi"])
    return small.getvalue()


def split_baseline(summary: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    """The full model's row, and those of the arms."""
    is_baseline = summary["origin"] == BASELINE
    return summary[is_baseline].iloc[0], summary[~is_baseline]


def offsets_of(strategies: Sequence[str], positions: pd.Series, most: float = np.inf) -> dict[str, float]:
    """Small shifts along x, `most` apart at most, that keep strategies apart and columns distinct."""
    columns = np.unique(positions)
    gap = float(np.diff(columns).min()) if len(columns) > 1 else 1.0
    step = min(most, 0.12 * gap, 0.66 * gap / max(1, len(strategies) - 1))
    middle = (len(strategies) - 1) / 2
    return {strategy: (place - middle) * step for place, strategy in enumerate(strategies)}


def draw_strategy(
    panel: Axes,
    arms: pd.DataFrame,
    runs: pd.DataFrame,
    offset: float,
    colour: str,
    marker: str,
    position: Callable[[pd.Series], pd.Series] = lambda num_dropped: num_dropped,
) -> None:
    """Means of a strategy's arms, joined by a line, with their seeds, at places along x by the layers dropped."""
    arms = arms.sort_values("num_dropped", kind="stable")
    x = position(arms["num_dropped"]) + offset
    panel.vlines(x, arms["score_min"], arms["score_max"], color=colour, linewidth=1.2, alpha=0.55)
    panel.plot(
        x,
        arms["score"],
        color=colour,
        linestyle="none" if arms["strategy"].isin(UNORDERED).all() else "-",
        linewidth=1.6,
        marker=marker,
        markersize=9 * SIZES.get(marker, 1),
        markeredgecolor="white",
    )
    if (arms["seeds"] == 1).all():
        runs = runs[runs["collapsed"]]
    # A seed has the place of its arm, even where the seeds of an arm dropped different numbers of layers.
    fewest = position(runs.groupby("amount")["num_dropped"].transform("min")) + offset
    fine = ~runs["collapsed"].to_numpy(dtype=bool)
    panel.scatter(fewest[fine], runs["value"][fine], s=11, color=colour, edgecolors="white", linewidths=0.5, zorder=4)
    panel.scatter(fewest[~fine], runs["value"][~fine], s=48, color=INK, marker="x", linewidths=1.6, zorder=5)


def draw_baseline(panels: Sequence[Axes], baseline: pd.Series, labelled: bool = True) -> None:
    """The full model's score as a line, with a band from its worst to its best seed."""
    for panel in panels:
        panel.axhspan(baseline["score_min"], baseline["score_max"], color=BASELINE_COLOUR, alpha=0.1, linewidth=0)
        panel.axhline(baseline["score"], color=BASELINE_COLOUR, linewidth=1.3, linestyle=(0, (5, 2)), zorder=1)
    if labelled:
        label_line(panels[-1], baseline["score"], f"full model\n{score_text(baseline['score'])}", BASELINE_COLOUR)


def _draw_chance(panels: Sequence[Axes], baseline: pd.Series, scores: Sequence[float]) -> None:
    """The chance level, where there is one: a line if it is near the others, otherwise a remark."""
    low, high = min(scores), max(scores)
    constant = task_kind(baseline["target"]).constant
    if baseline["chance"] >= low - 0.6 * (high - low):
        for panel in panels:
            panel.axhline(baseline["chance"], color=SOFT, linewidth=1, linestyle=":", zorder=1)
        name = constant.partition(" ")[2]  # without the article
        label_line(panels[-1], baseline["chance"], f"{name}\n{score_text(baseline['chance'])}", SOFT)
    elif baseline["chance"] > 0:
        for panel in panels:
            panel.margins(y=0.13)  # room for the remark below the lowest marker
        panels[0].annotate(
            f"{constant} scores {score_text(baseline['chance'])}, below this range",
            (0, 0), (4, 4), xycoords="axes fraction", textcoords="offset points", fontsize=8, color=SOFT,
        )  # fmt: skip


def label_line(panel: Axes, height: float, text: str, colour: str) -> None:
    """Name a horizontal line to the right of the panel."""
    panel.annotate(
        text, (1, height), (5, 0), xycoords=panel.get_yaxis_transform(), textcoords="offset points",
        va="center", ha="left", fontsize=8.5, color=colour, annotation_clip=False,
    )  # fmt: skip


def _cost_columns(summary: pd.DataFrame) -> dict[str, str]:
    """Columns of a summary with the cost of a model, with labels; only those that depend on depth."""
    sizes = batch_sizes(summary)
    columns = {f"latency_ms_batch{size}": f"time for {texts_at_once(size)} (ms), left is faster" for size in sizes}
    columns["model_megabytes"] = "model file (MB), left is smaller"
    known = {column: label for column, label in columns.items() if _cost(summary, column).notna().all()}
    varied = {column: label for column, label in known.items() if _varies(_cost(summary, column))}
    return varied or {"model_megabytes": columns["model_megabytes"]}


def _cost(rows: pd.DataFrame, column: str) -> pd.Series:
    return rows["model_bytes"] / 1e6 if column == "model_megabytes" else rows[column].astype(float)


def _varies(costs: pd.Series) -> bool:
    return bool(costs.max() > 1.01 * costs.min())


def _draw_costs(
    panel: Axes, column: str, arms: pd.DataFrame, baseline: pd.Series, styles: dict[str, tuple[str, str]]
) -> None:
    rows = pd.concat([baseline.to_frame().T.astype(arms.dtypes), arms])
    cost, depth = _cost(rows, column), rows["num_layers"] - rows["num_dropped"]
    sound = rows["collapsed"] == 0
    best = rows["score"][sound].groupby(depth[sound]).idxmax()
    panel.plot(cost[best], rows["score"][best], color=BEST_COLOUR, linewidth=3, zorder=1.5, solid_capstyle="round")
    if column.startswith("latency_ms"):
        low, high = (rows[column.replace("latency", f"latency_{end}")].astype(float) for end in ("low", "high"))
        panel.hlines(rows["score"][best], low[best], high[best], color=SOFT, linewidth=1, zorder=2)
    offsets = offsets_of(list(styles), cost, most=0.012 * (cost.max() - cost.min()))
    for strategy, (colour, marker) in styles.items():
        for mine, filling, edge, width in ((sound, colour, "white", 0.8), (~sound, "white", colour, 1.5)):
            here = mine & (rows["strategy"] == strategy)
            panel.scatter(
                cost[here] + offsets[strategy],
                rows["score"][here],
                s=58 * SIZES.get(marker, 1) ** 2,
                color=filling,
                marker=marker,
                edgecolors=edge,
                linewidths=width,
                zorder=3,
            )
    panel.scatter(cost.iloc[:1], rows["score"].iloc[:1], s=58, color=BASELINE_COLOUR, edgecolors="white", zorder=3)
    panel.grid(axis="y")
    panel.margins(x=0.08, y=0.1)
    _number_depths(panel, cost.groupby(depth).first())


def _number_depths(panel: Axes, cost_of_depth: pd.Series) -> None:
    """The numbers of layers left, above the panel, where there is room."""
    least = 0.05 * (cost_of_depth.max() - cost_of_depth.min())
    shown: list[tuple[float, int]] = []
    for depth, cost in sorted(cost_of_depth.items(), reverse=True):
        if all(abs(cost - other) >= least for other, _ in shown):
            shown.append((cost, depth))
    above = panel.secondary_xaxis("top")
    above.set_xticks([cost for cost, _ in shown], [str(depth) for _, depth in shown], fontsize=8.5, color=SOFT)
    above.tick_params(length=0)
    above.spines["top"].set_visible(False)
    above.set_xlabel("layers left", fontsize=8.5, color=SOFT)
    panel.vlines(cost_of_depth, 0, 1, transform=panel.get_xaxis_transform(), color="#e3e7eb", linewidth=0.8, zorder=0)


def legend_entry(label: str, colour: str, marker: str, line: bool) -> Line2D:
    """A sign of the legend."""
    return Line2D(
        [], [], label=label, color=colour, marker=marker, linestyle="-" if line else "none", linewidth=1.6,
        markersize=8 * SIZES.get(marker, 1), markeredgecolor=colour if marker in "x." else "white",
    )  # fmt: skip


def finish(
    figure: Figure,
    baseline: pd.Series,
    subject: str,
    styles: dict[str, tuple[str, str]],
    extra: Sequence[Line2D],
    joined: bool = True,
) -> None:
    """Title, and a legend in as few rows as the width allows; `joined`: lines join a strategy's markers."""
    figure.suptitle(
        f"{baseline['model']} on {baseline['task']}: {subject}",
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
    )
    handles = [
        legend_entry(name, colour, marker, line=joined and name not in UNORDERED)
        for name, (colour, marker) in styles.items()
    ]
    handles += extra
    # A column is as wide as the longest name, at about 0.075 inches a letter, and its sign.
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, int((figure.get_figwidth() - 0.2) / (0.7 + 0.075 * longest)))
    figure.legend(handles=handles, loc="outside lower left", ncols=min(len(handles), columns), fontsize=9.5)
