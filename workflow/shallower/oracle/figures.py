"""Figures of judged strategies: scores before and after refining, and what each strategy loses."""

from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from shallower.core.wording import DASH
from shallower.oracle.names import BEST, FIGURES, RANDOM, WITHIN
from shallower.oracle.sentences import number, strategy_title
from shallower.reporting.colours import BASELINE_COLOUR, INK, SOFT
from shallower.reporting.figures import SETTINGS
from shallower.surgery.origins import origin_title

# Numbers of kept layers, from few to many: dark to light, and told apart with any colour vision.
DEPTHS = LinearSegmentedColormap.from_list("depths", ["#3b1c5a", "#31688e", "#35a07c", "#d9a900"])
# Regret, from nothing to much.
LOSSES = LinearSegmentedColormap.from_list("losses", ["#ffffff", "#fbd7b5", "#ef8a47", "#a83f06"])
GOOD_COLOUR, OTHER_COLOUR = "#0072b2", "#8b949e"
ROW_HEIGHT = 0.29  # inches, of a strategy


def draw(name: str, tables: dict[str, pd.DataFrame]) -> Figure:
    """The figure of a name in `FIGURES`, from the tables by their names."""
    with mpl.rc_context(SETTINGS):
        figure = DRAWINGS[name](tables)
        figure.suptitle(FIGURES[name], x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def _groups(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of each model and origin, with a title."""
    for (model, origin), rows in table.groupby(["model", "origin"], sort=False):
        yield f"{model}, {origin_title(origin)}", rows


def _panels(rows: int, columns: int, width: float, heights: Sequence[float]) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width, 0.9 + sum(heights)), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, height_ratios=heights)


# --- before and after refining ---


def score_by_readout(tables: dict[str, pd.DataFrame]) -> Figure:
    """The score after refining against that of the readout before it, a dot for each subset, a panel for each task."""
    table = tables["subsets"]
    groups = list(_groups(table))
    columns = max(rows["task"].nunique() for _, rows in groups)
    figure, grid = _panels(len(groups), columns, 1.2 + 3.6 * columns, [3.5] * len(groups))
    sizes = sorted(table["num_kept"].unique())
    shades = dict(zip(sizes, DEPTHS(np.linspace(0, 1, max(2, len(sizes)))), strict=False))
    for axes, (title, rows) in zip(grid, groups, strict=True):
        tasks = list(rows.groupby("task", sort=False))
        for axis in axes[len(tasks) :]:
            axis.set_visible(False)
        for axis, (task, of_task) in zip(axes, tasks, strict=False):
            _draw_subsets(axis, of_task, shades)
            axis.set_title(f"{task}\n{title}" if len(groups) > 1 else task, loc="left", color=INK)
        axes[0].set_ylabel("score after refining (points)")
    handles = [
        Line2D([], [], marker="o", linestyle="none", color=shades[size], label=f"{size} kept", markersize=6)
        for size in sizes
    ]
    handles.append(Line2D([], [], color=BASELINE_COLOUR, linestyle=(0, (5, 2)), label="full model"))
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), fontsize=9.5)
    return figure


def _draw_subsets(axis: Axes, rows: pd.DataFrame, shades: dict[int, Any]) -> None:
    before = 100 * rows["before_readout_score"]
    axis.scatter(
        before, rows["score"], s=30, c=[shades[size] for size in rows["num_kept"]], edgecolors="white", linewidths=0.5
    )
    if (full := rows["full_score"].dropna()).size:
        axis.axhline(full.iloc[0], color=BASELINE_COLOUR, linewidth=1.3, linestyle=(0, (5, 2)), zorder=1)
    axis.set_xlabel("score of the readout, before refining (points)")
    axis.grid(True)


# --- regret ---


def regret(tables: dict[str, pd.DataFrame]) -> Figure:
    """Regret by strategy and number of kept layers, a panel for each task, and the mean with its interval."""
    groups = list(_groups(tables["strategies"]))
    by_depth = dict(_groups(tables["regret"]))
    columns = 1 + max(rows["task"].nunique() for rows in by_depth.values())
    deepest = max(rows["num_kept"].nunique() for rows in by_depth.values())
    width = 1.9 + (0.62 + 0.42 * deepest) * (columns - 1) + 3.6
    heights = [0.75 + ROW_HEIGHT * len(rows) for _, rows in groups]
    figure, grid = _panels(len(groups), columns, width, heights)
    highest = max(1.0, float(np.nanpercentile(tables["regret"]["regret"], 95)))
    for axes, (title, rows) in zip(grid, groups, strict=True):
        names = rows["strategy"].tolist()
        tasks = list(by_depth[title].groupby("task", sort=False))
        for axis in axes[len(tasks) : -1]:
            axis.set_visible(False)
        for axis, (task, of_task) in zip(axes, tasks, strict=False):
            _draw_heat(axis, of_task, names, Normalize(0, highest))
            axis.set_title(f"{task}\n{title}" if len(groups) > 1 else task, loc="left", color=INK)
        axes[0].set_yticks(range(len(names)), list(map(strategy_title, names)))
        _draw_means(axes[-1], rows)
    return figure


def _draw_heat(axis: Axes, rows: pd.DataFrame, names: Sequence[str], scale: Normalize) -> None:
    sizes = sorted(rows["num_kept"].unique())
    values = rows.pivot(index="strategy", columns="num_kept", values="regret").reindex(index=names, columns=sizes)
    axis.imshow(values.to_numpy(), cmap=LOSSES, norm=scale, aspect="auto")
    for (row, column), value in np.ndenumerate(values.to_numpy()):
        known = not np.isnan(value)
        dark = known and scale(value) > 0.75
        text = number(value) if known else DASH
        colour = "white" if dark else INK if known else "#b9c2cb"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axis.set_xticks(range(len(sizes)), list(map(str, sizes)))
    axis.set_yticks([])
    axis.set_xlabel("layers kept")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def _draw_means(axis: Axes, rows: pd.DataFrame) -> None:
    for place, row in enumerate(rows.to_dict("records")):
        colour = GOOD_COLOUR if row["verdict"] in (BEST, WITHIN) else OTHER_COLOUR
        axis.hlines(place, row["low"], row["high"], color=colour, linewidth=1.8)
        marker = "D" if row["strategy"] == RANDOM else "o"
        axis.scatter([row["regret"]], [place], color=colour, s=28, marker=marker, zorder=3)
    axis.axvline(0, color=SOFT, linewidth=1, linestyle=(0, (2, 2)))
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")
    axis.set_title("mean, with its interval", loc="left", color=INK)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axis.set_xlabel("regret (points)")


DRAWINGS = {"score-by-readout": score_by_readout, "regret": regret}
