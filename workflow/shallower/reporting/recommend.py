"""The model to take within a budget: the rule, on numbers alone.

Candidates are the full model and every arm of a model and task without a collapsed run. One holds `score_kept` when the
lower end of the interval of its score in per cent of the full model's, over resampled validation examples and seeds, is
not below the limit; the other limits are upper ones. Of those that hold every limit, the one with the fewest layers is
recommended where the budget has `score_kept`, of equally deep ones that with the highest score; where it has none, the
one with the highest score, of equal ones that with the fewest layers. Time needs no place in the rule: it is measured
for each depth, so models of the same depth take the same time.

Where variants of the models were measured, a candidate is an arm in one runtime with one vocabulary, and time and size
decide instead of layers. Which of them does is the budget's `prefer`:

- `latency`: the candidate with the highest speed-up over the full model, at the smallest batch size that was measured.
  Those whose speed-up's interval reaches that of this fastest one cannot be told from it by what was measured: of all
  these the smallest file is recommended.
- `size`: the smallest file, of equal ones the fastest.

Of what is equal still, the highest score, then the fewest layers. Where the budget has no `score_kept`, only those with
the highest score are compared so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shallower.core.runs import BASELINE
from shallower.core.variants import AS_TRAINED, INT8, Variant
from shallower.reporting.budget import PREFER_SIZE, SCORE_KEPT, limits_of
from shallower.reporting.summary import ROUNDING


@dataclass(frozen=True)
class Candidate:
    """The full model, or an arm, over its seeds; in one variant.

    Attributes:
        origin, strategy, amount: the arm's, or those of a baseline.
        layers: the number of layers, of the seed that keeps most.
        score: the mean over seeds.
        kept: that in per cent of the full model's; NaN where there is no such percentage.
        low, high: the interval of `kept` over examples and seeds; NaN likewise.
        megabytes: size of the model's file (10^6 bytes), of the largest seed.
        latency_ms: median milliseconds of a forward pass at the batch size at hand; NaN where it was not measured.
        variant: its runtime and vocabulary.
        seeds: how many seeds `kept` is of.
        speedup: how many times as fast as the full model as it was trained, at the smallest batch size; NaN where
            variants were not measured.
        speedup_low, speedup_high: the interval of `speedup`.
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
    variant: Variant = AS_TRAINED
    seeds: int = 1
    speedup: float = math.nan
    speedup_low: float = math.nan
    speedup_high: float = math.nan

    @property
    def is_full(self) -> bool:
        """Whether this is the model with all its layers, as it was trained: what all others are compared with."""
        return self.keeps_all_layers and self.variant == AS_TRAINED

    @property
    def keeps_all_layers(self) -> bool:
        """Whether this is the model with all its layers, in any variant."""
        return self.origin == BASELINE

    @property
    def arm(self) -> tuple[str, str, str]:
        """Origin, strategy and amount."""
        return self.origin, self.strategy, self.amount


@dataclass(frozen=True)
class Recommendation:
    """What the rule says of one model on one task.

    Attributes:
        chosen: the candidate to take; None where none meets the budget.
        closest: where no shallower model meets the budget, the one that comes closest; where none meets it at all, the
            closest of all candidates. None where one does, and where it is not known how far any is from the budget.
        num_within: how many candidates meet the budget.
        num_candidates: how many there were to choose among.
    """

    chosen: Candidate | None
    closest: Candidate | None
    num_within: int
    num_candidates: int


def excess(candidate: Candidate, limit: str, value: float) -> float:
    """By which share of a limit a candidate misses it: 0 or less where it meets it, infinity where that is unknown."""
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


def recommend(
    candidates: Sequence[Candidate], budget: Mapping[str, float], prefer: str | None = None
) -> Recommendation:
    """Choose by the rule of this module; `budget` holds limits as the study names them.

    `prefer` is what decides between variants, `latency` or `size`; None where there are none.

    Where no shallower model meets the budget, the closest one is that which misses it by the smallest share of a limit,
    counting the limit that it misses most.
    """
    within_budget = [candidate for candidate in candidates if not missed_limits(candidate, budget)]
    if prefer is not None:
        ranked = [preferred(within_budget, budget, prefer)] if within_budget else []
    elif SCORE_KEPT in budget:
        ranked = sorted(within_budget, key=lambda candidate: (candidate.layers, -candidate.score))
    else:
        ranked = sorted(within_budget, key=lambda candidate: (-candidate.score, candidate.layers))
    if any(not candidate.is_full for candidate in within_budget):
        closest = None
    else:
        closest = _closest([candidate for candidate in candidates if candidate not in within_budget], budget)
    return Recommendation(ranked[0] if ranked else None, closest, len(within_budget), len(candidates))


def preferred(candidates: Sequence[Candidate], budget: Mapping[str, float], prefer: str) -> Candidate:
    """The one to recommend among variants that meet a budget. Raises ValueError when there are none."""
    pool = candidates
    if SCORE_KEPT not in budget:
        best = max(candidate.score for candidate in candidates)
        pool = [candidate for candidate in candidates if candidate.score >= best - ROUNDING]
    if prefer == PREFER_SIZE:
        return min(pool, key=lambda candidate: (candidate.megabytes, -candidate.speedup, *_rank(candidate)))
    return min(as_fast_as_any(pool), key=lambda candidate: (candidate.megabytes, -candidate.speedup, *_rank(candidate)))


def as_fast_as_any(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidate with the highest speed-up, first, and those whose interval reaches that of this one."""
    fastest = max(candidates, key=lambda candidate: candidate.speedup)
    others = [candidate for candidate in candidates if candidate is not fastest]
    return [fastest, *(candidate for candidate in others if candidate.speedup_high >= fastest.speedup_low)]


def _rank(candidate: Candidate) -> tuple[float, int]:
    return -candidate.score, candidate.layers


def left_out(
    sound: Sequence[Candidate],
    collapsed: Sequence[Candidate],
    budget: Mapping[str, float],
    prefer: str,
    chosen: Candidate | None,
) -> Candidate | None:
    """The int8 variant that would have been recommended had it met the budget, as its arm does in another runtime.

    `sound` are the candidates, `collapsed` those that are none because a run of theirs collapsed. None where there is
    no such variant.
    """
    # Without `score_kept` only the highest scores count.
    least = chosen.score - ROUNDING if chosen is not None and SCORE_KEPT not in budget else -math.inf
    held = {
        (candidate.arm, candidate.variant.vocabulary)
        for candidate in sound
        if candidate.variant.runtime != INT8 and not missed_limits(candidate, budget) and candidate.score >= least
    }
    failed = [*collapsed, *(candidate for candidate in sound if missed_limits(candidate, budget))]
    spoilt = [
        candidate
        for candidate in failed
        if candidate.variant.runtime == INT8 and (candidate.arm, candidate.variant.vocabulary) in held
    ]
    if chosen is None or not spoilt:
        return None
    # What it scores is why it was left out; here it counts as if it met the budget.
    by_cost = {**budget, SCORE_KEPT: 0.0}
    best = preferred([*spoilt, chosen], by_cost, prefer)
    return None if best is chosen else best


def _closest(candidates: Sequence[Candidate], budget: Mapping[str, float]) -> Candidate | None:
    """The candidate that misses a budget by the smallest share, of equal ones the shallowest, then the best.

    None where that is known of none.
    """

    def share(candidate: Candidate) -> float:
        return max(excess(candidate, limit, budget[limit]) for limit in limits_of(budget))

    known = [candidate for candidate in candidates if share(candidate) < math.inf]
    return min(known, key=lambda candidate: (share(candidate), candidate.layers, -candidate.score), default=None)
