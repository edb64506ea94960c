"""Tests of whether two ways of dropping layers differ on the same examples. All p-values are two-sided."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shallower.evaluation.bootstrap import Interval


def mcnemar(right: NDArray[Any], rival: NDArray[Any]) -> float:
    """Exact McNemar test of which answers are right more often, over seeds.

    `right` and `rival` are [seeds, examples], True where an answer is right; rows of a seed belong together. For each
    seed the examples on which just one of the two is right are a fair coin's throws (exact binomial tail);
    `over_seeds` then combines the seeds. With one seed this is the usual exact test. The direction is that of all seeds
    together: seeds that contradict it are no evidence for it, and none for the other.
    """
    wins, losses = (right & ~rival).sum(axis=1), (~right & rival).sum(axis=1)
    if wins.sum() < losses.sum():
        wins, losses = losses, wins
    tails = [_binomial_tail(int(won), int(won + lost)) for won, lost in zip(wins, losses, strict=True)]
    return min(1.0, 2.0 * over_seeds(tails))


def _binomial_tail(wins: int, throws: int) -> float:
    if throws == 0:
        return 1.0
    return float(stats.binomtest(wins, throws, 0.5, alternative="greater").pvalue)


def over_seeds(p_values: Sequence[float]) -> float:
    """One p-value for several seeds: twice their median, or the only one.

    Valid however the seeds' p-values depend on each other, and here they do, being of the same examples (Rüger, "Das
    maximale Signifikanzniveau des Tests: Lehne H0 ab, wenn k unter n gegebenen Tests zur Ablehnung führen", 1978; Vovk
    and Wang, "Combining p-values via averaging", 2020).
    """
    return float(p_values[0]) if len(p_values) == 1 else min(1.0, 2.0 * float(np.median(p_values)))


def bootstrap_p(value: float, samples: NDArray[Any]) -> float:
    """Whether a value is zero, by its bootstrap standard error: `samples` [n] are the value on resampled data.

    The tail is the normal distribution's, since counting resamples beyond zero could tell no p-value below 1 / n,
    which a correction for many comparisons would always lift above the level.
    """
    if value == 0:
        return 1.0
    error = float(np.std(samples, ddof=1))
    return float(2.0 * stats.norm.sf(abs(value) / error)) if error > 0 else 0.0


def over_tasks(differences: NDArray[Any], confidence: float) -> tuple[float, Interval]:
    """Student's t-test and interval of the mean of differences [tasks], of which each task is one draw.

    NaN, for both, from fewer than two tasks.
    """
    if len(differences) < 2:
        return float("nan"), Interval(float("nan"), float("nan"))
    if np.ptp(differences) == 0:  # no spread: scipy's answers would be NaN or a warning
        value = float(differences[0])
        return (0.0 if value else 1.0), Interval(value, value)
    with warnings.catch_warnings():
        # Differences that are equal but for rounding: the p-value is nearly 0, which is all that is asked here.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_1samp(differences, 0.0)
        low, high = result.confidence_interval(confidence)
    return float(result.pvalue), Interval(float(low), float(high))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """p-values [n] after Holm's step-down correction for n comparisons (Holm, 1979); NaN counts as 1 and stays NaN."""
    known = np.nan_to_num(np.asarray(p_values, dtype=np.float64), nan=1.0)
    order = np.argsort(known, kind="stable")
    steps = known[order] * (len(known) - np.arange(len(known)))
    corrected = np.empty_like(known)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return np.where(np.isnan(p_values), np.nan, corrected)
