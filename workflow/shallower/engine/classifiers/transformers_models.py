"""Models of transformers: how they are loaded, and the arguments of their forward pass.

Loading never reaches for the network and never runs code from a checkpoint.
"""

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from shallower.engine.batches import Batch
from shallower.engine.devices import to_device
from shallower.models.families import FAMILIES


def load_pretrained(model_class: str, model_dir: str | Path, **settings: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Load a checkpoint in fp32 with one of transformers' auto classes; returns the model and what did not fit.

    The class is one of `shallower.core.model_classes`.

    transformers' own report is silenced: callers check what is missing and left over.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    model, report = getattr(transformers, model_class).from_pretrained(
        model_dir,
        dtype=torch.float32,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        **settings,
    )
    return model, report


def model_inputs(model: PreTrainedModel, batch: Batch, device: str) -> dict[str, Any]:
    """The arguments of a model's forward pass for a batch, leaving out what the model does not take.

    DistilBERT, for one, has no token types although its tokenizer returns some; GPT-2 would add embeddings of words.
    """
    arrays = {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "token_type_ids": batch.token_type_ids,
    }
    family = FAMILIES[model.config.model_type]
    accepted = _accepted(type(model).forward) - (frozenset() if family.takes_token_types else {"token_type_ids"})
    inputs = {
        name: to_device(array, device) for name, array in arrays.items() if array is not None and name in accepted
    }
    return inputs | dict(family.forward_arguments)


def read_rows(states: torch.Tensor, batch: Batch) -> torch.Tensor:
    """What belongs to each row of a batch's labels [R, ...]: as it is or, of labels of words, of states [B, L, ...]."""
    if batch.places is None:
        return states
    members, places = (to_device(array, states.device.type) for array in batch.places)
    return states[members, places]


def mean_vectors(states: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean [B, hidden] of the states [B, L, hidden] of each text's tokens, without padding."""
    if batch.attention_mask is None:
        return states.float().mean(dim=1)
    weights = to_device(batch.attention_mask, states.device.type)[..., None].float()
    return (states.float() * weights).sum(1) / weights.sum(1)


@cache
def _accepted(forward: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)
