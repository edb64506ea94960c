"""Strategies by a score of each layer. Section numbers are explained in `shallower.surgery.strategies`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.amounts import COUNT, THRESHOLD
from shallower.surgery.strategy import LayerScore, Strategy, registering

FROM_WEIGHTS: dict[str, Any] = {"runs_model": False, "compares_weights": True, "forward_passes": 0}

CONTRIBUTION = LayerScore("contribution", "score_layers", drops_highest=True)
PARAMETER_AGGREGATION = LayerScore("parameter-aggregation", "score_parameters", **FROM_WEIGHTS)
PARAMETER_VARIANCE = LayerScore("parameter-variance", "score_parameters", **FROM_WEIGHTS)
MAGNITUDE = LayerScore("magnitude", "score_parameters", **FROM_WEIGHTS)
BLOCK_INFLUENCE = LayerScore("block-influence", "score_layers")
TAYLOR = LayerScore("taylor", "score_gradients", compares_weights=True, needs_labels=True, forward_passes=3)


def _block_distances(scores: Mapping[str, Any], stack: Stack) -> list[list[float]]:
    """The distances of all blocks of layers: row n - 1 has those of n layers, by the lowest layer of the block."""
    rows: list[list[float]] = scores["scores"]
    if [len(row) for row in rows] != list(range(stack.num_layers, 0, -1)):
        raise UserError(f"the {scores['method']} scores are not of {stack.num_layers} layers; score this model again")
    return rows


ANGULAR_DISTANCE = LayerScore("angular-distance", "score_layers", parse=_block_distances)

SCORED: dict[str, Strategy] = {}
register = registering(SCORED)


def _ranked(stack: Stack, scores: Sequence[float], highest_first: bool = False) -> list[int]:
    """The layers that may go by score, lowest first by default; of layers with equal scores the upper one first."""
    sign = -1 if highest_first else 1
    return sorted(stack.droppable, key=lambda layer: (sign * scores[layer], -layer))


@register(
    "contribution",
    "The layers that hardly change the [CLS] token's hidden state: mean cosine before and after above a threshold.",
    "3.4",
    THRESHOLD,
    score=CONTRIBUTION,
)
def drop_by_contribution(stack: Stack, amount: float, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers whose score is above the threshold `amount` (§3.4).

    A score is the mean cosine between the [CLS] token's hidden states before and after the layer. How many layers are
    dropped is an outcome, possibly none. Raises UserError when it would be all.
    """
    dropped = [layer for layer in _ranked(stack, scores, highest_first=True) if scores[layer] > amount]
    if len(dropped) == (num_layers := stack.num_layers):
        values = ", ".join(f"{score:.4f}" for score in scores)
        raise UserError(
            f"contribution: all {num_layers} layers score above the threshold {amount}, so none would "
            f"remain; raise the threshold (scores of layers 0 to {num_layers - 1}: {values})"
        )
    return dropped


@register(
    "contribution-rank",
    "The layers that change the [CLS] token's hidden state least: highest mean cosine before and after.",
    "not in the paper, which sets a threshold on this score (3.4)",
    COUNT,
    score=CONTRIBUTION,
)
def drop_by_contribution_rank(stack: Stack, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers with the highest mean cosine; of equal ones the upper layer first."""
    return _ranked(stack, scores, highest_first=True)[:amount]


@register(
    "parameter-aggregation",
    "The layers whose final weights have the lowest mean magnitude.",
    "3.3",
    COUNT,
    score=PARAMETER_AGGREGATION,
)
def drop_by_parameter_aggregation(stack: Stack, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers whose weights have the lowest mean magnitude (§3.3); of equal ones the upper layer first."""
    return _ranked(stack, scores)[:amount]


@register(
    "parameter-variance",
    "The layers whose final weights have the lowest variance.",
    "3.3",
    COUNT,
    score=PARAMETER_VARIANCE,
)
def drop_by_parameter_variance(stack: Stack, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers whose weights have the lowest variance (§3.3); of equal ones the upper layer first."""
    return _ranked(stack, scores)[:amount]


@register(
    "magnitude",
    "The layers whose weights, all of them, have the lowest mean magnitude.",
    "not in the paper",
    COUNT,
    score=MAGNITUDE,
)
def drop_by_magnitude(stack: Stack, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers with the smallest weights, whatever `parameter_scores.weights` says; of equals the upper first.

    Source: the magnitude criterion of Kim et al., "Shortened LLaMA: Depth pruning for large language models with
    comparison of retraining methods" (2024; arXiv 2402.02834), section 3.2, which sums magnitudes; layers have equally
    many weights, so that a mean ranks them as the sum does.
    """
    return _ranked(stack, scores)[:amount]


@register(
    "block-influence",
    "The layers that change the hidden states of all tokens least: lowest Block Influence (ShortGPT).",
    "not in the paper",
    COUNT,
    score=BLOCK_INFLUENCE,
)
def drop_by_block_influence(stack: Stack, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers with the lowest Block Influence; of equals the upper first.

    Source: Men et al., "ShortGPT: Layers in large language models are more redundant than you expect" (2024; arXiv
    2403.03853), sections 3.1 and 3.2.
    """
    return _ranked(stack, scores)[:amount]


def _blocks(stack: Stack, amount: int) -> Iterator[int]:
    """The lowest layer of each block of so many adjacent layers that may all go."""
    for lowest in range(stack.num_layers - amount + 1):
        if not any(layer in stack.protected for layer in range(lowest, lowest + amount)):
            yield lowest


def _check_blocks(amount: int, stack: Stack) -> str | None:
    if any(True for _ in _blocks(stack, amount)):
        return None
    return f"no {amount} adjacent layers can go together (layers that stay: {stack.staying}); drop fewer"


@register(
    "angular-distance",
    "The block of adjacent layers whose input and output are closest: smallest angle of the [CLS] token's vectors.",
    "not in the paper",
    COUNT,
    score=ANGULAR_DISTANCE,
    extra_check=_check_blocks,
)
def drop_by_angular_distance(stack: Stack, amount: int, distances: Sequence[Sequence[float]]) -> Iterable[int]:
    """Drop the block of `amount` layers with the smallest angular distance, from the top down; of equals the upper one.

    Source: Gromov et al., "The unreasonable ineffectiveness of the deeper layers" (2024; arXiv 2403.17887), section
    3.2.
    """
    of_size = distances[amount - 1]
    lowest = min(_blocks(stack, amount), key=lambda layer: (of_size[layer], -layer))
    return reversed(range(lowest, lowest + amount))


@register(
    "taylor",
    "The layers whose weights matter least to the fine-tuned model's loss, to first order (Taylor importance).",
    "not in the paper",
    COUNT,
    score=TAYLOR,
    needs_head=True,
)
def drop_by_taylor(stack: Stack, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers with the lowest sum of |dL/dw * w| over their weights; of equals the upper first.

    Sources: Molchanov et al., "Importance estimation for neural network pruning" (CVPR 2019; arXiv 1906.10771); for
    whole layers Kim et al., "Shortened LLaMA" (2024; arXiv 2402.02834), section 3.2.
    """
    return _ranked(stack, scores)[:amount]
