"""How far fine-tuning has moved the [CLS] token's vector at each depth (preprint, arXiv 2004.03844v1, figure 5).

The preprint does not say which vector it compares; here it is the one that the task's head reads.
"""

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from shallower.analysis.hidden_states import vectors_by_depth
from shallower.core.errors import UserError
from shallower.engine.devices import Compute
from shallower.engine.tokens import TokenSet


def similarity_by_depth(
    model: PreTrainedModel, pretrained: PreTrainedModel, tokens: TokenSet, compute: Compute
) -> list[float]:
    """Mean cosine, over all examples, of the [CLS] token's vectors in two models of one shape.

    One value a depth, 0 (the embedding output) to L (after the last layer), in [-1, 1].
    Raises UserError when the models differ in depth or width, and when there are no examples.
    """
    total = torch.zeros((), dtype=torch.float64)
    pairs = zip(vectors_by_depth(model, tokens, compute), vectors_by_depth(pretrained, tokens, compute), strict=True)
    for (_, ours), (_, theirs) in pairs:
        if (ours.shape[0], ours.shape[2]) != (theirs.shape[0], theirs.shape[2]):
            raise UserError(
                f"a model of {ours.shape[0] - 1} layers and width {ours.shape[2]} cannot be compared depth by depth "
                f"with one of {theirs.shape[0] - 1} layers and width {theirs.shape[2]}; "
                "give the pre-trained model that it was fine-tuned from"
            )
        total = total + functional.cosine_similarity(ours.double(), theirs.double(), dim=-1).sum(dim=1)
    return (total / len(tokens.labels)).tolist()
