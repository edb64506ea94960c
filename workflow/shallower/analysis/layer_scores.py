"""How much each layer, or block of layers, changes the hidden states. Layers are 0-based from the bottom."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from shallower.analysis.hidden_states import token_states_by_depth, vectors_by_depth
from shallower.engine.devices import Compute
from shallower.engine.tokens import TokenSet


def contribution_scores(model: PreTrainedModel, tokens: TokenSet, compute: Compute) -> list[float]:
    """Mean cosine, over all examples, of the [CLS] token's vector before and after each layer (paper section 3.4).

    Of texts with a label for each word it is that of the words' vectors, over all words.
    One score a layer, in [-1, 1]. The closer to 1, the less the layer contributes.
    Raises UserError when there are no examples.
    """
    total = torch.zeros((), dtype=torch.float64)
    for _, vectors in vectors_by_depth(model, tokens, compute):
        vectors = vectors.double()
        total = total + functional.cosine_similarity(vectors[:-1], vectors[1:], dim=-1).sum(dim=1)
    return (total / len(tokens.labels)).tolist()


def block_influence(model: PreTrainedModel, tokens: TokenSet, compute: Compute) -> list[float]:
    """Block Influence, 1 - E[cos(x_i, x_i+1)] over all tokens of all examples, of the states before and after layer i.

    One score a layer, in [0, 2]. The closer to 0, the less the layer changes. Padding does not count; the special
    tokens do. Source: Men et al., "ShortGPT: Layers in large language models are more redundant than you expect" (2024;
    arXiv 2403.03853). Raises UserError when there are no examples.
    """
    total, count = torch.zeros((), dtype=torch.float64), 0
    for states in token_states_by_depth(model, tokens, compute):
        states = states.double()
        total = total + functional.cosine_similarity(states[:-1], states[1:], dim=-1).sum(dim=1)
        count += states.shape[1]
    return (1 - total / count).tolist()


def angular_distances(model: PreTrainedModel, tokens: TokenSet, compute: Compute) -> list[list[float]]:
    """Angular distances of the [CLS] token's vectors before and after each block of layers, mean over all examples.

    Row n - 1 has the distances arccos(cos(x_i, x_i+n)) / pi, in [0, 1], of all blocks of n layers, by the lowest layer
    i of the block. Source: Gromov et al., "The unreasonable ineffectiveness of the deeper layers" (2024; arXiv
    2403.17887), section 3.2, whose last token, the one that a decoder answers from, is [CLS] here.
    Raises UserError when there are no examples.
    """
    total = torch.zeros((), dtype=torch.float64)
    for _, vectors in vectors_by_depth(model, tokens, compute):
        unit = functional.normalize(vectors.double(), dim=-1).transpose(0, 1)  # [B, L + 1, hidden]
        cosines = unit @ unit.transpose(1, 2)
        total = total + torch.arccos(cosines.clamp(-1, 1)).sum(dim=0)
    distances = total / (math.pi * len(tokens.labels))
    return [distances.diagonal(size).tolist() for size in range(1, len(distances))]


METHODS: dict[str, Callable[[PreTrainedModel, TokenSet, Compute], list[Any]]] = {
    "contribution": contribution_scores,
    "block-influence": block_influence,
    "angular-distance": angular_distances,
}
