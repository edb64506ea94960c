"""The runs of a study."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields
from typing import Any

from shallower.core.files import csv_text
from shallower.core.runs import BASELINE, NO_AMOUNT, NO_STRATEGY, Run


def expand(grid: Mapping[str, Any]) -> list[Run]:
    """All runs of a grid, baselines first within each model and task.

    `grid` holds `study`, `models` (names), `tasks` (pairs of a name and its seeds) and `arms` (origin, strategy, label
    of the amount, and the models and tasks that the arm is for). Runs are in the order of these lists.
    """
    return [
        Run(grid["study"], model, task, origin, strategy, amount, seed)
        for model in grid["models"]
        for task, seeds in grid["tasks"]
        for origin, strategy, amount in [
            (BASELINE, NO_STRATEGY, NO_AMOUNT),
            *(tuple(arm) for *arm, models, tasks in grid["arms"] if model in models and task in tasks),
        ]
        for seed in seeds
    ]


def runs_as_csv(runs: Iterable[Run]) -> str:
    """The plan as CSV text: one row a run, with its folder in the last column."""
    columns = [*(field.name for field in fields(Run)), "directory"]
    return csv_text(columns, ([*astuple(run), run.directory] for run in runs))
