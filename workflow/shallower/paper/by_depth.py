"""The paper's figures by layer: layer-wise classifiers, how far fine-tuning moves each layer, contribution scores."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from shallower.core.runs import BASELINE
from shallower.evaluation.estimates import POINTS
from shallower.paper.comparison import (
    NOT_IN_STUDY,
    NOT_RUN,
    Arm,
    Comparison,
    Ours,
    Pair,
    TaskColumn,
    cell,
    frame,
    identity,
)
from shallower.paper.names import SEVEN

RANGE = "range over seeds"
NO_RANGE = "one seed: no range"
WHOLE = Arm(BASELINE, "none", "0", 0)


class _Measure(NamedTuple):
    """`quantity` in states.csv, what the frame calls it, where the paper has it, and the factor to the frame's unit."""

    quantity: str
    name: str
    item: str
    factor: float


def figure_3(comparison: Comparison, states: pd.DataFrame) -> pd.DataFrame:
    """Figure 3: scores of classifiers on each layer of the fine-tuned models, in points, mean over tasks."""
    return _by_depth(comparison, states, _Measure("probe", "probe_score", "figure-3", POINTS))


def preprint_figure_5(comparison: Comparison, states: pd.DataFrame) -> pd.DataFrame:
    """The preprint's Figure 5: cosine of pre-trained and fine-tuned vectors by layer, mean over tasks."""
    return _by_depth(comparison, states, _Measure("similarity", "similarity", "preprint-figure-5", 1.0))


def _by_depth(comparison: Comparison, states: pd.DataFrame, measure: _Measure) -> pd.DataFrame:
    """One row a model, one column a depth: 0 is the embedding output, L what the last of L layers gives."""
    states = states[states["quantity"] == measure.quantity]
    column = comparison.mean_column(SEVEN)
    if not column.ours:
        # A study of other tasks alone: their mean, beside which the paper has nothing.
        ours = tuple(comparison.tasks)
        column = replace(column, label="mean of all tasks", task="mean", paper_task="", ours=ours, papers=())
    pairs = comparison.pairs(states.groupby("model")["depth"].max().to_dict(), measure.item)
    return frame(cell for pair in pairs for cell in _line(comparison, states, measure, pair, column))


def _line(
    comparison: Comparison, states: pd.DataFrame, measure: _Measure, pair: Pair, column: TaskColumn
) -> Iterator[dict[str, Any]]:
    here = states[(states["model"] == pair.model) & states["task"].isin(column.ours)]
    missing = [task for task in column.ours if task not in set(here["task"])]
    why = f"{NOT_RUN} on {', '.join(missing)}" if pair.model else NOT_IN_STUDY
    remarks = [column.remark, pair.remark]
    curve = {} if missing or not pair.model else _curve(here, measure.factor)
    where = {"model": pair.counterpart, "quantity": measure.name}
    for depth in range(pair.num_layers + 1):
        # The figures do not say which tasks their means are of, so that they are compared with any.
        comparable = pair.counterpart and column.papers
        paper = comparison.find([measure.item], **where, depth=depth) if comparable else None
        if depth in curve or paper:
            said = remarks if depth in curve else [why, *remarks]
            named = identity(pair, WHOLE) | {"task": column.task, "paper_task": column.paper_task, "depth": depth}
            yield cell(pair.name, f"depth {depth}", curve.get(depth), paper, measure.name, said, **named)


def _curve(states: pd.DataFrame, factor: float) -> dict[int, Ours]:
    """By depth: the mean over tasks of means over seeds, and the range of the seeds' own means over tasks."""
    values = factor * states.pivot_table(index="depth", columns=["task", "seed"], values="value")
    means = values.T.groupby(level="task").mean().mean()
    # Only seeds that every task has give a mean of their own.
    by_seed = values.T.groupby(level="seed")
    complete = by_seed.size() == states["task"].nunique()
    of_seeds = by_seed.mean()[complete]
    seeds = int(complete.sum())
    if seeds < 2:
        return {int(depth): Ours(value, None, None, 1, NO_RANGE) for depth, value in means.items()}
    return {
        int(depth): Ours(value, of_seeds[depth].min(), of_seeds[depth].max(), seeds, RANGE)
        for depth, value in means.items()
    }


def contribution(comparison: Comparison, scores: pd.DataFrame) -> pd.DataFrame:
    """Contribution scores of the pre-trained models (section 3.4): one row a task, and their mean; one column a layer.

    Here `depth` is the layer, 0-based. The paper prints no scores, only which layers they made it drop.
    """
    scores = scores[scores["method"] == "contribution"]
    layers = scores.groupby("model")["layer"].max() + 1
    cells: list[dict[str, Any]] = []
    for pair in comparison.pairs(layers.to_dict(), "contribution"):
        table = scores[scores["model"] == pair.model].pivot_table(index="task", columns="layer", values="value")
        sets = _paper_sets(comparison, pair.counterpart)
        for task in [*(task for task in comparison.tasks if task in table.index), "mean"]:
            values = table.mean() if task == "mean" else table.loc[task]
            named = identity(pair, Arm("pretrained", "contribution", "", None))
            named |= {"task": task, "paper_task": comparison.tasks.get(task) or ""}
            for layer in range(pair.num_layers) if pair.model else []:
                row = f"{pair.name}, {'mean of tasks' if task == 'mean' else task}"
                said = [pair.remark, *(f"dropped by the paper: {name}" for name, its in sets.items() if layer in its)]
                ours = Ours(float(values[layer]))
                cells.append(cell(row, f"layer {layer}", ours, None, "contribution", said, **named, depth=layer))
    return frame(cells)


def _paper_sets(comparison: Comparison, counterpart: str) -> dict[str, set[int]]:
    """The layers that the paper drops by contribution, by the words for where it says so."""
    numbers = comparison.of_items("contribution")
    numbers = numbers[(numbers["quantity"] == "dropped_layers") & (numbers["model"] == counterpart)]
    return {
        cell.removesuffix(", layers"): {int(layer) for layer in layers.split()}
        for cell, layers in zip(numbers["cell"], numbers["value"], strict=True)
    }
