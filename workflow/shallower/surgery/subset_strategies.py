"""Strategies by scores of subsets of layers (`shallower.surgery.subset_choice`)."""

from collections.abc import Iterable, Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.amounts import COUNT
from shallower.surgery.strategy import LayerScore, Strategy, registering
from shallower.surgery.subset_choice import SubsetTable, ablation_order, best_of_size, from_the_top, greedy_order
from shallower.surgery.subsets import Subset

SUBSETS = LayerScore(
    "subsets", "score_subsets", of_subsets=True, needs_labels=True, forward_passes=None, parse=SubsetTable.parse
)


def _winner(scores: Mapping[str, Any], stack: Stack) -> Subset:
    """The subset that won a race. Raises UserError when it does not fit the model, or lacks protected layers."""
    winner = tuple(map(int, scores["winner"].split()))
    if scores["num_layers"] != stack.num_layers or not {*stack.protected} <= {*winner}:
        raise UserError("the race was between subsets of another model or with other protected layers; run it again")
    return winner


RACE = LayerScore(
    "race", "race_subsets", of_subsets=True, of_runs=True, needs_labels=True, forward_passes=None, parse=_winner
)

BY_SUBSETS: dict[str, Strategy] = {}
register = registering(BY_SUBSETS)


@register(
    "subset-readout",
    "The set of layers without which a linear readout of the task, fitted again on calibration examples, loses least.",
    "not in the paper",
    COUNT,
    score=SUBSETS,
)
def drop_by_subset_readout(stack: Stack, amount: int, table: SubsetTable) -> Iterable[int]:
    """Keep the subset of its size with the lowest loss of the readout; what goes, goes from the top down.

    The exact best where all subsets are scored. Source: this project; linear readouts of frozen states are the probes
    of Alain and Bengio, "Understanding intermediate layers using linear classifier probes" (2016; arXiv 1610.01644).
    """
    return from_the_top(stack.num_layers, best_of_size(table, "readout_loss", stack.num_layers - amount))


@register(
    "subset-race",
    "The winner of a race, by short refinings, among the sets of layers that subset-readout ranks highest.",
    "not in the paper",
    COUNT,
    score=RACE,
)
def drop_by_subset_race(stack: Stack, _amount: int, winner: Subset) -> Iterable[int]:
    """Keep the winner of the run's race (`shallower.analysis.race`); what goes, goes from the top down."""
    return from_the_top(stack.num_layers, winner)


@register(
    "subset-loss",
    "The set of layers without which the fine-tuned model itself, not trained again, has the lowest loss.",
    "not in the paper",
    COUNT,
    score=SUBSETS,
    needs_head=True,
)
def drop_by_subset_loss(stack: Stack, amount: int, table: SubsetTable) -> Iterable[int]:
    """Keep the subset of its size with the lowest loss on calibration examples; what goes, goes from the top down.

    The exhaustive search of which greedy pruning by the loss is a short cut, such as SLEB (Song et al., "SLEB:
    Streamlining LLMs through redundancy verification and elimination of transformer blocks", 2024; arXiv 2402.09025).
    """
    return from_the_top(stack.num_layers, best_of_size(table, "loss", stack.num_layers - amount))


@register(
    "ablation",
    "The layers without each of which, one at a time, the fine-tuned model's loss is lowest.",
    "not in the paper",
    COUNT,
    score=SUBSETS,
    needs_head=True,
    needs_all_subsets=True,
)
def drop_by_ablation(_stack: Stack, amount: int, table: SubsetTable) -> Iterable[int]:
    """Drop the layers without each of which alone the loss on calibration examples is lowest; of equals the upper one.

    Unlike `subset-loss` it does not see what two layers do together. Source: Michel et al., "Are sixteen heads really
    better than one?" (2019; arXiv 1905.10650), who take out one attention head at a time.
    """
    return ablation_order(table, "loss", amount)


@register(
    "greedy-score",
    "One layer after the other, each the one without which the fine-tuned model scores best (TALE).",
    "not in the paper",
    COUNT,
    score=SUBSETS,
    needs_head=True,
    needs_all_subsets=True,
)
def drop_by_greedy_score(_stack: Stack, amount: int, table: SubsetTable) -> Iterable[int]:
    """Drop the layer without which the score on calibration examples is best, again and again; of equals the upper one.

    Source: TALE, Naim et al., "TELL-TALE: Task efficient LLMs with task aware layer elimination" (2025; arXiv
    2510.22767), which removes layers by the task's own score without training.
    """
    return greedy_order(table, "score", amount)
