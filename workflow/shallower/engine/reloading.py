"""Check that a fine-tuned model, loaded with plain from_pretrained as users load it, gives the stored predictions.

Predictions may come from another computation of the same model (see `shallower.engine.classifiers.base`).
"""

from pathlib import Path

import numpy as np
import torch

from shallower.core.errors import UserError
from shallower.engine.batches import make_batch
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.tokens import TokenSet
from shallower.evaluation.predictions import Predictions

# Validation examples that each model answers again.
EXAMPLES = 16
# Largest difference of a logit that rounding explains, as a share of the largest logit (of 1, when all are smaller).
TOLERANCE = 1e-3


def largest_difference(model_dir: str | Path, tokens: TokenSet, predictions: Predictions) -> float:
    """How far the stored logits of the first examples are from a freshly loaded model's.

    Raises UserError when they are further off than rounding explains, when they are of other examples, or when the
    model does not load.
    """
    if not np.array_equal(np.sort(tokens.ids), predictions.ids):
        raise UserError(
            f"{model_dir}: predictions.parquet is of other examples than the tokens; delete it and run again"
        )
    model = load_checked(model_dir)
    examples = np.arange(min(EXAMPLES, len(tokens.labels)))
    with torch.inference_mode():
        theirs = model(**model_inputs(model, make_batch(tokens, examples), "cpu")).logits.numpy()
    stored = predictions.logits[np.searchsorted(predictions.ids, tokens.ids[examples])]
    difference = float(np.abs(theirs - stored).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(stored).max())):
        raise UserError(
            f"{model_dir}: loaded with from_pretrained, the model's logits are up to {difference:.2g} off the stored "
            "predictions; delete the folder and run again"
        )
    return difference
