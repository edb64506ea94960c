"""The paper's figures with a study's numbers and the paper's, drawn from comparison frames.

A frame (results/{study}/paper/{item}.csv, see `shallower.paper.comparison`) has one row for each value: ours with its
interval, the paper's, and remarks where one of them is blank. Each model has a panel; blank values are not drawn, and a
note says why. Ours are blue, the paper's are orange diamonds, hollow where they are outside our interval.
"""

import itertools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from shallower.core.runs import NO_STRATEGY
from shallower.core.wording import listed
from shallower.paper.frames import OUTSIDE, prepared
from shallower.paper.items import ITEMS
from shallower.paper.remarks import join_remarks
from shallower.reporting.colours import BASELINE_COLOUR, INK, SOFT
from shallower.reporting.figures import SETTINGS

OURS_COLOUR, PAPER_COLOUR, PAPER_MARKER = "#0072b2", "#d55e00", "D"
SHADES = LinearSegmentedColormap.from_list("shades", ["#b3d4ea", "#4f97c9", "#0b4a7d"])
HEAT = LinearSegmentedColormap.from_list("heat", ["#f4f7fa", "#9fc6e3", "#2f7fb8", "#0b3c66"])
FULL_MEAN = "mean7"
# The paper's lowest threshold (section 3.4): a layer above it might be dropped.
LOWEST_THRESHOLD = 0.9
# Of a group of bars, in bars: room for the name of its strategy, and to the next group.
NARROWEST_GROUP, GROUP_GAP = 2.6, 0.7
NARROWEST_PANEL = 12.0
CHARACTERS_PER_INCH = 14.5  # of a remark


