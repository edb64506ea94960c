"""A threshold of probability for each label, tuned on calibration examples, of which no score is reported.

The full model of each seed answers the calibration examples, and each label gets the threshold by which its F1 is
highest there (Yang, "A study of thresholding strategies for text categorization", 2001, calls this SCut). All runs of
that seed are scored by it, so that models are compared by their answers, not by where each of them is cut.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.core import layout
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.runs import Run
from shallower.evaluation.by_class import scores_by_class

# The key of settings that says that thresholds are tuned.
KEY = "thresholds"
DEFAULT = 0.5
# A label whose calibration examples are fewer gets a threshold that others would change much.
FEW = 10


def probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Of each label, a question of its own, by logits [n, labels]."""
    from scipy.special import expit  # not for steps that only read thresholds

    return expit(logits.astype(np.float64))


def tuned_thresholds(labels: NDArray[Any], logits: NDArray[Any]) -> NDArray[np.float64]:
    """Thresholds [labels] by which each label's F1 on labels of 0 and 1 and logits [n, labels] is highest.

    They lie half-way between two neighbouring probabilities; of several that are best, that next to `DEFAULT` is taken.
    A label that no example has keeps `DEFAULT`.
    """
    columns = zip(labels.T, probabilities(logits).T, strict=True)
    return np.array([_best(flags, found) for flags, found in columns])


def _best(flags: NDArray[Any], found: NDArray[np.float64]) -> float:
    if not flags.any():
        return DEFAULT
    values, places = np.unique(found, return_inverse=True)
    # Of the examples whose probability is at least that of each value.
    hits, above = (np.cumsum(np.bincount(places, each)[::-1])[::-1] for each in (flags, np.ones(len(flags))))
    f1 = 2 * hits / (above + flags.sum())
    below = np.concatenate([[0.0], values[:-1]])
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    if any(below[place] <= DEFAULT < values[place] for place in best):
        return DEFAULT
    middles = (below + values)[best] / 2
    return float(middles[np.abs(middles - DEFAULT).argmin()])


def thresholds_record(labels: NDArray[Any], logits: NDArray[Any], names: Sequence[str]) -> dict[str, Any]:
    """The content of thresholds.json: each label's threshold, and its F1 on these examples by it and by `DEFAULT`."""
    thresholds, found = tuned_thresholds(labels, logits), probabilities(logits)
    tuned, fixed = (scores_by_class(labels, (found > limit).astype(np.int8), names) for limit in (thresholds, DEFAULT))
    return {
        "examples": len(labels),
        # A list, since the keys of a JSON file are sorted, and classes have an order.
        "labels": [
            {
                "name": by_it["name"],
                "threshold": float(threshold),
                "support": by_it["support"],
                "f1": by_it["f1"],
                "f1_by_default": by_default["f1"],
            }
            for threshold, by_it, by_default in zip(thresholds, tuned, fixed, strict=True)
        ],
    }


def with_thresholds(settings: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Settings of scoring with the thresholds of a run, where they are tuned: those of the full model of its seed.

    Raises UserError when thresholds.json is missing or damaged.
    """
    if KEY not in settings:
        return dict(settings)
    path = layout.THRESHOLDS.format(**vars(run))
    try:
        thresholds = [label["threshold"] for label in read_json(path)["labels"]]
    except (KeyError, TypeError):
        raise UserError(f"{path}: not a file of thresholds; delete it and run again") from None
    return {key: value for key, value in settings.items() if key != KEY} | {"threshold": thresholds}
