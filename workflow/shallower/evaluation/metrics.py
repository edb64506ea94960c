"""Scores of predictions, computed on arrays so that thousands of resamples cost little.

The scores that a run reports come from `shallower.evaluation.evaluate_metric`, which asks scikit-learn and scipy. The
functions here give the same numbers (the tests hold them together) for many resamples at once: a
classification score is a function of the confusion matrix, a correlation is taken along the last axis.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shallower.core.errors import UserError

# A model whose answers vary less than this share of the true values' spread answers nothing.
COLLAPSED_SPREAD = 0.01


@dataclass(frozen=True)
class Metric:
    """A score in [-1, 1], higher is better.

    `function` maps confusion matrices [..., classes, classes] (rows: labels, columns: predictions) to
    scores [...] for classification, and labels and predictions [..., n] to scores [...] for regression.
    """

    name: str
    target: str
    function: Callable[..., NDArray]


def _accuracy(confusion: NDArray) -> NDArray:
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))


def _f1_by_class(confusion: NDArray) -> tuple[NDArray, NDArray]:
    """F1 of each class [..., classes], 0 where a class does not occur, and whether it occurs at all."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    occurrences = confusion.sum(-1) + confusion.sum(-2)
    return 2 * hits / np.maximum(occurrences, 1), occurrences > 0


def _f1(confusion: NDArray) -> NDArray:
    if confusion.shape[-1] != 2:
        raise UserError("metric f1 is for two classes with label 1 as the positive one; use macro_f1 here")
    return _f1_by_class(confusion)[0][..., 1]


def _macro_f1(confusion: NDArray) -> NDArray:
    scores, occurs = _f1_by_class(confusion)
    return scores.sum(-1) / occurs.sum(-1)


def _matthews_correlation(confusion: NDArray) -> NDArray:
    """For any number of classes: Gorodkin, "Comparing two K-category assignments", 2004."""
    confusion = confusion.astype(np.float64)
    total = confusion.sum((-2, -1))
    true, predicted = confusion.sum(-1), confusion.sum(-2)
    covariance = np.trace(confusion, axis1=-2, axis2=-1) * total - (true * predicted).sum(-1)
    variances = (total**2 - (true**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
    return np.divide(covariance, np.sqrt(variances), out=np.zeros_like(covariance), where=variances > 0)


def _is_constant(values: NDArray) -> NDArray:
    """Whether values [..., n] are all the same, but for rounding, along the last axis."""
    return np.ptp(values, axis=-1) <= 1e-9 * np.abs(values).max(axis=-1)


def _pearson(labels: NDArray, predictions: NDArray) -> NDArray:
    constant = _is_constant(labels) | _is_constant(predictions)
    # A constant has no correlation: 0 by convention. Anything varied stands in, to spare scipy's warning.
    varied = np.arange(labels.shape[-1], dtype=np.float64)
    labels = np.where(constant[..., None], varied, labels)
    predictions = np.where(constant[..., None], varied, predictions)
    return np.where(constant, 0.0, stats.pearsonr(labels, predictions, axis=-1).statistic)


def _spearman(labels: NDArray, predictions: NDArray) -> NDArray:
    return _pearson(stats.rankdata(labels, axis=-1), stats.rankdata(predictions, axis=-1))


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "classification", _accuracy),
        Metric("f1", "classification", _f1),
        Metric("macro_f1", "classification", _macro_f1),
        Metric("matthews_correlation", "classification", _matthews_correlation),
        Metric("pearson", "regression", _pearson),
        Metric("spearmanr", "regression", _spearman),
    )
}


def metric_for(name: str, target: str) -> Metric:
    """The metric of that name. Raises UserError when there is none, or not for this target."""
    if name not in METRICS:
        raise UserError(f"unknown metric {name!r}; there are {', '.join(METRICS)}")
    if METRICS[name].target != target:
        usable = ", ".join(metric.name for metric in METRICS.values() if metric.target == target)
        raise UserError(f"metric {name!r} does not suit a {target} task; use one of {usable}")
    return METRICS[name]


def resampled_scores(metric: Metric, labels: NDArray, predictions: NDArray, rows: NDArray) -> NDArray:
    """Scores [...] on resamples, each given by the rows [..., n] that it takes of labels and predictions."""
    if metric.target == "regression":
        return metric.function(labels[rows], predictions[rows])
    n_classes = max(2, int(max(labels.max(), predictions.max())) + 1)
    cells = (labels * n_classes + predictions)[rows]
    resamples = cells.reshape(-1, cells.shape[-1])
    cells_each = n_classes * n_classes
    # Each resample counts in cells of its own, so that one pass counts them all.
    shifted = resamples + cells_each * np.arange(len(resamples))[:, None]
    counts = np.bincount(shifted.ravel(), minlength=cells_each * len(resamples))
    return metric.function(counts.reshape(*cells.shape[:-1], n_classes, n_classes))


def score(metric: Metric, labels: NDArray, predictions: NDArray) -> float:
    """The score of predictions [n] against labels [n]; 0.0 for a correlation that does not exist."""
    return float(resampled_scores(metric, labels, predictions, np.arange(len(labels))))


def is_collapsed(labels: NDArray, predictions: NDArray, target: str) -> bool:
    """Whether a model has learnt to answer the same whatever it is asked.

    Classification: one class for every example. Regression: answers that spread less than 1 % of the
    spread (standard deviation) of the labels.
    """
    if target == "classification":
        return bool((predictions == predictions[0]).all())
    return bool(predictions.std() < COLLAPSED_SPREAD * labels.std() or _is_constant(predictions))


def chance_score(metric: Metric, labels: NDArray) -> float:
    """The score of always answering the most frequent label (classification) or one value (regression)."""
    if metric.target == "regression":
        return 0.0
    most_frequent = np.bincount(labels).argmax()
    return score(metric, labels, np.full_like(labels, most_frequent))
