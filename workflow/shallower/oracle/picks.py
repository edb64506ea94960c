"""What each strategy would keep, and what its choice costs, from files of scores.

A strategy's pick need not be run to know how well it does: the model that keeps the same layers was refined from the
same weights with the same seed and settings, and gives the same predictions.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shallower.core.layers import Layers
from shallower.models.stack import Stack
from shallower.surgery.amounts import COUNT
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES, check_amount, drop_order
from shallower.surgery.strategy import LayerScore, Strategy
from shallower.surgery.subsets import Subset


@dataclass(frozen=True)
class Price:
    """What a choice costs, in addition to the refining of what is chosen.

    Attributes:
        refinings: further refinings of a model, by their epochs.
        forward_passes: of the full model over the examples that layers are scored on; one with gradients is three.
    """

    refinings: float = 0.0
    forward_passes: float = 0.0

    def __add__(self, other: "Price") -> "Price":
        return Price(self.refinings + other.refinings, self.forward_passes + other.forward_passes)


@dataclass(frozen=True)
class Pick:
    """The layers that a strategy keeps, and the price of its choice."""

    kept: Subset
    price: Price


def judged_strategies(origin: str) -> dict[str, Strategy]:
    """The strategies that choose a given number of layers to drop for an origin's runs, by name.

    Without those that go by the answers of a fine-tuned model where runs start from the pre-trained one, and without
    contribution, whose threshold gives the picks of contribution-rank.
    """
    return {
        name: strategy
        for name, strategy in STRATEGIES.items()
        if strategy.amount is COUNT and (ORIGINS[origin].from_baseline or not strategy.needs_head)
    }


def scores_to_read(origin: str) -> list[str]:
    """Names of the scores of layers, or of subsets of them, that the judged strategies go by; not those of runs."""
    scores = (strategy.score for strategy in judged_strategies(origin).values())
    return sorted({score.name for score in scores if score is not None and not score.of_runs})


def pick(
    name: str, stack: Stack, amount: int, scores: Mapping[str, Any], race: Mapping[str, Any] | None = None
) -> Pick | None:
    """The pick of a strategy that drops `amount` layers; None where it cannot drop so many, or lacks its scores.

    `scores` are the contents of files of scores by their names; `race` is that of the run's race.json, where there is
    one. Raises UserError when scores do not fit the model.
    """
    strategy = STRATEGIES[name]
    if check_amount(name, amount, stack):
        return None
    if strategy.score is None:
        found = None
    else:
        found = race if strategy.score.of_runs else scores.get(strategy.score.name)
        if found is None:
            return None
    kept = Layers(stack.num_layers, tuple(drop_order(name, stack, amount, found))).kept
    return Pick(tuple(kept), price(strategy.score, scores, race))


def price(score: LayerScore | None, scores: Mapping[str, Any], race: Mapping[str, Any] | None) -> Price:
    """What it costs to choose by a score."""
    if score is None:
        return Price()
    if score.of_subsets:
        passes = Price(forward_passes=scores["subsets"]["cost"]["forward_passes"])
        if not score.of_runs or race is None:
            return passes
        epochs = race["refine_epochs"]
        return passes + Price(refinings=race["cost"]["epochs"] / epochs if epochs else math.nan)
    return Price(forward_passes=score.forward_passes or 0.0)


def summed_scores(origin: str, stack: Stack, subset: Subset, scores: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """For each score that is a number a layer, the sum over the dropped layers, turned so that higher is better.

    Among the subsets of a size, a strategy that ranks layers by the score picks the highest. Scores of which the
    highest go are cosines: what is missing to 1 is summed, so that sums of different numbers of layers compare. Blocks
    of layers and subsets have scores of their own.
    """
    found = {strategy.score for strategy in judged_strategies(origin).values() if strategy.score}
    for score in sorted(found, key=lambda score: score.name):
        if score.of_subsets or score.name not in scores or isinstance(scores[score.name]["scores"][0], list):
            continue
        values = score.parse(scores[score.name], stack)
        dropped = [layer for layer in range(stack.num_layers) if layer not in subset]
        yield score.name, -sum(1 - values[layer] if score.drops_highest else values[layer] for layer in dropped)
