"""How much each layer changes the vector of the [CLS] token: the contribution score (paper section 3.4)."""

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from shallower.analysis.hidden_states import vectors_by_depth
from shallower.engine.devices import Compute
from shallower.engine.tokens import TokenSet


def contribution_scores(model: PreTrainedModel, tokens: TokenSet, compute: Compute) -> list[float]:
    """Mean cosine, over all examples, of the [CLS] token's vector before and after each layer.

    One score a layer, 0-based from the bottom, in [-1, 1]. The closer to 1, the less the layer contributes.
    Raises UserError when there are no examples.
    """
    total = torch.zeros((), dtype=torch.float64)
    for _, vectors in vectors_by_depth(model, tokens, compute):
        vectors = vectors.double()
        total = total + functional.cosine_similarity(vectors[:-1], vectors[1:], dim=-1).sum(dim=1)
    return (total / len(tokens.labels)).tolist()
