"""How far the logits of an exported model are from those of the model that it was made of, and whether answers change.

Differences are those of two arrays float32 [N, outputs] of the same examples in the same order.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shallower.core.errors import UserError
from shallower.task_kinds.registry import task_kind

# Largest difference of a logit between two computations in fp32. MiniLM's differ by less than 1e-5: sums of some
# hundred products in another order. A wrong mask, position or weight changes logits by far more.
TOLERANCE = 1e-4
# The same as a share of the largest logit, where logits are so large (labels from 0 to 100) that it is the larger one:
# numbers in fp32 are 1e-7 of their size apart.
RELATIVE_TOLERANCE = 1e-5


def parity_record(
    reference: NDArray[Any], logits: NDArray[Any], target: str, confidence: float = 0.95
) -> dict[str, Any]:
    """What changed from the logits `reference` to `logits`, as JSON-like content.

    `examples`; the largest and the mean absolute difference of a logit; of classification, the number of changed
    answers and their share with its exact interval (Clopper and Pearson 1934); of regression, the largest and the mean
    absolute difference of an answer, in the unit of the labels.
    """
    kind = task_kind(target)
    differences = _differences(reference, logits)
    record = {
        "examples": len(logits),
        "largest_logit_difference": float(differences.max()),
        "mean_logit_difference": float(differences.mean()),
    }
    before, after = kind.answers(reference), kind.answers(logits)
    if not kind.has_classes:
        moved = np.abs(after - before)
        return record | {
            "largest_answer_difference": float(moved.max()),
            "mean_answer_difference": float(moved.mean()),
        }
    changed = int((before != after).sum())
    low, high = stats.binomtest(changed, len(logits)).proportion_ci(confidence, method="exact")
    return record | {
        "changed_answers": changed,
        "changed_share": changed / len(logits),
        "changed_share_low": float(low),
        "changed_share_high": float(high),
    }


def check_parity(model: str | Path, ids: NDArray[Any], reference: NDArray[Any], logits: NDArray[Any]) -> None:
    """Raise UserError, naming the model and the example, unless all logits are those of `reference` up to rounding.

    `ids` [N] are those of the examples. A logit that is not a number is none of them.
    """
    differences = _differences(reference, logits).max(axis=1)
    limit = max(TOLERANCE, RELATIVE_TOLERANCE * float(np.abs(reference).max()))
    if not (differences <= limit).all():
        worst = int(np.nan_to_num(differences, nan=np.inf).argmax())
        raise UserError(
            f"{model}: its logits are up to {differences[worst]:.2g} off those of the model that it was made of (most "
            f"for the example with id {ids[worst]}), where rounding explains {limit:.2g}; delete it and run again, and "
            "report it if it happens again"
        )


def answers_alike(labels: NDArray[Any], logits: NDArray[Any], target: str) -> bool:
    """Whether a model gives (all but) the same answer for every example, as one that quantising has ruined does."""
    kind = task_kind(target)
    return kind.is_collapsed(labels, kind.answers(logits))


def _differences(reference: NDArray[Any], logits: NDArray[Any]) -> NDArray[Any]:
    """Absolute differences of logits, float64 [N, outputs]."""
    if reference.shape != logits.shape:
        raise ValueError(f"logits of the shapes {reference.shape} and {logits.shape}")
    return np.abs(logits.astype(np.float64) - reference)
