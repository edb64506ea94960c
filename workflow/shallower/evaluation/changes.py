"""How much a variant of a model answers otherwise than the model as it was trained, example by example."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.evaluation.bootstrap import mean_resamples
from shallower.evaluation.predictions import predictions_of, read_predictions
from shallower.task_kinds.registry import task_kind


@dataclass(frozen=True)
class Changes:
    """One run in a variant next to the same run as it was trained.

    Attributes:
        changed: the share of examples (0 to 1) whose answer is another one; NaN for a kind of task without classes, of
            which every answer differs by the last digits.
        resamples: that share on resampled examples [samples], the same ones as those of scores.
        logit_difference: the largest absolute difference of a logit or, of found documents, of a cosine.
    """

    changed: float
    resamples: NDArray[np.float64]
    logit_difference: float


def read_changes(
    variant: str | Path, trained: str | Path, target: str, samples: int, settings: Mapping[str, Any] | None = None
) -> Changes:
    """Compare two files of predictions; `target` is the name of the kind of task, `settings` are those of scoring.

    Raises UserError when a file is missing or damaged, or when they are not of the same examples and outputs.
    """
    ours, theirs = read_predictions(variant, target), read_predictions(trained, target)
    if not np.array_equal(ours.ids, theirs.ids) or ours.computed.shape != theirs.computed.shape:
        raise UserError(f"{variant}: not of the same examples and outputs as {trained}; delete it and run again")
    difference = float(np.abs(ours.computed.astype(np.float64) - theirs.computed).max())
    if not task_kind(target).has_classes:
        return Changes(float("nan"), np.full(samples, np.nan), difference)
    differ = predictions_of(ours.logits, target, settings) != predictions_of(theirs.logits, target, settings)
    changed = differ.reshape(len(differ), -1).any(axis=1).astype(np.float64)
    resamples = mean_resamples(changed, samples, theirs.groups) if changed.any() else np.zeros(samples)
    return Changes(float(changed.mean()), resamples, difference)
