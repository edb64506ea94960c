"""Where strategies are judged: a model on a task with an origin, all of whose files are read here."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallower.core import layout
from shallower.core.files import read_json
from shallower.core.tables import read_table
from shallower.evaluation.estimates import POINTS, Estimate, Scores, over_seeds
from shallower.evaluation.metrics import metric_for, subject_of
from shallower.evaluation.predictions import read_matched
from shallower.models.folder import MANIFEST
from shallower.models.stack import Stack
from shallower.oracle.halves import HalfScores, half_scores
from shallower.oracle.picks import Pick, judged_strategies, pick, scores_to_read
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES
from shallower.surgery.subset_choice import MEASURES as CHOICE_MEASURES
from shallower.surgery.subsets import Subset, coverage

# Columns of the tables of subsets that say how good a subset is; of each, whether a higher value is better.
MEASURES = CHOICE_MEASURES | {"divergence": False, "cosine": True}


@dataclass(frozen=True)
class Place:
    """The refined subsets of a model on a task with an origin, and what strategies go by.

    Attributes:
        names: study, model, task and origin.
        stack: the layers of the full model.
        metric: name of the primary metric.
        seeds: those that every run here has.
        subsets: the subsets of layers that are refined with every seed, by size, then by layers.
        values: their scores [subsets, seeds] on all examples, in points.
        samples: the same on resampled examples, [subsets, seeds, samples].
        halves: the same on halves of the examples.
        baseline: the score of the full model.
        scores: by seed the contents of the files of scores, by their names.
        measures: by seed the tables of subsets, a row for each of `subsets`.
        races: contents of race.json, by number of dropped layers and seed; with `refine_epochs`, of the run itself.
    """

    names: Mapping[str, str]
    stack: Stack
    metric: str
    seeds: Sequence[int]
    subsets: Sequence[Subset]
    values: NDArray[np.float64]
    samples: NDArray[np.float64]
    halves: HalfScores
    baseline: Estimate | None
    scores: Mapping[int, Mapping[str, Any]]
    measures: Mapping[int, pd.DataFrame]
    races: Mapping[tuple[int, int], Mapping[str, Any]]

    @cached_property
    def index(self) -> dict[Subset, int]:
        """Place of each subset in `subsets`."""
        return {subset: place for place, subset in enumerate(self.subsets)}

    @property
    def num_layers(self) -> int:
        """Number of layers of the full model."""
        return self.stack.num_layers

    @property
    def coverage(self) -> dict[int, tuple[int, int]]:
        """By number of kept layers how many subsets are refined, and how many there are."""
        return coverage(self.stack, self.subsets)

    @property
    def sizes(self) -> list[int]:
        """Numbers of kept layers of which all subsets are refined."""
        return [size for size, (found, total) in self.coverage.items() if found == total]

    def of_size(self, size: int) -> list[int]:
        """Indices of the subsets with so many layers."""
        return [place for place, subset in enumerate(self.subsets) if len(subset) == size]

    def score(self, subset: int) -> Estimate:
        """The mean score of a subset over seeds."""
        return over_seeds(self.values[subset], self.samples[subset])

    def picks(self, strategy: str, size: int) -> list[Pick] | None:
        """What a strategy keeps with each seed when it keeps so many layers; None where it cannot, or lacks scores."""
        amount = self.num_layers - size
        found = [
            pick(strategy, self.stack, amount, self.scores[seed], self.races.get((amount, seed))) for seed in self.seeds
        ]
        return [one for one in found if one] if all(found) else None

    @property
    def strategies(self) -> list[str]:
        """Names of the strategies that may be judged here."""
        return list(judged_strategies(self.names["origin"]))


def read_place(study: str, where: Sequence[str], scores: Scores, samples: int) -> Place | None:
    """Read all that is known of a model, task and origin; None where no subset is refined with every seed.

    `scores` are those of the study, `samples` is the number of resamples of halves. Raises UserError when a file is
    missing or damaged.
    """
    model, task, origin = where
    names = {"study": study, "model": model, "task": task, "origin": origin}
    runs = scores.runs[(scores.runs["model"] == model) & (scores.runs["task"] == task)]
    runs = runs[runs["origin"] == origin]
    seeds = sorted(map(int, runs["seed"].unique()))
    folders = _folders(runs)
    num_layers = scores.num_layers(model)
    subsets = sorted(
        {
            subset
            for subset, _ in folders
            if len(subset) < num_layers and all((subset, seed) in folders for seed in seeds)
        },
        key=lambda subset: (len(subset), subset),
    )
    if not subsets:
        return None
    directories = [[folders[subset, seed] for seed in seeds] for subset in subsets]
    by_seed = {seed: _scores(names, seed) for seed in seeds}
    paths = [Path(directory, "predictions.parquet") for row in directories for directory in row]
    # Of each seed, whose thresholds may be its own.
    records = [read_json(Path(directory, "metrics.json")) for directory in directories[0]]
    record = records[0]
    metric = metric_for(record["primary"], record["target"], subject_of(record))
    table, answers = read_matched(paths, None, record["target"], records * len(subsets))
    answers = answers.reshape(len(subsets), len(seeds), *answers.shape[1:])
    values = dict(zip(runs["directory"], runs["value"], strict=True))
    return Place(
        names=names,
        stack=Stack.from_description(by_seed[seeds[0]]["subsets"]),
        metric=metric.name,
        seeds=seeds,
        subsets=subsets,
        values=POINTS * np.array([[values[directory] for directory in row] for row in directories]),
        samples=POINTS * np.array([[scores.resamples(directory) for directory in row] for row in directories]),
        halves=half_scores(metric, table.labels, answers, samples, table.groups),
        baseline=scores.baseline(model, task),
        scores=by_seed,
        measures={seed: _measures(names, seed, subsets) for seed in seeds},
        races=_races(runs, num_layers),
    )


def _folders(runs: pd.DataFrame) -> dict[tuple[Subset, int], str]:
    """The folder of a run of each subset and seed; of several that keep the same layers, the first."""
    found: dict[tuple[Subset, int], str] = {}
    values: dict[tuple[Subset, int], float] = {}
    for run in runs.to_dict("records"):
        key = (tuple(map(int, run["kept_layers"].split())), int(run["seed"]))
        found.setdefault(key, run["directory"])
        if (other := values.setdefault(key, run["value"])) != run["value"]:
            logging.warning(
                "%s and %s keep the same layers, but score %s and %s", found[key], run["directory"], other, run["value"]
            )
    return found


def _scores(names: Mapping[str, str], seed: int) -> dict[str, Any]:
    origin = names["origin"]
    files = {
        method: layout.LAYER_SCORES.format(**names, method=method, scored=ORIGINS[origin].scored_model(seed))
        for method in scores_to_read(origin)
    }
    return {method: read_json(file) for method, file in files.items()}


def _measures(names: Mapping[str, str], seed: int, subsets: Sequence[Subset]) -> pd.DataFrame:
    """The rows of the table of subsets that are of some, in their order."""
    file = layout.SUBSET_TABLE.format(**names, method="subsets", scored=ORIGINS[names["origin"]].scored_model(seed))
    table = read_table(file).set_index("kept_layers")
    rows = table.loc[[" ".join(map(str, subset)) for subset in subsets]]
    return rows[[name for name in MEASURES if name in rows]].reset_index(drop=True)


def _races(runs: pd.DataFrame, num_layers: int) -> dict[tuple[int, int], Any]:
    """The races of runs that chose their layers by one, by number of dropped layers and seed."""
    scores = {name: strategy.score for name, strategy in STRATEGIES.items()}
    found = {}
    for run in runs.to_dict("records"):
        if (score := scores[run["strategy"]]) and score.of_runs:
            race, manifest = (read_json(Path(run["directory"], name)) for name in ("race.json", MANIFEST))
            key = (num_layers - len(run["kept_layers"].split()), int(run["seed"]))
            found[key] = race | {"refine_epochs": manifest["settings"]["epochs"]}
    return found
