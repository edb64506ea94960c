"""The model to take within a budget: the rule, on numbers alone.

Candidates are the full model and every arm of a model and task without a collapsed run. One holds `score_kept` when the
lower end of the interval of its score in per cent of the full model's, over resampled validation examples and seeds, is
not below the limit; the other limits are upper ones. Of those that hold every limit, the one with the fewest layers is
recommended where the budget has `score_kept`, of equally deep ones that with the highest score; where it has none, the
one with the highest score, of equal ones that with the fewest layers. Time needs no place in the rule: it is measured
for each depth, so models of the same depth take the same time.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shallower.core.runs import BASELINE
from shallower.reporting.budget import SCORE_KEPT, limits_of
from shallower.reporting.summary import ROUNDING


@dataclass(frozen=True)
class Candidate:
    """The full model, or an arm, over its seeds.

    Attributes:
        origin, strategy, amount: the arm's, or those of a baseline.
        layers: the number of layers, of the seed that keeps most.
        score: the mean over seeds.
        kept: that in per cent of the full model's; NaN where there is no such percentage.
        low, high: the interval of `kept` over examples and seeds; NaN likewise.
        megabytes: size of the model's file (10^6 bytes), of the largest seed.
        latency_ms: median milliseconds of a forward pass at the batch size at hand; NaN where it was not measured.
    """

    origin: str
    strategy: str
    amount: str
    layers: int
    score: float
    kept: float
    low: float
    high: float
    megabytes: float
    latency_ms: float

    @property
    def is_full(self) -> bool:
        """Whether this is the model with all its layers."""
        return self.origin == BASELINE

    @property
    def arm(self) -> tuple[str, str, str]:
        """Origin, strategy and amount."""
        return self.origin, self.strategy, self.amount


@dataclass(frozen=True)
class Recommendation:
    """What the rule says of one model on one task.

    Attributes:
        chosen: the candidate to take; None where none holds the budget.
        closest: where no shallower model holds the budget, the one that comes closest; where none holds it at all, the
            closest of all candidates. None where one does, and where it is not known how far any is from the budget.
        num_holding: how many candidates hold the budget.
        num_candidates: how many there were to choose among.
    """

    chosen: Candidate | None
    closest: Candidate | None
    num_holding: int
    num_candidates: int


def excess(candidate: Candidate, limit: str, value: float) -> float:
    """By which share of a limit a candidate misses it: 0 or less where it holds it, infinity where that is unknown."""
    match limit:
        case "score_kept":
            share = (value - candidate.low) / value
        case "megabytes":
            share = candidate.megabytes / value - 1
        case "latency_ms":
            share = candidate.latency_ms / value - 1
        case "layers":
            share = candidate.layers / value - 1
        case _:
            raise ValueError(f"no limit {limit!r}")
    return math.inf if math.isnan(share) else share


def missed_limits(candidate: Candidate, budget: Mapping[str, float]) -> list[str]:
    """The limits of a budget that a candidate does not hold."""
    return [limit for limit in limits_of(budget) if excess(candidate, limit, budget[limit]) > ROUNDING]


def recommend(candidates: Sequence[Candidate], budget: Mapping[str, float]) -> Recommendation:
    """Choose by the rule of this module; `budget` holds limits as the study names them.

    Where no shallower model holds the budget, the closest one is that which misses it by the smallest share of a limit,
    counting the limit that it misses most.
    """
    holding = [candidate for candidate in candidates if not missed_limits(candidate, budget)]
    if SCORE_KEPT in budget:
        ranked = sorted(holding, key=lambda candidate: (candidate.layers, -candidate.score))
    else:
        ranked = sorted(holding, key=lambda candidate: (-candidate.score, candidate.layers))
    if any(not candidate.is_full for candidate in holding):
        closest = None
    else:
        closest = _closest([candidate for candidate in candidates if candidate not in holding], budget)
    return Recommendation(ranked[0] if ranked else None, closest, len(holding), len(candidates))


def _closest(candidates: Sequence[Candidate], budget: Mapping[str, float]) -> Candidate | None:
    """The candidate that misses a budget by the smallest share, of equal ones the shallowest, then the best.

    None where that is known of none.
    """

    def share(candidate: Candidate) -> float:
        return max(excess(candidate, limit, budget[limit]) for limit in limits_of(budget))

    known = [candidate for candidate in candidates if share(candidate) < math.inf]
    return min(known, key=lambda candidate: (share(candidate), candidate.layers, -candidate.score), default=None)
