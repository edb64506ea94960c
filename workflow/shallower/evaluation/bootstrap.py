"""Bootstrap intervals: how much a score varies with the choice of validation examples.

What is drawn are the units of `shallower.evaluation.groups`: rows that belong together are drawn together.

Intervals of scores cover the validation examples alone. Seed variance is shown by the spread of the seeds, which the
tables and figures give next to them.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shallower.core.errors import UserError
from shallower.evaluation.groups import num_units, unit_sums
from shallower.evaluation.metrics import Metric, resampled_scores

# The same resamples in every run and arm, so that comparisons are paired.
SEED = 0
MEDIANS = 2000  # samples for the interval of a median
ROWS_AT_ONCE = 2_000_000  # bounds the memory of a batch of resamples (8 bytes each, a few arrays)


class Interval(NamedTuple):
    """A confidence interval; NaN at both ends where none can be given."""

    low: float
    high: float


class Bootstrap(NamedTuple):
    """An interval, and the resampled values [samples] that it was taken from."""

    interval: Interval
    resamples: NDArray[np.float64]


def _bootstrap(
    statistic: Callable[[NDArray[Any]], NDArray[Any]], num_examples: int, confidence: float, samples: int
) -> Bootstrap:
    """Percentile interval of a statistic of units [..., num_examples], which gives [...]."""
    if num_examples < 2:
        raise UserError("an interval needs at least two validation examples")
    with warnings.catch_warnings():
        # NaN ends are expected here (see Interval).
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (np.arange(num_examples),),
            lambda units, axis: statistic(units),
            n_resamples=samples,
            batch=max(1, ROWS_AT_ONCE // num_examples),
            vectorized=True,
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(SEED),
        )
    interval = Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))
    return Bootstrap(interval, result.bootstrap_distribution)


def median_of(values: Sequence[float], confidence: float) -> tuple[float, Interval]:
    """The median of values, such as one a round of a measurement, and its percentile interval over them.

    Raises UserError for fewer than two values.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2:
        raise UserError(f"an interval of a median needs at least two values, not {len(numbers)}")
    interval = _bootstrap(lambda units: np.median(numbers[units], axis=-1), len(numbers), confidence, MEDIANS).interval
    return float(np.median(numbers)), interval


def score_bootstrap(
    metric: Metric,
    labels: NDArray[Any],
    predictions: NDArray[Any],
    confidence: float,
    samples: int,
    groups: NDArray[np.int64] | None = None,
) -> Bootstrap:
    """The score of predictions [n] against labels [n] over resampled examples.

    With the same number of examples the resamples take the same ones: values of two runs belong together one by one.
    """
    return _bootstrap(
        lambda units: resampled_scores(metric, labels, predictions, units, groups),
        num_units(labels, groups),
        confidence,
        samples,
    )


def mean_resamples(values: NDArray[Any], samples: int, groups: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """The mean of one number a row [n] on resampled examples [samples], the same ones as those of scores."""
    sums, sizes = unit_sums(values, groups), unit_sums(np.ones(len(values)), groups)
    # The level is that of an interval, which is not used.
    return _bootstrap(
        lambda units: sums[units].sum(axis=-1) / sizes[units].sum(axis=-1), len(sums), 0.95, samples
    ).resamples


def mean_score(
    metric: Metric,
    labels: NDArray[Any],
    predictions: NDArray[Any],
    units: NDArray[Any],
    groups: NDArray[np.int64] | None = None,
) -> NDArray[Any]:
    """Mean over seeds of the scores on units [..., u] of predictions [seeds, n]: [...]."""
    scores = [resampled_scores(metric, labels, of_seed, units, groups) for of_seed in predictions]
    return np.mean(scores, axis=0)


def kept_percent(
    metric: Metric,
    labels: NDArray[Any],
    predictions: NDArray[Any],
    baseline: NDArray[Any],
    units: NDArray[Any],
    groups: NDArray[np.int64] | None = None,
) -> NDArray[Any]:
    """Mean score in percent of the baseline's mean score, on the same units [..., u]: [...].

    `predictions` and `baseline` are [seeds, n]. NaN where the baseline scores nothing (0 or less),
    of which no percentage can be taken.
    """
    ours = mean_score(metric, labels, predictions, units, groups)
    theirs = mean_score(metric, labels, baseline, units, groups)
    return np.divide(100.0 * ours, theirs, out=np.full_like(ours, np.nan), where=theirs > 0)


def kept_interval(
    metric: Metric,
    labels: NDArray[Any],
    predictions: NDArray[Any],
    baseline: NDArray[Any],
    confidence: float,
    samples: int,
    groups: NDArray[np.int64] | None = None,
) -> Interval:
    """Interval of `kept_percent` by a paired bootstrap.

    Each resample takes the same examples in every seed and in the baseline, so that what is hard for both
    cancels. NaN at both ends if any resample leaves the baseline without a score.
    """
    return _bootstrap(
        lambda units: kept_percent(metric, labels, predictions, baseline, units, groups),
        num_units(labels, groups),
        confidence,
        samples,
    ).interval
