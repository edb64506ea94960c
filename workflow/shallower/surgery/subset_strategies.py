"""Strategies by scores of subsets of layers (`shallower.surgery.subset_choice`)."""

from collections.abc import Iterable

from shallower.surgery.amounts import COUNT
from shallower.surgery.strategy import LayerScore, Strategy, registering
from shallower.surgery.subset_choice import SubsetTable, best_of_size, from_the_top, greedy_order

SUBSETS = LayerScore("subsets", "score_subsets", of_subsets=True, needs_labels=True, parse=SubsetTable.parse)

BY_SUBSETS: dict[str, Strategy] = {}
register = registering(BY_SUBSETS)


@register(
    "subset-readout",
    "The set of layers without which a linear readout of the task, fitted again on calibration examples, loses least.",
    "not in the paper",
    COUNT,
    score=SUBSETS,
)
def drop_by_subset_readout(num_layers: int, amount: int, table: SubsetTable) -> Iterable[int]:
    """Keep the subset of its size with the lowest loss of the readout; what goes, goes from the top down.

    The exact best where all subsets are scored. Source: this project; linear readouts of frozen states are the probes
    of Alain and Bengio, "Understanding intermediate layers using linear classifier probes" (2016; arXiv 1610.01644).
    """
    return from_the_top(num_layers, best_of_size(table, "readout_loss", num_layers - amount))


@register(
    "subset-loss",
    "The set of layers without which the fine-tuned model itself, not trained again, has the lowest loss.",
    "not in the paper",
    COUNT,
    score=SUBSETS,
    needs_head=True,
)
def drop_by_subset_loss(num_layers: int, amount: int, table: SubsetTable) -> Iterable[int]:
    """Keep the subset of its size with the lowest loss on calibration examples; what goes, goes from the top down.

    The exhaustive search of which greedy pruning by the loss is a short cut, such as SLEB (Song et al., "SLEB:
    Streamlining LLMs through redundancy verification and elimination of transformer blocks", 2024; arXiv 2402.09025).
    """
    return from_the_top(num_layers, best_of_size(table, "loss", num_layers - amount))


@register(
    "greedy-score",
    "One layer after the other, each the one without which the fine-tuned model scores best (TALE).",
    "not in the paper",
    COUNT,
    score=SUBSETS,
    needs_head=True,
    needs_all_subsets=True,
)
def drop_by_greedy_score(num_layers: int, amount: int, table: SubsetTable) -> Iterable[int]:
    """Drop the layer without which the score on calibration examples is best, again and again; of equals the upper one.

    The greedy search of TALE (arXiv 2510.22767), which removes layers by the task's own score without training.
    """
    return greedy_order(table, "score", amount)
