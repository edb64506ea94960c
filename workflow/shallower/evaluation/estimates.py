"""Estimates that can be added, subtracted and averaged without losing track of how certain they are.

An estimate carries its value and the values it would have had on other samples: resampled validation examples and,
where there are several seeds, resampled seeds. The resamples are the same in every run of a task (see
`shallower.evaluation.bootstrap`), so that differences between two arms are paired differences, and what is hard for
both cancels.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.runs import ARM_COLUMNS, BASELINE, NO_AMOUNT, NO_STRATEGY
from shallower.core.tables import read_table
from shallower.core.variants import AS_TRAINED, Variant
from shallower.evaluation.bootstrap import Interval
from shallower.evaluation.resamples import read_collected

# The same seeds are drawn for every arm with that many seeds, so that differences are paired in them too.
SEED = 0
# Results are given in points, 0 to 100, as the paper does.
POINTS = 100.0


@dataclass(frozen=True)
class Estimate:
    """A number, and its values [samples] under resampling; `seeds` is the smallest number of seeds behind it."""

    value: float
    samples: NDArray[np.float64]
    seeds: int

    def interval(self, confidence: float) -> Interval:
        """Percentile interval; `confidence` between 0 and 1."""
        tail = 50.0 * (1.0 - confidence)
        low, high = np.percentile(self.samples, [tail, 100.0 - tail])
        return Interval(float(low), float(high))

    def __sub__(self, other: Self) -> "Estimate":
        return Estimate(self.value - other.value, self.samples - other.samples, min(self.seeds, other.seeds))


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of estimates, such as one score over several tasks."""
    return Estimate(
        float(np.mean([estimate.value for estimate in estimates])),
        np.mean([estimate.samples for estimate in estimates], axis=0),
        min(estimate.seeds for estimate in estimates),
    )


