"""A race of subsets of layers: all are refined for a short time, the better half for longer, until one is left.

Source: successive halving, Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization" (AISTATS 2016; arXiv 1502.07943).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shallower.surgery.subsets import Subset


@dataclass(frozen=True)
class Trial:
    """A short refining of the model that keeps a subset of layers, and how it does on calibration examples."""

    subset: Subset
    epochs: float
    score: float
    loss: float


def rounds(contestants: int, epochs: float) -> list[tuple[int, float]]:
    """How many subsets are refined in each round, and for how many epochs each; none for a single contestant.

    Half of them, rounded up, go on to twice as many epochs; the last two are refined for `epochs`.
    """
    counts = []
    while contestants > 1:
        counts.append(contestants)
        contestants = math.ceil(contestants / 2)
    return [(count, epochs / 2 ** (len(counts) - place)) for place, count in enumerate(counts, start=1)]


def race(
    shortlist: Sequence[Subset], epochs: float, refine: Callable[[Subset, float], Trial]
) -> tuple[Subset, list[Trial]]:
    """The winner among a shortlist, and all trials in their order.

    `refine` refines the model of a subset for a number of epochs, always from the same weights. The higher score goes
    on; of equal scores that with the lower loss, then the one that comes first in the shortlist.
    """
    contestants, trials = list(shortlist), []
    for count, share in rounds(len(contestants), epochs):
        held = [refine(subset, share) for subset in contestants]
        trials += held
        ranked = sorted(range(count), key=lambda place: (-held[place].score, held[place].loss, place))
        contestants = [contestants[place] for place in sorted(ranked[: math.ceil(count / 2)])]
    return contestants[0], trials
