"""How much a layer's weights matter to the loss, to first order (Taylor importance)."""

import logging

import numpy as np
import torch

from shallower.core.errors import UserError
from shallower.core.limits import GRADIENT_TOKENS
from shallower.core.progress import Progress
from shallower.engine.batches import evaluation_batches
from shallower.engine.classifiers.base import Classifier
from shallower.engine.devices import Compute
from shallower.engine.dropout import Dropout
from shallower.engine.tokens import TokenSet
from shallower.models.families import family_of

logger = logging.getLogger(__name__)

# Tokens of one forward and backward pass.
TOKEN_BUDGET = {"cpu": GRADIENT_TOKENS, "cuda": 8192}


def taylor_importance(classifier: Classifier, tokens: TokenSet, compute: Compute) -> list[float]:
    """Taylor importance: the sum over a layer's weights of |dL/dw * w|, L being the mean loss of all examples.

    One score a layer, 0-based from the bottom, without a unit; the loss is computed without dropout. To first order a
    term is the change of the loss when its weight becomes 0. Sources: Molchanov et al., "Importance estimation for
    neural network pruning" (CVPR 2019; arXiv 1906.10771), equation 8; for whole layers Kim et al., "Shortened LLaMA"
    (2024; arXiv 2402.02834), section 3.2. Raises UserError when there are no examples, and when a gradient is not
    finite.
    """
    num_examples = tokens.size
    if not num_examples:
        raise UserError("there are no examples to compute gradients of; check the task's data")
    classifier.begin_training(tokens, compute.device, train_used_embeddings_only=True)
    done, progress = 0, Progress(logger)
    for examples in evaluation_batches(np.diff(tokens.offsets), TOKEN_BUDGET[compute.device]):
        with compute.autocast():
            logits, labels = classifier.forward(tokens, examples, Dropout())
        loss = classifier.kind.loss(logits.float(), labels) * (len(labels) / len(tokens.labels))
        loss.backward()
        done += len(examples)
        progress.log("computed the gradients of %d of %d examples", done, num_examples)
    scores = [
        sum(_importance(parameter) for parameter in classifier.layer_parameters(layer))
        for layer in range(family_of(classifier.config).num_layers(classifier.config))
    ]
    if bad := [layer for layer, score in enumerate(scores) if not np.isfinite(score)]:
        raise UserError(f"the gradients of layers {bad} are not finite; check the fine-tuned model's training")
    return scores


def _importance(parameter: torch.nn.Parameter) -> float:
    if parameter.grad is None:
        return 0.0
    return float((parameter.grad.double() * parameter.detach().double()).abs().sum())
