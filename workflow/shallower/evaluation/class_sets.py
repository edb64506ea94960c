"""Scores of examples that may have several classes: labels and predictions are 0 and 1 for each class [n, classes].

They come from counts, so that thousands of resamples cost little.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class SetCounts(NamedTuple):
    """How often each class is label, prediction and both, in resamples of examples that may have several.

    Attributes:
        hits, labels, predictions: as of `Counts`, for all classes.
        equal: numbers [...] of examples whose labels are all predicted, and no others.
        examples: number of examples of each resample.
    """

    hits: NDArray[np.float64]
    labels: NDArray[np.float64]
    predictions: NDArray[np.float64]
    equal: NDArray[np.float64]
    examples: int


def of_sets(
    score: Callable[[SetCounts], NDArray[Any]],
) -> Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """A metric's function from a score [...] of counts of labels and predictions of 0 and 1 [n, classes]."""
    return lambda labels, predictions, rows: score(set_counts(labels, predictions, rows))


def set_counts(labels: NDArray[Any], predictions: NDArray[Any], rows: NDArray[Any]) -> SetCounts:
    """Counts of resamples, by the rows [..., n] that each takes: how often it takes each row, times what is in that."""
    hits = labels * predictions
    each = np.hstack([hits, labels, predictions, (labels == predictions).all(axis=1, keepdims=True)])
    drawn = rows.reshape(-1, rows.shape[-1])
    cells = (drawn + len(labels) * np.arange(len(drawn))[:, None]).ravel()
    times = np.bincount(cells, minlength=len(labels) * len(drawn)).reshape(*rows.shape[:-1], len(labels))
    sums = times.astype(np.float64) @ each.astype(np.float64)
    of_hits, of_labels, of_predictions, equal = np.split(sums, np.arange(1, 4) * labels.shape[1], axis=-1)
    return SetCounts(of_hits, of_labels, of_predictions, equal[..., 0], rows.shape[-1])


def micro_f1(counts: SetCounts) -> NDArray[Any]:
    """F1 [...] of all pairs of an example and a class together; 0 where nothing is label or prediction."""
    occurrences = (counts.labels + counts.predictions).sum(-1)
    return 2 * counts.hits.sum(-1) / np.maximum(occurrences, 1)


def subset_accuracy(counts: SetCounts) -> NDArray[Any]:
    """The share [...] of examples of which every class is right."""
    return counts.equal / counts.examples


def best_for_micro_f1(labels: NDArray[Any]) -> NDArray[Any]:
    """The most frequent classes, as many of them as score best."""
    totals = labels.sum(axis=0, dtype=np.int64)
    order = np.argsort(-totals, kind="stable")
    numbers = np.arange(1, len(totals) + 1)
    best = (np.cumsum(totals[order]) / (numbers * len(labels) + totals.sum())).argmax()
    answer = np.zeros(len(totals), np.int8)
    answer[order[: best + 1]] = 1
    return answer


def macro_f1_of_sets(counts: SetCounts) -> NDArray[Any]:
    """The mean over all classes, as scikit-learn has it: that of one that is neither label nor prediction is 0."""
    return (2 * counts.hits / np.maximum(counts.labels + counts.predictions, 1)).mean(-1)
