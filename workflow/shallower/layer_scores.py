"""How much each layer changes the vector of the sentence token: the contribution score (paper section 3.4)."""

import logging
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from shallower.batches import Batch, evaluation_batches, make_batch
from shallower.devices import Compute, model_inputs, to_device
from shallower.errors import UserError
from shallower.tokens import TokenSet

logger = logging.getLogger(__name__)

# Hidden states of all layers are alive at once.
TOKEN_BUDGET = {"cpu": 1024, "cuda": 8192}
PROGRESS_SECONDS = 10.0


def load_encoder(model_dir: str | Path) -> PreTrainedModel:
    """Load the part of a checkpoint below its head, in fp32, ready to score.

    Raises UserError when any of it is missing but for the pooler, which scores do not need.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    model, report = AutoModel.from_pretrained(
        model_dir,
        dtype=torch.float32,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler"))
    if missing:
        raise UserError(
            f"{model_dir}: {missing[0]} and {len(missing) - 1} more tensors are missing; check the model's source"
        )
    return model.eval()


def contribution_scores(model: PreTrainedModel, tokens: TokenSet, compute: Compute) -> list[float]:
    """Mean cosine, over all examples, of the sentence token's vector before and after each layer.

    One score a layer, 0-based from the bottom, in [-1, 1]. The closer to 1, the less the layer contributes.
    """
    if not len(tokens.labels):
        raise UserError("there are no examples to score layers with")
    model.eval().to(compute.device)
    batches = evaluation_batches(np.diff(tokens.offsets), TOKEN_BUDGET[compute.device])
    total: torch.Tensor | float = 0.0
    done, told = 0, time.monotonic()
    with torch.inference_mode(), compute.autocast():
        for examples in batches:
            batch = make_batch(tokens, examples)
            positions = to_device(sentence_positions(batch, tokens), compute.device)
            total = total + _summed_cosines(model, batch, positions, compute)
            done += len(examples)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                logger.info("scored layers on %d of %d examples", done, len(tokens.labels))
    return (total / len(tokens.labels)).tolist()


def sentence_positions(batch: Batch, tokens: TokenSet) -> np.ndarray:
    """Where each example's sentence token ([CLS], <s>, <cls>) stands in the padded batch, int64 [B].

    It is the first of its kind where padding is on the right, the last where it is on the left: a text may spell
    out further ones. Raises UserError, naming an example, when there is none.
    """
    found = batch.input_ids == tokens.cls_token_id
    if not found.any(axis=1).all():
        example = tokens.ids[batch.examples[~found.any(axis=1)][0]]
        raise UserError(
            f"example {example} has no sentence token (id {tokens.cls_token_id}); check the model's tokenizer"
        )
    if tokens.padding_side == "right":
        return found.argmax(axis=1)
    return found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)


def _summed_cosines(model: PreTrainedModel, batch: Batch, positions: torch.Tensor, compute: Compute) -> torch.Tensor:
    """Cosines summed over a batch, float64 [layers]."""
    outputs = model(**model_inputs(model, batch, compute.device), output_hidden_states=True)
    rows = torch.arange(len(positions), device=compute.device)
    # [layers + 1, B, hidden]: the embedding output, then each layer's.
    vectors = torch.stack([states[rows, positions] for states in outputs.hidden_states]).double()
    return functional.cosine_similarity(vectors[:-1], vectors[1:], dim=-1).sum(dim=1)
