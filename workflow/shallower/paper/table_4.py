"""Table 4: how many top layers can be dropped, chosen on one half of the validation examples and judged on the other.

The paper splits once. Here the split is repeated with other random halves: the table has the median over splits, and
the interval shows how much depends on the split.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallower.core.files import read_json
from shallower.core.runs import BASELINE
from shallower.evaluation.bootstrap import mean_score
from shallower.evaluation.estimates import POINTS, Scores
from shallower.evaluation.groups import num_units
from shallower.evaluation.metrics import METRICS, subject_of
from shallower.evaluation.predictions import read_matched
from shallower.paper.comparison import (
    NOT_IN_STUDY,
    NOT_RUN,
    ONE_SEED,
    ROUNDING,
    Arm,
    Counterparts,
    Ours,
    Pair,
    TaskColumn,
    arm_columns,
    cell,
    frame,
)
from shallower.paper.names import FIVE
from shallower.paper.values import PaperNumber

TOLERANCES = (1, 2, 3)
NUM_SPLITS = 200
SEED = 0
PREDICTIONS = "predictions.parquet"
# The journal's table does not have DistilBERT; the preprint's does, chosen and judged on all examples.
SOURCE_ITEMS = ("table-4", "preprint-table-2")


class HalfLosses(NamedTuple):
    """Points lost against the full model, on both halves of each split: [amounts, splits], mean over seeds.

    `amounts` are the numbers of top layers dropped, ascending from 0; `seeds` is the smallest number of seeds.
    """

    amounts: NDArray[Any]
    chosen_on: NDArray[Any]
    judged_on: NDArray[Any]
    seeds: int


def split_rows(num_examples: int, splits: int = NUM_SPLITS) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of two random halves of the examples, for each split: [splits, n // 2] and [splits, n - n // 2]."""
    random = np.random.default_rng(SEED)
    order = np.stack([random.permutation(num_examples) for _ in range(splits)])
    return order[:, : num_examples // 2], order[:, num_examples // 2 :]


def half_losses(runs: pd.DataFrame) -> HalfLosses | None:
    """Losses of all arms that drop top layers of the pre-trained model, over the seeds that all of them have.

    None without an arm, a baseline or such a seed.

    `runs` are rows of results.csv of one model and task; predictions are read from their folders.
    """
    top = runs[(runs["origin"] == "pretrained") & (runs["strategy"] == "top")]
    full = runs[runs["origin"] == BASELINE]
    if top.empty or full.empty:
        return None
    metric = METRICS[runs["metric"].iloc[0]]
    if metric.of_class:
        metric = metric.of_class(subject_of(read_json(Path(full["directory"].iloc[0], "metrics.json"))))
    arms = [full, *(group for _, group in sorted(top.groupby("num_dropped")))]
    seeds = set.intersection(*(set(arm["seed"]) for arm in arms))
    if not seeds:
        return None
    groups = [arm[arm["seed"].isin(seeds)] for arm in arms]
    paths = [[Path(directory, PREDICTIONS) for directory in group["directory"]] for group in groups]
    reference, of_full = read_matched(paths[0], None, metric.kind)
    answers = [of_full, *(read_matched(of_group, reference, metric.kind)[1] for of_group in paths[1:])]
    halves = split_rows(num_units(reference.labels, reference.groups))
    scores = [
        [mean_score(metric, reference.labels, of_group, units, reference.groups) for units in halves]
        for of_group in answers
    ]
    losses = POINTS * (np.array(scores[0]) - np.array(scores))
    amounts = np.array([0, *sorted(top["num_dropped"].unique())])
    return HalfLosses(amounts, losses[:, 0], losses[:, 1], min(map(len, groups)))


def dropped_by_split(losses: HalfLosses, tolerance: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """For each split, the most layers that lose up to `tolerance` points on one half, and the loss on the other."""
    within = losses.chosen_on <= tolerance + ROUNDING
    # Dropping nothing loses nothing, so one always qualifies; the largest is the first from the end.
    chosen = len(within) - 1 - within[::-1].argmax(axis=0)
    return losses.amounts[chosen], losses.judged_on[chosen, np.arange(within.shape[1])]


def table_4(counterparts: Counterparts, scores: Scores) -> pd.DataFrame:
    """Table 4: each cell is two rows of the frame, droppable_layers and held_out_loss.

    `amount` is the tolerance, in points.
    """
    models = {model: scores.num_layers(model) for model in scores.runs["model"].unique()}
    pairs = counterparts.pairs(models, SOURCE_ITEMS[0])
    compared = {pair.counterpart for pair in pairs}
    pairs += [pair for pair in counterparts.pairs({}, SOURCE_ITEMS[1]) if pair.counterpart not in compared]
    columns = counterparts.task_columns(FIVE)
    cells = []
    for pair in pairs:
        losses = {task: _losses(scores, pair.model, task) for column in columns for task in column.ours}
        lines = [
            part
            for tolerance in TOLERANCES
            for column in columns
            for part in _cells(counterparts, pair, column, tolerance, losses)
        ]
        cells += lines if any(part.keys() & {"ours", "paper"} for part in lines) else []
    return frame(cells)


def _losses(scores: Scores, model: str, task: str) -> HalfLosses | None:
    runs = scores.runs
    return half_losses(runs[(runs["model"] == model) & (runs["task"] == task)])


def _cells(
    counterparts: Counterparts, pair: Pair, column: TaskColumn, tolerance: int, losses: dict[str, HalfLosses | None]
) -> list[dict[str, Any]]:
    """How many layers can be dropped, and what that loses on the examples that were not used for the choice."""
    row = f"{pair.name}, within {tolerance} point{'s' if tolerance > 1 else ''}"
    named = arm_columns(pair, Arm("pretrained", "top", str(tolerance), None))
    named |= {"task": column.task, "paper_task": column.paper_task}
    found = next((losses[task] for task in column.ours), None) if pair.model else None
    remarks = [pair.remark]
    layers = loss = None
    if found:
        by_split = dropped_by_split(found, tolerance)
        layers, loss = (_over_splits(values, found.seeds, counterparts.confidence) for values in by_split)
        remarks += [f"median and interval over {NUM_SPLITS} random splits", _tried(found.amounts, pair.num_layers)]
    else:
        remarks.insert(0, NOT_RUN if pair.model and column.ours else NOT_IN_STUDY)

    def paper(quantity: str) -> PaperNumber | None:
        where = {"model": pair.counterpart, "task": column.paper_task, "tolerance": tolerance, "quantity": quantity}
        return counterparts.find(SOURCE_ITEMS, **where) if pair.counterpart and column.paper_task else None

    return [
        cell(row, column.label, ours, paper(quantity), quantity, remarks, **named)
        for quantity, ours in (("droppable_layers", layers), ("held_out_loss", loss))
    ]


def _over_splits(values: NDArray[Any], seeds: int, confidence: float) -> Ours:
    """Median and interval over splits; values that occur, so that numbers of layers stay integers."""
    tail = 50.0 * (1.0 - confidence)
    low, middle, high = np.percentile(values, [tail, 50.0, 100.0 - tail], method="inverted_cdf").tolist()
    return Ours(middle, low, high, seeds, ONE_SEED if seeds == 1 else "")


def _tried(amounts: NDArray[Any], num_layers: int) -> str:
    """A remark on the numbers of layers that could have been chosen, "" if these are all."""
    tried = [int(amount) for amount in amounts if amount]
    return "" if tried == list(range(1, num_layers)) else f"only {', '.join(map(str, tried))} dropped layers were tried"
