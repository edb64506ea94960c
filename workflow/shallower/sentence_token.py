"""The last layer, computed for the one token that the classifier looks at.

The heads of the encoders below read the sentence token's vector only. In the last layer the other tokens matter as
keys and values of the attention; what comes after it (its output projection, layer norms and the feed-forward
network) need not be computed for them. Logits and gradients stay the same.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

Hook = Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]


def compute_sentence_token_only(model: nn.Module, padding_side: str) -> list[RemovableHandle]:
    """Make a classifier's last layer compute what its head needs, and no more; return the hooks, to be removed.

    The sentence token comes first when padding is on the right, last when it is on the left (XLNet). Models of other
    families, and ALBERT, whose layers share one module, are left as they are.
    """
    kind = model.config.model_type
    if kind == "bert" and padding_side == "right":
        return [_slice_inputs(model.bert.encoder.layer[-1].attention.output, 1, first=True)]
    if kind == "roberta" and padding_side == "right":
        return [_slice_inputs(model.roberta.encoder.layer[-1].attention.output, 1, first=True)]
    if kind == "distilbert" and padding_side == "right":
        return [_slice_inputs(model.distilbert.transformer.layer[-1].sa_layer_norm, 1, first=True)]
    if kind == "xlnet" and padding_side == "left" and model.config.summary_type == "last":
        # XLNet's tensors are [length, batch, hidden].
        return [_slice_inputs(model.transformer.layer[-1].ff, 0, first=False)]
    return []


def _slice_inputs(module: nn.Module, dimension: int, first: bool) -> RemovableHandle:
    """Let a module see only the first or last position of its tensors along a dimension."""

    def hook(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(tensor.narrow(dimension, 0 if first else tensor.shape[dimension] - 1, 1) for tensor in inputs)

    return module.register_forward_pre_hook(hook)