def draw(item: str, frame: pd.DataFrame) -> Figure:
    """The figure of an item; the keys of `DRAWINGS` are the items that have one."""
    frame = prepared(frame)
    with mpl.rc_context(SETTINGS):
        figure = DRAWINGS[item](frame) if len(frame) else _empty_figure("nothing was run that belongs here")
        figure.suptitle(ITEMS[item].title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    return figure


# --- bars: strategies ---


def strategies_figure(frame: pd.DataFrame) -> Figure:
    """Mean score a strategy and number of layers dropped; the full model is a line."""
    if (frame["task"] == FULL_MEAN).any():
        frame = frame[frame["task"] == FULL_MEAN]
    seen = frame[_has_value(frame)]
    depths = sorted(seen.loc[seen["strategy"] != NO_STRATEGY, "num_dropped"].dropna().astype(int).unique())
    colours = {depth: to_hex(SHADES(place / max(1, len(depths) - 1))) for place, depth in enumerate(depths)}
    panels = list(_panels(frame))
    width = float(np.clip(1.6 + 0.3 * max(_width(rows) for _, rows in panels), 7.5, 14.0))
    heights = [1.0 if rows["ours"].notna().any() else 0.6 for _, rows in panels]
    figure = Figure(figsize=(width, 1.2 + 3.2 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharey=True, squeeze=False, height_ratios=heights)[:, 0]
    lowest, highest = _range(seen[["ours", "low", "high", "paper"]])
    for axis, (title, rows) in zip(axes, panels, strict=True):
        axis.set_title(title, loc="left", color=INK)
        axis.set_ylim(lowest, highest)
        axis.grid(axis="y")
        axis.set_ylabel("mean score over tasks\n(points, not from 0)" if rows["ours"].notna().any() else "mean score")
        axis.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        _draw_strategies(axis, rows, colours, lowest)
        notes = [_wrapped(note, width - 0.8) for note in _notes(rows)]
        axis.set_xlabel("\n".join(notes), loc="left", fontsize=8, color=SOFT)
    bars = [Patch(facecolor=colour, label=f"{depth} dropped") for depth, colour in colours.items()]
    full = seen[seen["strategy"] == NO_STRATEGY]
    lines = [
        Line2D([], [], color=BASELINE_COLOUR, linestyle=(0, (5, 2)), label="full model"),
        Line2D([], [], color=PAPER_COLOUR, linestyle=":", label="full model, paper"),
    ]
    there = [full[name].notna().any() for name in ("ours", "paper")]
    _legend(figure, [*bars, *_paper_handles(seen), *itertools.compress(lines, there)])
    return figure


def _width(rows: pd.DataFrame) -> float:
    """Width of a panel in bars."""
    arms = rows[_has_value(rows) & (rows["strategy"] != NO_STRATEGY)]
    return float(arms.groupby("strategy").size().clip(lower=NARROWEST_GROUP).add(GROUP_GAP).sum())


def _draw_strategies(axis: Axes, rows: pd.DataFrame, colours: dict[int, str], lowest: float) -> None:
    full = rows[rows["strategy"] == NO_STRATEGY]
    for ours, low, high in full[["ours", "low", "high"]].dropna(subset="ours").to_numpy():
        axis.axhspan(low, high, color=BASELINE_COLOUR, alpha=0.12, linewidth=0)
        axis.axhline(ours, color=BASELINE_COLOUR, linewidth=1.3, linestyle=(0, (5, 2)), zorder=1)
    for paper in full["paper"].dropna():
        axis.axhline(paper, color=PAPER_COLOUR, linewidth=1.3, linestyle=":", zorder=1)
    arms = rows[_has_value(rows) & (rows["strategy"] != NO_STRATEGY)]
    if arms.empty:
        _say(axis, _all_remarks(rows) or "nothing to compare")
        return
    at = 0.0
    ticks: dict[float, int] = {}
    names: dict[float, str] = {}
    for strategy, unordered in arms.groupby("strategy", sort=False):
        group = unordered.sort_values("num_dropped", kind="stable")
        room = max(NARROWEST_GROUP, len(group))
        places = at + (room - len(group) + 1) / 2 + np.arange(len(group))
        _draw_group(axis, places, group, [colours[int(depth)] for depth in group["num_dropped"]], lowest)
        ticks |= dict(zip(places, group["num_dropped"].astype(int), strict=True))
        names[at + room / 2] = strategy.replace("-", "-\n")
        at += room + GROUP_GAP
    axis.set_xlim(-0.4, max(NARROWEST_PANEL, at) - GROUP_GAP + 0.4)
    axis.xaxis.remove_overlapping_locs = False  # the number in the middle stands above the name
    axis.set_xticks(list(ticks), list(map(str, ticks.values())), minor=True, fontsize=8, color=SOFT)
    # The names stand one line lower than the numbers of layers.
    axis.set_xticks(list(names), [f"\n{name}" for name in names.values()], fontsize=9, color=INK)
    axis.tick_params(axis="x", which="both", length=0)


def _draw_group(axis: Axes, places: np.ndarray, group: pd.DataFrame, colours: Sequence[str], lowest: float) -> None:
    ours, low, high = (group[name].to_numpy() for name in ("ours", "low", "high"))
    axis.bar(places - 0.1, ours - lowest, width=0.62, bottom=lowest, color=colours, zorder=2)
    axis.vlines(places - 0.1, low, high, color=INK, linewidth=1.1, zorder=3)
    for place, row in zip(places, group.itertuples(), strict=True):
        shift = 0.0 if np.isnan(row.ours) else 0.33
        _draw_paper_value(axis, place + shift, row.paper, row.uncertainty, hollow=row.verdict == OUTSIDE)


def _draw_paper_value(axis: Axes, x: float, value: float, uncertainty: float, hollow: bool) -> None:
    if np.isnan(value):
        return
    if uncertainty > 0:
        axis.vlines(x, value - uncertainty, value + uncertainty, color=PAPER_COLOUR, linewidth=1, zorder=4)
    filling = "white" if hollow else PAPER_COLOUR
    axis.scatter(
        [x], [value], s=26, marker=PAPER_MARKER, color=filling, edgecolors=PAPER_COLOUR, linewidths=1.2, zorder=5
    )


def _notes(rows: pd.DataFrame) -> list[str]:
    """What holds for all bars of a panel, and which bars are not there and why."""
    if rows["ours"].isna().all():
        return []  # the title says so
    common = _common(rows)
    blank = rows[rows["ours"].isna() & rows["remarks"].map(bool)]
    reasons = blank["remarks"].map(lambda remarks: remarks[0])
    missing = []
    for reason, group in blank.groupby(reasons, sort=False):
        arms = group.groupby("strategy", sort=False)
        named = [f"{strategy} {', '.join(map(_arm_text, arm.itertuples()))}" for strategy, arm in arms]
        missing.append(
            reason if reason.startswith(blank["strategy"][group.index[0]]) else f"{listed(named)} ({reason})"
        )
    notes = {"All bars": common, "No bar": missing}
    return [f"{what}: {'; '.join(parts)}." for what, parts in notes.items() if any(parts)]


def _common(rows: pd.DataFrame) -> list[str]:
    """The remarks that all of our values have."""
    first, *others = list(rows.loc[rows["ours"].notna(), "remarks"]) or [[]]
    return [text for text in first if all(text in other for other in others)]


def _all_remarks(rows: pd.DataFrame) -> str:
    """The remarks of all values in words, each once."""
    return listed(list(dict.fromkeys(join_remarks(remarks) for remarks in rows["remarks"] if remarks)))


def _arm_text(row: Any) -> str:
    return row.amount or f"{row.num_dropped:.0f}"


# --- lines: depths ---


def probes_figure(frame: pd.DataFrame) -> Figure:
    """Score of a classifier at each depth."""
    return _depths_figure(frame, "score of a linear classifier (points)")


def similarity_figure(frame: pd.DataFrame) -> Figure:
    """Cosine of the fine-tuned model's vectors with the pre-trained model's at each depth."""
    return _depths_figure(frame, "cosine, pre-trained against fine-tuned")


def _depths_figure(frame: pd.DataFrame, label: str) -> Figure:
    panels = list(_panels(frame))
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(max(7.0, 0.8 + 3.7 * columns), 1.2 + 3.1 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    lowest, highest = _range(frame[["ours", "low", "high", "paper"]])
    for axis, (title, rows) in zip(axes, panels, strict=False):
        axis.set_title(title, loc="left", color=INK)
        axis.set_ylim(lowest, highest)
        axis.grid(axis="y")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=13, integer=True))
        axis.set_xlabel("depth: layers passed, 0 is the embeddings")
        _draw_depths(axis, rows.sort_values("depth", kind="stable"))
    for axis in axes[len(panels) :]:
        axis.remove()
    for axis in axes[::columns]:
        axis.set_ylabel(label)
    handles: list[Artist] = [
        Line2D([], [], color=OURS_COLOUR, marker="o", markeredgecolor="white", label="this study, mean")
    ]
    if (frame["high"] > frame["low"]).any():
        handles.append(Patch(facecolor=OURS_COLOUR, alpha=0.2, label="lowest to highest seed"))
    if frame["paper"].notna().any():
        style: dict[str, Any] = {"linestyle": (0, (4, 2)), "marker": PAPER_MARKER, "markersize": 4}
        handles.append(Line2D([], [], color=PAPER_COLOUR, label="paper, measured off its figure", **style))
    _legend(figure, handles, _by_remark((title, _common(rows)) for title, rows in panels))
    return figure


def _draw_depths(axis: Axes, rows: pd.DataFrame) -> None:
    if not _has_value(rows).any():
        _say(axis, _all_remarks(rows) or "nothing to compare")
        return
    axis.set_xlim(-0.5, rows["depth"].max() + 0.5)
    paper = rows.dropna(subset="paper")
    spread = paper["uncertainty"].fillna(0.0)
    axis.fill_between(
        paper["depth"], paper["paper"] - spread, paper["paper"] + spread, color=PAPER_COLOUR, alpha=0.18, linewidth=0
    )
    axis.plot(
        paper["depth"], paper["paper"], color=PAPER_COLOUR, linewidth=1.4, linestyle=(0, (4, 2)),
        marker=PAPER_MARKER, markersize=4,
    )  # fmt: skip
    ours = rows.dropna(subset="ours")
    axis.fill_between(ours["depth"], ours["low"], ours["high"], color=OURS_COLOUR, alpha=0.2, linewidth=0)
    axis.plot(
        ours["depth"], ours["ours"], color=OURS_COLOUR, linewidth=1.8, marker="o", markersize=6, markeredgecolor="white"
    )


# --- heat map: contribution ---


def contribution_figure(frame: pd.DataFrame) -> Figure:
    """Mean cosine of the [CLS] token's vector before and after each layer; a row a task, a panel a model."""
    panels = [(title, rows) for title, rows in _panels(frame) if rows["ours"].notna().any()]
    remarks = _by_remark((title, list(_said_of_layers(rows))) for title, rows in _panels(frame))
    if not panels:
        return _empty_figure("\n".join(remarks) or "nothing was run that belongs here")
    sizes = [(rows["column"].nunique(), rows["row"].nunique()) for _, rows in panels]
    width = 2.0 + 0.6 * max(9, *(layers for layers, _ in sizes))
    figure = Figure(figsize=(width, 1.0 + sum(1.05 + 0.34 * tasks for _, tasks in sizes)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[tasks + 2 for _, tasks in sizes])[:, 0]
    lowest, highest = frame["ours"].min(), frame["ours"].max()
    for axis, (title, rows) in zip(axes, panels, strict=True):
        axis.set_title(title, loc="left", color=INK)
        _draw_heat(axis, rows, lowest, highest)
    bold = f"Mean cosine before and after a layer. Bold: above {LOWEST_THRESHOLD}, the paper's lowest threshold."
    text = "\n".join(_wrapped(line, width - 0.6) for line in [bold, *remarks])
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=SOFT)
    return figure


def _draw_heat(axis: Axes, rows: pd.DataFrame, lowest: float, highest: float) -> None:
    ordered = rows.sort_values("column_order", kind="stable")
    layers, tasks = list(ordered["column"].unique()), list(rows["row"].unique())
    table = rows.pivot(index="row", columns="column", values="ours").loc[tasks, layers]
    axis.imshow(table, cmap=HEAT, vmin=lowest, vmax=highest, aspect="auto")
    for (line, place), value in np.ndenumerate(table.to_numpy()):
        share = (value - lowest) / max(highest - lowest, 1e-9)
        if np.isfinite(value):
            axis.text(
                place, line, f"{value:.3f}", ha="center", va="center", fontsize=8,
                color="white" if share > 0.55 else INK, fontweight="bold" if value > LOWEST_THRESHOLD else "normal",
            )  # fmt: skip
    axis.set_xticks(range(len(layers)), layers, fontsize=8.5)
    names = [name.removeprefix(f"{rows['model'].iloc[0]}, ") for name in tasks]
    axis.set_yticks(range(len(tasks)), names, fontsize=8.5)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _said_of_layers(rows: pd.DataFrame) -> Iterator[str]:
    """Each remark, with the layers that it is about unless these are all."""
    remarks = rows["remarks"].explode().dropna()
    for text, its in rows["column"].loc[remarks.index].groupby(remarks.to_numpy(), sort=False):
        layers = list(its.unique())
        yield text if len(layers) == rows["column"].nunique() else f"{text} ({listed(layers)})"


# --- shared ---

DRAWINGS: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "figure-2": strategies_figure,
    "preprint-figure-3": strategies_figure,
    "figure-3": probes_figure,
    "preprint-figure-5": similarity_figure,
    "contribution": contribution_figure,
}


