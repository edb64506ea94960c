"""The best subset of layers by a table of scores of many of them.

The table is the content of a scores file of `score_subsets`. Layers are 0-based from the bottom, subsets are those of
the kept layers.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.subsets import Subset, num_evaluations_of_all

# Scores that a table may hold; of each, whether a higher one is better.
MEASURES = {"readout_loss": False, "readout_score": True, "loss": False, "score": True}


@dataclass(frozen=True)
class SubsetTable:
    """Scores of subsets of a model's layers.

    Attributes:
        stack: the layers of the full model.
        is_complete: whether all subsets are scored; where layers share their weights, all depths.
        measures: for each measure the scores of all subsets.
    """

    stack: Stack
    is_complete: bool
    measures: Mapping[str, Mapping[Subset, float]]

    @property
    def protected(self) -> Collection[int]:
        """The layers that must be kept."""
        return self.stack.protected

    @classmethod
    def parse(cls, scores: Mapping[str, Any], stack: Stack | None = None) -> "SubsetTable":
        """The table in the content of a scores file, for the layers of a model or those that the file describes.

        Raises UserError when it is of a model of another depth.
        """
        stack = stack or Stack.from_description(scores)
        if scores["num_layers"] != stack.num_layers:
            raise UserError(
                f"subsets of {scores['num_layers']} layers are scored, the model has {stack.num_layers}; score it again"
            )
        subsets = [tuple(map(int, label.split())) for label in scores["kept_layers"]]
        found = {name: dict(zip(subsets, scores[name], strict=True)) for name in MEASURES if name in scores}
        return cls(stack, bool(scores["is_complete"]), found)

    def of(self, measure: str) -> Mapping[Subset, float]:
        """Scores by a measure, turned so that lower is better.

        Raises UserError when the table lacks it: a model without a fine-tuned head has readouts only.
        """
        if measure not in self.measures:
            raise UserError(
                f"the scores of these subsets have no {measure!r}, which needs a fine-tuned head; "
                "drop layers from the fine-tuned model (origin finetuned)"
            )
        sign = -1 if MEASURES[measure] else 1
        return {subset: sign * score for subset, score in self.measures[measure].items()}


def best_of_size(table: SubsetTable, measure: str, size: int) -> Subset:
    """The best subset of so many layers, as `shortlist` ranks them."""
    return shortlist(table, measure, size, 1)[0]


def shortlist(table: SubsetTable, measure: str, size: int, count: int) -> list[Subset]:
    """The best subsets of so many layers by a measure, at most `count`, the best first, all with the protected layers.

    Of equal ones that with the lower layers comes first. Raises UserError when none is in the table.
    """
    scores = table.of(measure)
    fitting = [subset for subset in scores if len(subset) == size and {*table.protected} <= {*subset}]
    if not fitting:
        raise UserError(
            f"no subset of {size} layers{_with(table.protected)} was scored; raise subsets.layer_evaluations "
            f"(all subsets take {num_evaluations_of_all(table.stack)})"
        )
    return sorted(fitting, key=lambda subset: (scores[subset], subset))[:count]


def greedy_order(table: SubsetTable, measure: str, amount: int) -> list[int]:
    """Layers in the order in which they go, each time the one without which the rest is best; of equals the upper one.

    Protected layers stay. Where layers share their weights, the upper ones go. Raises UserError when not all subsets
    are scored, and when too many layers are protected.
    """
    _check_complete(table)
    scores = table.of(measure)
    kept, order = tuple(range(table.stack.num_layers)), []
    for _ in range(amount):
        ways = {layer: kept[:at] + kept[at + 1 :] for at, layer in enumerate(kept) if layer not in table.protected}
        possible = [layer for layer, rest in ways.items() if rest in scores]
        if not possible:
            raise UserError(f"{amount} layers cannot go{_with(table.protected)}; protect fewer layers")
        dropped = min(possible, key=lambda layer: (scores[ways[layer]], -layer))
        kept = ways[dropped]
        order.append(dropped)
    return order


def ablation_order(table: SubsetTable, measure: str, amount: int) -> list[int]:
    """Layers in the order of the score of all others, the best first; of equals, and of shared layers, the upper one.

    Protected layers stay. Raises UserError when not all subsets are scored.
    """
    _check_complete(table)
    scores, layers = table.of(measure), range(table.stack.num_layers)
    # Where layers share their weights, only the upper one has a subset without it.
    without = {layer: scores.get(tuple(other for other in layers if other != layer), math.inf) for layer in layers}
    return sorted(set(layers) - {*table.protected}, key=lambda layer: (without[layer], -layer))[:amount]


def _check_complete(table: SubsetTable) -> None:
    if not table.is_complete:
        raise UserError(
            f"not all subsets of the {table.stack.num_layers} layers were scored; raise subsets.layer_evaluations to "
            f"{num_evaluations_of_all(table.stack)}"
        )


def from_the_top(num_layers: int, kept: Sequence[int]) -> list[int]:
    """The layers that are not kept, from the top down."""
    return [layer for layer in reversed(range(num_layers)) if layer not in kept]


def _with(protected: Collection[int]) -> str:
    return f" with layers {sorted(protected)}" if protected else ""
