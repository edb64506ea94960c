"""Hidden states at every depth of a model, of the [CLS] token or of all tokens, read in one forward pass.

A depth is the number of layers that a text has passed: 0 is the embedding output, L what the last of L layers gives.
A norm between the last layer and the head, as decoders have it, is part of no depth: the states at all depths are what
layers give, so that those before and after each layer can be compared.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from shallower.core.errors import UserError
from shallower.core.limits import CPU_TOKENS
from shallower.core.model_classes import NO_HEAD
from shallower.core.progress import Progress
from shallower.engine.batches import Batch, cls_positions, evaluation_batches, make_batch
from shallower.engine.classifiers.transformers_models import load_pretrained, mean_vectors, model_inputs, read_rows
from shallower.engine.devices import Compute, to_device
from shallower.engine.tokens import TokenSet
from shallower.models.families import FAMILIES

logger = logging.getLogger(__name__)

# Tokens of one forward pass. Hidden states of all layers are alive at once.
TOKEN_BUDGET = {"cpu": CPU_TOKENS, "cuda": 8192}


def load_encoder(model_dir: str | Path) -> PreTrainedModel:
    """Load the part of a checkpoint below its head, in fp32, ready to read vectors from.

    Raises UserError when any of it is missing but for the pooler, which comes after the vectors.
    """
    model, report = load_pretrained(NO_HEAD, model_dir)
    family = FAMILIES[model.config.model_type]
    missing = sorted(name for name in report["missing_keys"] if not family.in_pooler(name))
    if missing:
        raise UserError(
            f"{model_dir}: {missing[0]} and {len(missing) - 1} more tensors are missing; check the model's source"
        )
    return model.eval()


def vectors_by_depth(
    model: PreTrainedModel, tokens: TokenSet, compute: Compute, chosen: NDArray[np.int64] | None = None
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
    """Batch by batch: which examples of `chosen` it holds [B], and the vectors that heads read [L + 1, B, hidden].

    Of texts with a label for each word the vectors are those of the words [L + 1, R, hidden], which the head reads.
    `chosen` are the positions in the token set of the examples to read, all by default. Batches are the same for
    every model, so that those of two models can be read side by side. Vectors are float32 on the compute's device.
    Raises UserError when there are no examples, or one has no [CLS] token.
    """
    chosen = np.arange(tokens.size) if chosen is None else chosen
    reads_mean = FAMILIES[model.config.model_type].reads_mean(model.config.to_dict())
    for members, batch, states in _states_by_depth(model, tokens, compute, chosen):
        if batch.places is not None:
            yield members, torch.stack([read_rows(depth, batch) for depth in states]).float()
            continue
        if reads_mean:
            yield members, torch.stack([mean_vectors(depth, batch) for depth in states])
            continue
        positions = to_device(cls_positions(batch, tokens), compute.device)
        rows = torch.arange(len(positions), device=compute.device)
        yield members, torch.stack([depth[rows, positions] for depth in states]).float()


def token_states_by_depth(model: PreTrainedModel, tokens: TokenSet, compute: Compute) -> Iterator[torch.Tensor]:
    """Batch by batch: the hidden states of all tokens but padding, float32 [L + 1, N, hidden].

    Raises UserError when there are no examples.
    """
    for _, batch, states in _states_by_depth(model, tokens, compute, np.arange(tokens.size)):
        mask = np.ones_like(batch.input_ids) if batch.attention_mask is None else batch.attention_mask
        real = to_device(mask, compute.device).bool()
        yield torch.stack([depth[real] for depth in states]).float()


def _states_by_depth(
    model: PreTrainedModel, tokens: TokenSet, compute: Compute, chosen: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Batch, tuple[torch.Tensor, ...]]]:
    """Batch by batch: which examples of `chosen` it holds, the batch, and its hidden states [B, L, hidden] by depth."""
    if not len(chosen):
        raise UserError("there are no examples to read hidden states of; check the task's data")
    model.eval().to(compute.device)
    done, progress = 0, Progress(logger)
    for members in evaluation_batches(np.diff(tokens.offsets)[chosen], TOKEN_BUDGET[compute.device]):
        batch = make_batch(tokens, chosen[members])
        yield members, batch, _states_of_batch(model, batch, compute)
        done += len(members)
        progress.log("read the hidden states of %d of %d examples", done, len(chosen))


def in_order(
    model: PreTrainedModel,
    tokens: TokenSet,
    compute: Compute,
    function: Callable[[NDArray[np.float32]], NDArray[Any]],
    chosen: NDArray[np.int64] | None = None,
) -> NDArray[Any]:
    """What a function makes of the vectors, [L + 1, n, ...], in the order of `chosen` (of the token set by default).

    `function` maps the vectors of a batch [L + 1, B, hidden] to an array [L + 1, B, ...].
    """
    batches = [
        (members, function(vectors.cpu().numpy()))
        for members, vectors in vectors_by_depth(model, tokens, compute, chosen)
    ]
    order = np.argsort(np.concatenate([members for members, _ in batches]))
    return np.concatenate([values for _, values in batches], axis=1)[:, order]


# On the whole function and not around the loop above: a generator would leave the mode switched on in its caller.
@torch.inference_mode()
def _states_of_batch(model: PreTrainedModel, batch: Batch, compute: Compute) -> tuple[torch.Tensor, ...]:
    family = FAMILIES[model.config.model_type]
    normed: list[torch.Tensor] = []
    hooks = []
    if family.final_norm:
        final_norm = model.get_submodule(family.final_norm)
        hooks = [final_norm.register_forward_pre_hook(lambda _, inputs: normed.append(inputs[0]))]
    try:
        with compute.autocast():
            states: tuple[torch.Tensor, ...] = model(
                **model_inputs(model, batch, compute.device), output_hidden_states=True
            ).hidden_states
    finally:
        for hook in hooks:
            hook.remove()
    return (*states[:-1], *normed) if normed else states
