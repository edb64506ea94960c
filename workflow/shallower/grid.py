"""The runs of a study: which there are, and where each one lives."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

BASELINE = "baseline"


@dataclass(frozen=True)
class Run:
    """One fine-tuning: the baseline, or a model that was tuned after some of its layers were dropped.

    For the baseline `origin` is "baseline", `strategy` is "none" and `amount` is "0".
    """

    study: str
    model: str
    task: str
    origin: str
    strategy: str
    amount: str
    seed: int

    @property
    def is_baseline(self) -> bool:
        """Whether this is the model with all its layers."""
        return self.origin == BASELINE

    @property
    def arm(self) -> str:
        """Path of what is repeated over seeds, below the task: `baseline` or `{origin}/{strategy}-{amount}`."""
        return BASELINE if self.is_baseline else f"{self.origin}/{self.strategy}-{self.amount}"

    @property
    def directory(self) -> str:
        """Folder of the run's files, relative to the working directory."""
        return f"results/{self.study}/{self.model}/{self.task}/{self.arm}/seed{self.seed}"


def expand(grid: Mapping[str, Any]) -> list[Run]:
    """All runs of a grid, baselines first within each model and task.

    `grid` holds `study`, `models` (names), `tasks` (pairs of a name and its seeds) and `arms`: origin, strategy, amount
    label, and the models and tasks that the arm is for. Runs come out in the order of the lists.
    """
    return [
        Run(grid["study"], model, task, origin, strategy, amount, seed)
        for model in grid["models"]
        for task, seeds in grid["tasks"]
        for origin, strategy, amount in [
            (BASELINE, "none", "0"),
            *(tuple(arm) for *arm, models, tasks in grid["arms"] if model in models and task in tasks),
        ]
        for seed in seeds
    ]


def runs_as_csv(runs: Iterable[Run]) -> str:
    """The plan as CSV text: one row a run, with its folder in the last column."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(field.name for field in fields(Run)), "directory"])
    writer.writerows([*astuple(run), run.directory] for run in runs)
    return text.getvalue()
