"""Figures of one model on one task by the layers kept: all subsets of layers, those that were refined, the budget."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from shallower.core.files import read_json
from shallower.core.runs import BASELINE
from shallower.evaluation.metrics import metric_title
from shallower.reporting.budget import LAYERS, SCORE_KEPT
from shallower.reporting.colours import BEST_COLOUR, BUDGET_COLOUR, INK, SOFT
from shallower.reporting.figures import (
    SETTINGS,
    SIZES,
    draw_baseline,
    draw_strategy,
    finish,
    legend_entry,
    offsets_of,
    split_baseline,
    styles_of,
)
from shallower.reporting.summary import layer_sets
from shallower.surgery.origins import origin_title
from shallower.surgery.subset_choice import SubsetTable

DOT_COLOUR = "#8fa1b3"
BUDGET_LINE: dict[str, Any] = {"color": BUDGET_COLOUR, "linewidth": 1.3, "linestyle": (0, (2, 2))}
# Dots of subsets are spread by this share of a column to both sides.
SPREAD = 0.3
# Attributes of a table: what its scores are of, and which subsets it has, in words.
OF, WHICH = "of", "which"
EVERY, PROMISING = "every subset", "the most promising subsets"
# The best subsets of a size are this share of them, at least one.
BEST_SHARE = 0.1
# Shares are written into the cells of models of at most so many layers.
MOST_LAYERS_WRITTEN = 16


def read_subsets(files: Iterable[tuple[str, str | Path]]) -> dict[str, pd.DataFrame]:
    """Subsets of layers with the score and the loss of their readouts, by origin, from scores files of `score_subsets`.

    Sentence embeddings have no readouts; the score and the loss are those of their own vectors.

    `files` are pairs of an origin and a file. Columns of a table: `layers`, the kept ones, ascending and 0-based;
    `size`, their number; `readout_score` and `readout_loss`. Of several files of an origin, which are of several seeds,
    the means over those that have a subset.
    """
    paths = defaultdict(list)
    for origin, path in files:
        paths[origin].append(path)
    return {origin: _subsets_of(found) for origin, found in paths.items()}


def _subsets_of(paths: Iterable[str | Path]) -> pd.DataFrame:
    rows, prefix = [], ""
    found = [SubsetTable.parse(read_json(path)) for path in paths]
    for measures in (each.measures for each in found):
        prefix = "readout_" if "readout_loss" in measures else ""
        losses = measures[f"{prefix}loss"]
        rows += [(layers, score, losses[layers]) for layers, score in measures[f"{prefix}score"].items()]
    table = pd.DataFrame(rows, columns=["layers", "readout_score", "readout_loss"])
    table = table.groupby("layers", as_index=False, sort=True).mean()
    table = table.assign(size=table["layers"].map(len))
    table.attrs[OF] = "of a readout" if prefix else "before refining"
    table.attrs[WHICH] = EVERY if all(each.is_complete for each in found) else PROMISING
    return table


def _said_of(tables: Iterable[pd.DataFrame], attribute: str, otherwise: str) -> str:
    """What an attribute of the tables says."""
    return next((table.attrs[attribute] for table in tables if attribute in table.attrs), otherwise)


def score_by_depth(
    summary: pd.DataFrame,
    results: pd.DataFrame,
    subsets: Mapping[str, pd.DataFrame],
    budget: Mapping[str, float] | None = None,
    recommended: tuple[str, str, str] | None = None,
) -> Figure:
    """Score by layers kept, a row for each origin: at the left all scored subsets, at the right what was refined.

    Where subsets were scored for some origins, the others are left out, but for the recommended one: the figure by
    layers dropped has them all.

    `summary` and `results` hold the rows of one model and task. `subsets` are the tables of `read_subsets`; the
    left panels are left out where there are none. They show readout scores on calibration examples, the right ones
    scores on the validation split, so each has an axis of its own. `budget` are the study's limits, of which those of
    the score and of the layers are lines; `recommended` is the origin, strategy and amount of the model to ring.
    """
    baseline, arms = split_baseline(summary)
    runs = results[results["primary"] & (results["origin"] != BASELINE)]
    shown = {*subsets, *(recommended or ())[:1]}
    if subsets and arms["origin"].isin(shown).any():  # else all runs of those origins failed
        arms, runs = (part[part["origin"].isin(shown)] for part in (arms, runs))
    styles, origins = styles_of(arms["strategy"]), list(arms["origin"].unique())
    metric = metric_title(baseline["metric"], baseline["positive_class"])
    columns = 2 if subsets else 1
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(1.4 + 4.6 * columns, 1.5 + 3.5 * len(origins)), layout="constrained")
        grid = figure.subplots(len(origins), columns, squeeze=False, sharex=True, sharey="col")
        for panels, origin in zip(grid, origins, strict=True):
            here, mine = arms[arms["origin"] == origin], runs[runs["origin"] == origin]
            if subsets:
                _draw_subsets(panels[0], subsets.get(origin), here, styles)
                panels[0].set_ylabel(f"{metric} {_said_of(subsets.values(), OF, 'of a readout')}")
            _draw_refined(panels[-1], here, mine, baseline, styles)
            _draw_budget(panels[-1], baseline, budget or {})
            _ring(panels[-1], baseline, here, origin, list(styles), recommended)
            panels[-1].set_ylabel(metric)
            above = 22 if subsets and origin == origins[0] else 8  # room for what each column shows
            panels[0].set_title(origin_title(origin), loc="left", color=INK, pad=above)
            for panel in (panel for panel in panels if panel.axison):
                panel.set_xlabel("layers kept")
                panel.tick_params(labelbottom=True)
                panel.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
                panel.grid(axis="y")
        if subsets:
            which = _said_of(subsets.values(), WHICH, EVERY)
            _note(grid[0, 0], f"{which}, before refining, calibration examples")
            _note(grid[0, -1], "after refining, validation split")
        draw_baseline(list(grid[:, -1]), baseline)
        extra = [Line2D([], [], label="best at each depth", color=BEST_COLOUR, linewidth=3)]
        if subsets:
            extra.append(legend_entry("a subset of layers", DOT_COLOUR, ".", line=False))
        if baseline["seeds"] > 1:
            extra.append(legend_entry("one seed", SOFT, ".", line=False))
        if runs["collapsed"].any():
            extra.append(legend_entry("collapsed seed", INK, "x", line=False))
        if budget and {SCORE_KEPT, LAYERS} & budget.keys():
            extra.append(Line2D([], [], label=_budget_label(budget), **BUDGET_LINE))
        if recommended:
            ring = legend_entry("recommended", BUDGET_COLOUR, "o", line=False)
            ring.set(markerfacecolor="none", markeredgecolor=BUDGET_COLOUR, markersize=11, markeredgewidth=1.6)
            extra.append(ring)
        finish(figure, baseline, "score by layers kept", styles, extra)
    return figure


def layers_of_best_subsets(model: str, task: str, subsets: Mapping[str, pd.DataFrame]) -> Figure:
    """Which layers the best subsets keep, a panel for each origin of `subsets` (the tables of `read_subsets`).

    A row for each number of layers kept, a column for each layer.
    """
    num_layers = max(int(table["size"].max()) for table in subsets.values())
    with mpl.rc_context(SETTINGS):
        width, height = 1.9 + 0.42 * num_layers, max(3.6, 1.7 + 0.34 * num_layers)
        figure = Figure(figsize=(max(5.2, width * len(subsets) + 1), height), layout="constrained")
        panels = figure.subplots(1, len(subsets), squeeze=False)[0]
        # In steps: the palette of the written picture has room for few colours.
        colours = mpl.colormaps["Blues"].resampled(11)
        for panel, (origin, table) in zip(panels, subsets.items(), strict=True):
            shares, labels = shares_of_best(table, num_layers)
            image = panel.imshow(100 * shares, cmap=colours, vmin=0, vmax=100, aspect="auto")
            panel.set_title(origin_title(origin), loc="left", color=INK)
            panel.set_xticks(range(num_layers), [str(layer) for layer in range(num_layers)])
            panel.set_yticks(range(len(labels)), labels)
            panel.tick_params(length=0)
            panel.spines[:].set_visible(False)
            panel.set_xlabel("layer, counted from 0 at the bottom")
            of_all = _said_of([table], WHICH, EVERY) == EVERY
            panel.set_ylabel(f"layers kept (best subsets of {'all' if of_all else 'those scored'})")
            if num_layers <= MOST_LAYERS_WRITTEN:
                _write_shares(panel, shares)
        bar = figure.colorbar(image, ax=list(panels), shrink=0.8, pad=0.02)
        bar.set_label("best subsets that keep the layer, %")
        bar.outline.set_visible(False)
        title = f"{model} on {task}: layers of the best subsets"
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


def shares_of_best(table: pd.DataFrame, num_layers: int) -> tuple[NDArray[np.float64], list[str]]:
    """Shares [sizes, layers] of the best subsets of each size that keep each layer, the largest size first, and labels.

    The best ones are the tenth of them, at least one, with the lowest loss of the readout. The full model, of which
    there is one subset only, is left out. A label has the size and, in brackets, how many subsets of how many.
    """
    shares, labels = [], []
    for size, group in sorted(table.groupby("size"), reverse=True):
        if size == num_layers:
            continue
        count = max(1, math.ceil(BEST_SHARE * len(group)))
        best = group.sort_values(["readout_loss", "layers"], kind="stable").head(count)["layers"]
        shares.append([sum(layer in layers for layers in best) / count for layer in range(num_layers)])
        labels.append(f"{size} ({count} of {len(group)})")
    return np.array(shares).reshape(-1, num_layers), labels


def _draw_subsets(
    panel: Axes, table: pd.DataFrame | None, arms: pd.DataFrame, styles: Mapping[str, tuple[str, str]]
) -> None:
    if table is None:
        panel.set_axis_off()
        panel.annotate("no subsets were scored", (0.5, 0.5), xycoords="axes fraction", ha="center", color=SOFT)
        return
    # Always the same places, so that the same figure is the same file.
    shifts = np.random.default_rng(0).uniform(-SPREAD, SPREAD, len(table))
    shifts[table.groupby("size")["size"].transform("size") == 1] = 0
    faint = 0.25 if len(table) > 500 else 0.5
    x, scores = table["size"] + shifts, table["readout_score"]
    panel.scatter(x, scores, s=9, color=DOT_COLOUR, alpha=faint, linewidths=0, zorder=2, rasterized=len(table) > 2000)
    best = scores.groupby(table["size"]).max()
    panel.plot(best.index, best, color=BEST_COLOUR, linewidth=3, zorder=1.5, solid_capstyle="round")
    of_layers = dict(zip(table["layers"], scores, strict=True))
    steps = offsets_of(list(styles), table["size"], most=0.1)
    for strategy, (colour, marker) in styles.items():
        picks = {
            tuple(layers)
            for kept in arms.loc[arms["strategy"] == strategy, "kept_layers"]
            for layers in layer_sets(kept)
            if tuple(layers) in of_layers
        }
        panel.scatter(
            [len(layers) + steps[strategy] for layers in sorted(picks)],
            [of_layers[layers] for layers in sorted(picks)],
            s=46 * SIZES.get(marker, 1) ** 2,
            color=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.8,
            zorder=4,
        )


def _draw_refined(
    panel: Axes, arms: pd.DataFrame, runs: pd.DataFrame, baseline: pd.Series, styles: Mapping[str, tuple[str, str]]
) -> None:
    num_layers = baseline["num_layers"]
    sound = arms[arms["collapsed"] == 0]
    best = sound.groupby(num_layers - sound["num_dropped"])["score"].max()
    best[num_layers] = baseline["score"]
    panel.plot(best.index, best, color=BEST_COLOUR, linewidth=3, zorder=1.2, solid_capstyle="round")
    steps = offsets_of(list(styles), arms["num_dropped"], most=0.1)
    for strategy, (colour, marker) in styles.items():
        here, mine = arms[arms["strategy"] == strategy], runs[runs["strategy"] == strategy]
        draw_strategy(panel, here, mine, steps[strategy], colour, marker, lambda dropped: num_layers - dropped)


def _draw_budget(panel: Axes, baseline: pd.Series, budget: Mapping[str, float]) -> None:
    if SCORE_KEPT in budget:
        panel.axhline(budget[SCORE_KEPT] / 100 * baseline["score"], zorder=1.4, **BUDGET_LINE)
    if LAYERS in budget and budget[LAYERS] < baseline["num_layers"]:
        panel.axvline(budget[LAYERS] + 0.5, zorder=1.4, **BUDGET_LINE)


def _budget_label(budget: Mapping[str, float]) -> str:
    return "budget, for lower ends of intervals" if SCORE_KEPT in budget else "budget"


def _ring(
    panel: Axes,
    baseline: pd.Series,
    arms: pd.DataFrame,
    origin: str,
    strategies: list[str],
    recommended: tuple[str, str, str] | None,
) -> None:
    """A ring around the recommended arm; the full model, where that is recommended, has it in every panel."""
    if recommended is None or recommended[0] not in (origin, BASELINE):
        return
    found, strategy, amount = recommended
    place, score = baseline["num_layers"], baseline["score"]
    if found == origin:
        chosen = arms[(arms["strategy"] == strategy) & (arms["amount"] == amount)].iloc[0]
        step = offsets_of(strategies, arms["num_dropped"], most=0.1)[strategy]
        place, score = place - chosen["num_dropped"] + step, chosen["score"]
    panel.scatter([place], [score], s=260, facecolors="none", edgecolors=BUDGET_COLOUR, linewidths=1.6, zorder=6)


def _note(panel: Axes, text: str) -> None:
    """What a column of panels shows, above its first one."""
    panel.annotate(text, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=8.5, color=SOFT)


def _write_shares(panel: Axes, shares: NDArray[np.float64]) -> None:
    for (row, layer), share in np.ndenumerate(shares):
        colour = "white" if share > 0.6 else INK
        panel.text(layer, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=colour)
