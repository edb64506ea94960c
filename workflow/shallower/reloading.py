"""Proof that a tuned model is what a user gets: loaded with plain from_pretrained it answers as the stored predictions.

Predictions may come from another computation of the same model (see `shallower.classifier`).
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shallower.batches import make_batch
from shallower.devices import model_inputs
from shallower.errors import UserError
from shallower.tokens import TokenSet
from shallower.transformers_classifier import load_checked

# Validation examples that each model answers again.
EXAMPLES = 16
# Largest difference of a logit that rounding explains, as a share of the largest logit (of 1, when all are smaller).
TOLERANCE = 1e-3


def largest_difference(model_dir: str | Path, tokens: TokenSet, logits: NDArray[np.float32]) -> float:
    """How far the first examples' logits, [N, outputs] in the order of the tokens, are from a freshly loaded model's.

    Raises UserError when they are further off than rounding explains, or the model does not load.
    """
    model = load_checked(model_dir)
    examples = np.arange(min(EXAMPLES, len(tokens.labels)))
    with torch.inference_mode():
        theirs = model(**model_inputs(model, make_batch(tokens, examples), "cpu")).logits.numpy()
    stored = logits[examples]
    difference = float(np.abs(theirs - stored).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(stored).max())):
        raise UserError(
            f"{model_dir}: loaded with from_pretrained, the model's logits are up to {difference:.2g} off the stored "
            "predictions; delete the folder and run again"
        )
    return difference
