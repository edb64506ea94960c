"""Precision, recall and F1 of each class, and their averages, as scikit-learn's classification_report has them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCORES = ("precision", "recall", "f1")
MICRO, MACRO = "micro", "macro"


def scores_by_class(labels: NDArray[Any], predictions: NDArray[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """The scores of each class (`scores_of_counts`).

    Labels and predictions are indices of classes [n], or 0 and 1 for each class [n, classes].
    """
    if labels.ndim == 1:
        hits, support, predicted = (
            np.bincount(classes, minlength=len(names))
            for classes in (labels[labels == predictions], labels, predictions)
        )
    else:
        hits, support, predicted = (
            flags.sum(axis=0, dtype=np.int64) for flags in (labels * predictions, labels, predictions)
        )
    return scores_of_counts(names, hits, support, predicted)


def scores_of_counts(
    names: Sequence[str], hits: NDArray[Any], support: NDArray[Any], predicted: NDArray[Any]
) -> list[dict[str, Any]]:
    """Of each class its `name`, precision, recall, F1, number of examples of it (`support`) and answers (`predicted`).

    By numbers [classes] of right answers, of examples and of answers. What would be divided by 0 is 0.
    """
    of_each = np.stack(_scores(hits, support, predicted), axis=1)
    return [
        {
            "name": name,
            **dict(zip(SCORES, map(float, of_each[index]), strict=True)),
            "support": int(support[index]),
            "predicted": int(predicted[index]),
        }
        for index, name in enumerate(names)
    ]


def averages(by_class: Sequence[Mapping[str, Any]], are_sets: bool) -> dict[str, dict[str, float]]:
    """The `micro` average, of all answers together, and the `macro` one, the mean over classes.

    As in the metrics of these names, that is over all classes where an example may have several (`are_sets`), else over
    those that are label or answer.
    """
    counts = np.array([[each["support"], each["predicted"]] for each in by_class], np.float64)
    support, predicted = counts.T
    of_each = np.array([[each[name] for name in SCORES] for each in by_class], np.float64)
    hits = np.rint(of_each[:, SCORES.index("recall")] * support)
    counted = of_each if are_sets else of_each[counts.sum(axis=1) > 0]
    micro = _scores(*(np.array([values.sum()]) for values in (hits, support, predicted)))
    return {
        MICRO: {name: float(value[0]) for name, value in zip(SCORES, micro, strict=True)},
        MACRO: dict(zip(SCORES, map(float, counted.mean(axis=0)), strict=True)),
    }


def _scores(
    hits: NDArray[Any], support: NDArray[Any], predicted: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Precision, recall and F1 [classes] of numbers of right answers, of examples and of answers."""
    return hits / np.maximum(predicted, 1), hits / np.maximum(support, 1), 2 * hits / np.maximum(support + predicted, 1)
