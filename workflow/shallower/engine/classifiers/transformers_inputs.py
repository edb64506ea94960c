"""The arguments of a transformers model's forward pass."""

import inspect
from functools import cache

import torch

from shallower.engine.batches import Batch
from shallower.engine.devices import to_device


def model_inputs(model: torch.nn.Module, batch: Batch, device: str) -> dict[str, torch.Tensor]:
    """The arguments of a model's forward pass for a batch, leaving out what the model does not take.

    DistilBERT, for one, has no token types although its tokenizer returns some.
    """
    arrays = {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "token_type_ids": batch.token_type_ids,
    }
    accepted = _accepted(type(model))
    inputs = {
        name: to_device(array, device) for name, array in arrays.items() if array is not None and name in accepted
    }
    # XLNet would otherwise keep a memory of the batch that nobody asks for.
    return {**inputs, "use_mems": False} if "use_mems" in accepted else inputs


@cache
def _accepted(model_class: type[torch.nn.Module]) -> frozenset[str]:
    return frozenset(inspect.signature(model_class.forward).parameters)
