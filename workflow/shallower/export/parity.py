"""How far the logits of an exported model are from those of the model that it was made of.

Differences are those of two arrays float32 [N, outputs] of the same examples in the same order.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.rounding import fp32_tolerance


def check_parity(model: str | Path, ids: NDArray[Any], reference: NDArray[Any], logits: NDArray[Any]) -> None:
    """Raise UserError, naming the model and the example, unless all logits are those of `reference` up to rounding.

    `ids` [N] are those of the examples. A logit that is not a number is none of them.
    """
    differences = _differences(reference, logits).max(axis=1)
    limit = fp32_tolerance(reference)
    if not (differences <= limit).all():
        worst = int(np.nan_to_num(differences, nan=np.inf).argmax())
        raise UserError(
            f"{model}: its logits are up to {differences[worst]:.2g} off those of the model that it was made of (most "
            f"for the example with id {ids[worst]}), where rounding explains {limit:.2g}; delete it and run again, and "
            "report it if it happens again"
        )


def _differences(reference: NDArray[Any], logits: NDArray[Any]) -> NDArray[Any]:
    """Absolute differences of logits, float64 [N, outputs]."""
    if reference.shape != logits.shape:
        raise ValueError(f"logits of the shapes {reference.shape} and {logits.shape}")
    return np.abs(logits.astype(np.float64) - reference)