def percentage(ours: Estimate, theirs: Estimate) -> Estimate:
    """One score in per cent of another, sample by sample; NaN where the other is 0 or less."""

    def of(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(100.0 * part, whole, out=np.full_like(part, np.nan, dtype=float), where=whole > 0)

    value = of(np.array(ours.value), np.array(theirs.value))
    return Estimate(float(value), of(ours.samples, theirs.samples), min(ours.seeds, theirs.seeds))


def over_seeds(values: NDArray[Any], samples: NDArray[Any]) -> Estimate:
    """The mean over seeds of scores [seeds] whose resampled values are [seeds, samples].

    With several seeds, each sample is of resampled seeds too (a two-level bootstrap), so that the interval covers the
    seed variance; with one seed it covers the validation examples only.
    """
    num_seeds, num_samples = samples.shape
    chosen = np.random.default_rng(SEED).integers(num_seeds, size=(num_samples, num_seeds))
    resampled = samples[chosen, np.arange(num_samples)[:, None]].mean(axis=1)
    return Estimate(float(np.mean(values)), resampled, num_seeds)


class Scores:
    """The primary scores of a study, in points (0 to 100).

    Attributes:
        runs: rows of results.csv with the primary metric; one row a run. Where there are also variants of runs, columns
            `runtime` and `vocabulary` say which; without them all runs are as they were trained.
    """

    def __init__(self, runs: pd.DataFrame, resamples: dict[str, NDArray[np.float64]]) -> None:
        """`resamples` are the resampled scores [samples], 0 to 1, by the run's directory."""
        self.runs = runs
        self._resamples = resamples
        variants = AS_TRAINED._asdict().items()
        of_variant = [runs[key] if key in runs else pd.Series(value, runs.index) for key, value in variants]
        arms = self.runs.groupby([*ARM_COLUMNS, *of_variant], sort=False)
        self._rows = dict(iter(arms))

    @classmethod
    def read(cls, results: str | Path, resamples: str | Path) -> "Scores":
        """Read results.csv and resamples.parquet. Raises UserError when a run has no resamples."""
        runs = read_table(results)
        runs = runs[runs["primary"]]
        by_directory = read_collected(resamples)
        if missing := sorted(set(runs["directory"]) - set(by_directory)):
            raise UserError(f"{resamples}: no resamples of {missing[0]}; delete the file and run again")
        return cls(runs, by_directory)

    def without(self, arms: Collection[tuple[str, ...]]) -> "Scores":
        """These scores but those of some arms, each a model, a task, an origin, a strategy and an amount."""
        keys = self.runs[ARM_COLUMNS].astype(str).itertuples(index=False, name=None)
        kept = np.array([key not in arms for key in keys], dtype=bool)
        return Scores(self.runs[kept].reset_index(drop=True), self._resamples)

    def with_variants(self, runs: pd.DataFrame, resamples: dict[str, NDArray[np.float64]]) -> "Scores":
        """These scores and those of variants of the same runs, whose rows have `runtime` and `vocabulary` as well."""
        own = self.runs.assign(**AS_TRAINED._asdict())
        if not len(runs):
            return Scores(own.reset_index(drop=True), self._resamples | resamples)
        # Seeds are resampled by their places, which have to be the same in all arms of a task.
        places = own[["model", "task", "seed"]].drop_duplicates()
        order = runs.merge(places.assign(place=range(len(places))), how="left", on=["model", "task", "seed"])["place"]
        rows = pd.concat([own, runs.iloc[np.argsort(order.to_numpy(), kind="stable")]])
        return Scores(rows.reset_index(drop=True), self._resamples | resamples)

    def num_layers(self, model: str) -> int:
        """Number of layers of the full model."""
        return int(self.runs.loc[self.runs["model"] == model, "num_layers"].iloc[0])

    def rows(
        self, model: str, task: str, origin: str, strategy: str, amount: str, variant: Variant = AS_TRAINED
    ) -> pd.DataFrame:
        """The runs of an arm, one row a seed; empty when it was not run."""
        return self._rows.get((model, task, origin, strategy, amount, *variant), self.runs.iloc[:0])

    def score(
        self,
        model: str,
        task: str,
        origin: str,
        strategy: str,
        amount: str,
        variant: Variant = AS_TRAINED,
        seeds: Collection[int] | None = None,
    ) -> Estimate | None:
        """The mean score of an arm over its seeds, or over some of them, in points; None without any."""
        rows = self.rows(model, task, origin, strategy, amount, variant)
        if seeds is not None:
            rows = rows[rows["seed"].isin(seeds)]
        if rows.empty:
            return None
        samples = np.stack([self._resamples[directory] for directory in rows["directory"]])
        return over_seeds(POINTS * rows["value"].to_numpy(), POINTS * samples)

    def kept(
        self, model: str, task: str, origin: str, strategy: str, amount: str, variant: Variant = AS_TRAINED
    ) -> Estimate | None:
        """The mean score of an arm in per cent of that of the full model with the same seeds; None when it was not run.

        The full model is as it was trained. In each sample both are of the same examples and seeds. A sample is NaN,
        and so is the value, where the full model's score is 0 or less, of which no percentage can be taken.
        """
        pair = self.with_full(model, task, origin, strategy, amount, variant)
        return None if pair is None else percentage(*pair)

    def with_full(
        self, model: str, task: str, origin: str, strategy: str, amount: str, variant: Variant = AS_TRAINED
    ) -> tuple[Estimate, Estimate] | None:
        """The scores of an arm and of the full model with the same seeds, in points; None when there are none."""
        arm = (model, task, origin, strategy, amount, variant)
        seeds = self.common_seeds(arm, full := (model, task, BASELINE, NO_STRATEGY, NO_AMOUNT))
        ours, theirs = self.score(*arm, seeds=seeds), self.score(*full, seeds=seeds)
        return None if ours is None or theirs is None else (ours, theirs)

    def common_seeds(self, *arms: Sequence[Any]) -> set[int]:
        """The seeds with which all of some arms were run; arms are the arguments of `rows`."""
        return set.intersection(*(set(self.rows(*arm)["seed"]) for arm in arms))

    def resamples(self, directory: str) -> NDArray[np.float64]:
        """The resampled scores [samples] of a run, 0 to 1, by its directory."""
        return self._resamples[directory]

    def baseline(self, model: str, task: str) -> Estimate | None:
        """The score of the model with all its layers."""
        return self.score(model, task, BASELINE, NO_STRATEGY, NO_AMOUNT)
