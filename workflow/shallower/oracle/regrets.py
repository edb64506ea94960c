"""How much each choice of layers loses against the best subset of its size: regret, in points.

Regret is the score after refining of the best subset minus that of the chosen one. The best subset is chosen on other
examples than the regret is measured on, and with other seeds (`shallower.oracle.halves`), so that a regret below zero
is possible: the choice is then better, on new examples, than what looked best. The apparent regret, against the subset
that is best on the very examples and seeds of the measurement, is too high.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shallower.evaluation.estimates import Estimate, mean
from shallower.oracle.halves import Choice
from shallower.oracle.names import RANDOM
from shallower.oracle.picks import Price
from shallower.oracle.place import Place
from shallower.surgery.subset_choice import SubsetTable, shortlist
from shallower.surgery.subsets import Subset

# How many subsets with the best readouts are refined, of which the best is kept.
SHORTLISTS = (1, 2, 4, 8, 16)
SHORTLIST_MEASURE = "readout_loss"


@dataclass(frozen=True)
class Regret:
    """What a choice loses at a number of kept layers.

    Attributes:
        choice: the name of a strategy, or `RANDOM`.
        kept: the subsets that it keeps, by seed; empty for `RANDOM`.
        regret: against the best subset, which is chosen on other examples.
        apparent: regret against the subset that is best on all examples.
        ranks: by seed, the rank of its score among the subsets of the size, 1 for the highest and for equal ones the
            mean of their ranks; empty for `RANDOM`.
        price: of the choice, the mean over seeds.
    """

    choice: str
    kept: Sequence[Subset]
    regret: Estimate
    apparent: float
    ranks: Sequence[float]
    price: Price


@dataclass(frozen=True)
class Depth:
    """A number of kept layers of which all subsets are refined at a place."""

    place: Place
    size: int

    @cached_property
    def subsets(self) -> list[int]:
        """Their indices."""
        return self.place.of_size(self.size)

    @cached_property
    def best(self) -> Choice:
        """The best of all, chosen on other examples and seeds than it is measured on."""
        return self.place.halves.best([self.subsets] * len(self.place.seeds))

    @cached_property
    def apparent_best(self) -> int:
        """Index of the best of all on all examples and seeds; of equal ones that with the lower layers."""
        return self.subsets[int(self.place.values[self.subsets].mean(axis=1).argmax())]

    @property
    def third(self) -> int:
        """How many subsets are the best third."""
        return len(self.subsets) // 3

    def regrets(self) -> Iterator[Regret]:
        """Of each strategy that can keep so many layers here, then of a random choice."""
        for strategy in self.place.strategies:
            if picks := self.place.picks(strategy, self.size):
                taken = [self.place.index[pick.kept] for pick in picks]
                yield Regret(
                    strategy,
                    [pick.kept for pick in picks],
                    self.against_best(self.place.halves.always(taken)),
                    self._apparent(taken),
                    [self._rank(subset, seed) for seed, subset in enumerate(taken)],
                    _mean_price([pick.price for pick in picks]),
                )
        seeds = len(self.place.seeds)
        every = [self.against_best(self.place.halves.always([subset] * seeds)) for subset in self.subsets]
        apparent = [self._apparent([subset] * seeds) for subset in self.subsets]
        yield Regret(RANDOM, (), mean(every), float(np.mean(apparent)), (), Price())

    def against_best(self, choice: Choice) -> Estimate:
        """What a choice loses against the best of all."""
        return self.place.halves.difference(self.best, choice)

    def shortlist_regret(self, count: int) -> tuple[Estimate, Price]:
        """What is lost when only so many subsets, those with the best readouts, are refined and the best is kept.

        Like the best of all, that is chosen on other examples and seeds.
        """
        candidates, prices = [], []
        for seed in self.place.seeds:
            scores = self.place.scores[seed]["subsets"]
            table = SubsetTable.parse(scores, self.place.stack)
            listed = shortlist(table, SHORTLIST_MEASURE, self.size, count)
            candidates.append([self.place.index[subset] for subset in listed])
            prices.append(Price(len(listed) - 1, scores["cost"]["forward_passes"]))
        return self.against_best(self.place.halves.best(candidates)), _mean_price(prices)

    def _apparent(self, taken: Sequence[int]) -> float:
        values = self.place.values
        return float(np.mean([values[self.apparent_best, seed] - values[at, seed] for seed, at in enumerate(taken)]))

    def _rank(self, subset: int, seed: int) -> float:
        values, mine = self.place.values[self.subsets, seed], self.place.values[subset, seed]
        return float((values > mine).sum() + ((values == mine).sum() + 1) / 2)


def _mean_price(prices: Sequence[Price]) -> Price:
    return Price(
        float(np.mean([price.refinings for price in prices])),
        float(np.mean([price.forward_passes for price in prices])),
    )