def _panels(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Title and rows of each model: ours with its counterpart, then those of the paper alone."""
    for (model, counterpart), rows in frame.groupby(["model", "counterpart"], sort=False):
        if not model:
            yield f"{counterpart}, paper only (not in this study)", rows
        elif not counterpart or rows["paper"].isna().all():
            yield model, rows
        else:
            yield f"{model} and the paper's {counterpart}", rows


def _by_remark(said: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """What is said of each panel, once for all panels of which it is said, by which they are."""
    panels: dict[str, list[str]] = {}
    for title, remarks in said:
        for remark in remarks:
            panels.setdefault(remark, []).append(title)
    return [f"{', '.join(titles)}: {remark}" for remark, titles in panels.items()]


def _has_value(frame: pd.DataFrame) -> pd.Series:
    return frame["ours"].notna() | frame["paper"].notna()


def _range(values: pd.DataFrame) -> tuple[float, float]:
    """Limits of an axis that holds these values, with a margin."""
    found = values.to_numpy()[np.isfinite(values.to_numpy())]
    if not found.size:
        return 0.0, 1.0
    margin = max(0.06 * (found.max() - found.min()), 0.01 * abs(found.max()))
    return float(found.min() - margin), float(found.max() + margin)


def _paper_handles(seen: pd.DataFrame) -> list[Artist]:
    style: dict[str, Any] = {"color": PAPER_COLOUR, "marker": PAPER_MARKER, "markersize": 5.5, "linestyle": "none"}
    has_paper, outside = seen["paper"].notna(), seen["verdict"] == OUTSIDE
    handles = {
        "paper": (has_paper & ~outside).any(),
        "paper, outside our interval": (has_paper & outside).any(),
    }
    fillings = (PAPER_COLOUR, "white")
    return [
        Line2D([], [], label=label, markerfacecolor=filling, **style)
        for (label, wanted), filling in zip(handles.items(), fillings, strict=True)
        if wanted
    ]


def _legend(figure: Figure, handles: Sequence[Artist], notes: Sequence[str] = ()) -> None:
    """A legend below the panels, and above it what there is to note about them."""
    width = figure.get_figwidth()
    legend = figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=min(len(handles), max(2, int(width / 1.9))),
        fontsize=9,
        title="\n".join(_wrapped(note, width - 0.6) for note in notes),
        title_fontsize=8,
        alignment="left",
    )
    legend.get_title().set_color(SOFT)


def _wrapped(text: str, inches: float) -> str:
    return textwrap.fill(text, int(inches * CHARACTERS_PER_INCH))


def _say(axis: Axes, text: str) -> None:
    """An empty panel that says why it is empty."""
    axis.set_xticks([])
    axis.text(0.5, 0.5, _wrapped(text, 4), transform=axis.transAxes, ha="center", va="center", color=SOFT)


def _empty_figure(text: str) -> Figure:
    figure = Figure(figsize=(6.4, 2.0), layout="constrained")
    axis = figure.subplots()
    axis.axis("off")
    _say(axis, text)
    return figure
