"""The paper's figures by layer: layer-wise classifiers, how far fine-tuning moves each layer, contribution scores."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from shallower.core.runs import BASELINE, NO_AMOUNT, NO_STRATEGY
from shallower.evaluation.estimates import POINTS
from shallower.paper.comparison import (
    NOT_IN_STUDY,
    NOT_RUN,
    Arm,
    Counterparts,
    Ours,
    Pair,
    TaskColumn,
    arm_columns,
    cell,
    frame,
)
from shallower.paper.names import SEVEN

RANGE = "range over seeds"
NO_RANGE = "one seed: no range"
FULL_MODEL = Arm(BASELINE, NO_STRATEGY, NO_AMOUNT, 0)


class _Measure(NamedTuple):
    """`quantity` in states.csv, what the frame calls it, where the paper has it, and the factor to the frame's unit."""

    quantity: str
    name: str
    item: str
    factor: float


def figure_3(counterparts: Counterparts, states: pd.DataFrame) -> pd.DataFrame:
    """Figure 3: scores of classifiers on each layer of the fine-tuned models, in points, mean over tasks."""
    return _by_depth(counterparts, states, _Measure("probe", "probe_score", "figure-3", POINTS))


def preprint_figure_5(counterparts: Counterparts, states: pd.DataFrame) -> pd.DataFrame:
    """The preprint's Figure 5: cosine of pre-trained and fine-tuned vectors by layer, mean over tasks."""
    return _by_depth(counterparts, states, _Measure("similarity", "similarity", "preprint-figure-5", 1.0))


def _by_depth(counterparts: Counterparts, states: pd.DataFrame, measure: _Measure) -> pd.DataFrame:
    """One row for each model, one column for each depth: 0 is the embedding output, L the output of the last of L
    layers.
    """
    states = states[states["quantity"] == measure.quantity]
    column = counterparts.mean_column(SEVEN)
    if not column.ours:
        # A study without the paper's tasks: the mean over its own, which the paper does not have.
        ours = tuple(counterparts.tasks)
        column = replace(column, label="mean of all tasks", task="mean", paper_task="", ours=ours, papers=())
    pairs = counterparts.pairs(states.groupby("model")["depth"].max().to_dict(), measure.item)
    return frame(cell for pair in pairs for cell in _line(counterparts, states, measure, pair, column))


def _line(
    counterparts: Counterparts, states: pd.DataFrame, measure: _Measure, pair: Pair, column: TaskColumn
) -> Iterator[dict[str, Any]]:
    here = states[(states["model"] == pair.model) & states["task"].isin(column.ours)]
    missing = [task for task in column.ours if task not in set(here["task"])]
    why = f"{NOT_RUN} on {', '.join(missing)}" if pair.model else NOT_IN_STUDY
    remarks = [column.remark, pair.remark]
    curve = {} if missing or not pair.model else _curve(here, measure.factor)
    where = {"model": pair.counterpart, "quantity": measure.name}
    for depth in range(pair.num_layers + 1):
        # The figures do not say over which tasks their means are, so any mean is compared.
        comparable = pair.counterpart and column.papers
        paper = counterparts.find([measure.item], **where, depth=depth) if comparable else None
        if depth in curve or paper:
            said = remarks if depth in curve else [why, *remarks]
            named = arm_columns(pair, FULL_MODEL) | {
                "task": column.task,
                "paper_task": column.paper_task,
                "depth": depth,
            }
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


def contribution(counterparts: Counterparts, scores: pd.DataFrame) -> pd.DataFrame:
    """Contribution scores of the pre-trained models (section 3.4): rows are tasks and their mean, columns are layers.

    Here `depth` is the layer, 0-based. The paper prints no scores, only the layers that it drops by them.
    """
    scores = scores[scores["method"] == "contribution"]
    layers = scores.groupby("model")["layer"].max() + 1
    cells: list[dict[str, Any]] = []
    for pair in counterparts.pairs(layers.to_dict(), "contribution"):
        table = scores[scores["model"] == pair.model].pivot_table(index="task", columns="layer", values="value")
        sets = _paper_sets(counterparts, pair.counterpart)
        for task in [*(task for task in counterparts.tasks if task in table.index), "mean"]:
            values = table.mean() if task == "mean" else table.loc[task]
            named = arm_columns(pair, Arm("pretrained", "contribution", "", None))
            named |= {"task": task, "paper_task": counterparts.tasks.get(task) or ""}
            for layer in range(pair.num_layers) if pair.model else []:
                row = f"{pair.name}, {'mean of tasks' if task == 'mean' else task}"
                said = [pair.remark, *(f"dropped by the paper: {name}" for name, its in sets.items() if layer in its)]
                ours = Ours(float(values[layer]))
                cells.append(cell(row, f"layer {layer}", ours, None, "contribution", said, **named, depth=layer))
    return frame(cells)


def _paper_sets(counterparts: Counterparts, counterpart: str) -> dict[str, set[int]]:
    """The layers that the paper drops by contribution, by where it says so."""
    numbers = counterparts.of_items("contribution")
    numbers = numbers[(numbers["quantity"] == "dropped_layers") & (numbers["model"] == counterpart)]
    return {
        cell.removesuffix(", layers"): {int(layer) for layer in layers.split()}
        for cell, layers in zip(numbers["cell"], numbers["value"], strict=True)
    }
