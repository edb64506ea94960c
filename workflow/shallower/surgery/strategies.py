"""Strategies: rules that choose the layers to drop. Each is a small pure function, registered once, here.

Section numbers are those of Sajjad, Dalvi, Durrani and Nakov, "On the effect of dropping layers of
pre-trained transformer models" (Computer Speech & Language, 2023; arXiv 2004.03844), which counts layers from
1; here they are 0-based from the bottom.

To add a strategy, write its function and register it with the kind of amount that it takes. The function takes the
number of layers, the amount and, if the strategy ranks layers, their scores; it returns the dropped layers in the order
in which they would be dropped one by one. A strategy with a new layer score also needs the script that computes the
score, named in its `LayerScore`, and a rule that runs the script. Everything else reads `STRATEGIES`.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shallower.core.errors import UserError
from shallower.surgery.amounts import COUNT, LAYERS, THRESHOLD, AmountKind
from shallower.surgery.subset_choice import SubsetTable, best_of_size, from_the_top, greedy_order


@dataclass(frozen=True)
class LayerScore:
    """A number for each layer, which strategies rank layers by; or for each of many subsets of layers.

    Attributes:
        name: its folder under scores/, and "method" in a scores file.
        script: the script that computes it.
        runs_model: whether the script runs the model on examples, as a job with torch; otherwise it only reads the
            weights.
        compares_weights: whether it can tell layers apart only by weights that each has of its own.
        of_subsets: whether subsets are scored, on the task's calibration examples (`shallower.surgery.subsets`).
    """

    name: str
    script: str
    runs_model: bool = True
    compares_weights: bool = False
    of_subsets: bool = False


@dataclass(frozen=True)
class Strategy:
    """A rule that chooses the layers to drop.

    Attributes:
        name: in studies and in the folders of runs.
        description: one sentence.
        section: where the paper defines it.
        amount: what its amounts are.
        score: the score that it ranks layers by, or None if it needs only their positions.
        function: (num_layers, amount[, scores]) -> dropped layers, in the order of dropping; called with amounts that
            passed the check.
        extra_check: what else can be wrong with an amount for a known number of layers.
        needs_head: whether it goes by the answers of a fine-tuned model.
        needs_all_subsets: whether it needs the scores of all subsets of layers, not only of the most promising ones.
    """

    name: str
    description: str
    section: str
    amount: AmountKind
    score: LayerScore | None
    function: Callable[..., Iterable[int]]
    extra_check: Callable[[Any, int], str | None]
    needs_head: bool = False
    needs_all_subsets: bool = False


STRATEGIES: dict[str, Strategy] = {}


def drop_order(
    strategy: str,
    num_layers: int,
    amount: Any,
    scores: Mapping[str, Any] | None = None,
    protected: Collection[int] = (),
) -> list[int]:
    """Layers that a strategy drops, 0-based, in the order in which they are dropped one by one.

    That is from the top down, for `bottom` from the bottom up, and by rank where layers are scored.
    `scores` is the content of a scores file: {"method": name, "scores": [one number per layer], ...}, or of one of
    subsets, as `shallower.surgery.subset_choice.SubsetTable` reads it. Strategies that choose among subsets keep the
    `protected` layers; others take none (`check_protected`).
    Raises UserError for an unknown strategy, an amount or scores that do not fit, and when no layer would remain.
    """
    chosen = _strategy(strategy)
    if problem := check_amount(strategy, amount, num_layers) or check_protected(
        strategy, protected, amount, num_layers
    ):
        raise UserError(f"{strategy}: {problem}")
    if chosen.score is None:
        return list(chosen.function(num_layers, amount))
    checked = _of_method(strategy, chosen.score, scores)
    if chosen.score.of_subsets:
        return list(chosen.function(num_layers, amount, SubsetTable.parse(checked, num_layers, protected)))
    return list(chosen.function(num_layers, amount, _checked_scores(strategy, num_layers, checked)))


def check_amount(strategy: str, amount: Any, num_layers: int | None = None) -> str | None:
    """What is wrong with an amount and how to fix it; None if nothing is.

    Checks that need the number of layers are skipped while it is unknown (None). Raises UserError for an unknown
    strategy.
    """
    chosen = _strategy(strategy)
    problem = chosen.amount.problem(amount, num_layers)
    if problem is None and num_layers is not None:
        problem = chosen.extra_check(amount, num_layers)
    return problem


def check_protected(
    strategy: str, protected: Collection[int], amount: Any, num_layers: int | None = None
) -> str | None:
    """What is wrong with layers that are to stay while an amount goes, and how to fix it; None if nothing is.

    Checks that need the number of layers are skipped while it is unknown (None). Raises UserError for an unknown
    strategy.
    """
    if not protected:
        return None
    score = _strategy(strategy).score
    if score is None or not score.of_subsets:
        able = ", ".join(name for name, entry in STRATEGIES.items() if entry.score and entry.score.of_subsets)
        return f"layers can be protected from {able} only; remove 'protect'"
    if num_layers is None:
        return None
    if (highest := max(protected)) >= num_layers:
        return f"there is no layer {highest} to protect; the {num_layers} layers are 0 to {num_layers - 1}"
    if amount > (others := num_layers - len(protected)):
        return f"{amount} of {num_layers} layers cannot go while {len(protected)} are protected; drop at most {others}"
    return None


def amount_label(amount: Any) -> str:
    """An amount as paths and tables show it, in digits and dots: "2", "0.95" or, for a list, "3.5.8" (ascending)."""
    if isinstance(amount, Sequence) and not isinstance(amount, str):
        return ".".join(str(layer) for layer in sorted(amount))
    # A float below 0.0001 has an exponent as text.
    return f"{Decimal(repr(amount)):f}" if isinstance(amount, float) else str(amount)


def _strategy(name: str) -> Strategy:
    if name not in STRATEGIES:
        raise UserError(f"unknown strategy {name!r}; known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def _of_method(strategy: str, score: LayerScore, scores: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if scores is None:
        raise UserError(f"{strategy} needs the layers' scores (method {score.name!r}); none were given")
    if scores["method"] != score.name:
        raise UserError(f"{strategy} ranks layers by {score.name!r} scores; these are {scores['method']!r} scores")
    return scores


def _checked_scores(strategy: str, num_layers: int, scores: Mapping[str, Any]) -> list[float]:
    values = [float(value) for value in scores["scores"]]
    if len(values) != num_layers:
        raise UserError(f"{strategy}: {len(values)} scores for {num_layers} layers; score this model again")
    if bad := [layer for layer, value in enumerate(values) if not math.isfinite(value)]:
        raise UserError(f"{strategy}: the scores of layers {bad} are not finite; check the model's weights")
    return values


# --- layer scores ---

CONTRIBUTION = LayerScore("contribution", "score_layers")
PARAMETER_AGGREGATION = LayerScore("parameter-aggregation", "score_parameters", runs_model=False, compares_weights=True)
PARAMETER_VARIANCE = LayerScore("parameter-variance", "score_parameters", runs_model=False, compares_weights=True)
SUBSETS = LayerScore("subsets", "score_subsets", of_subsets=True)


# --- strategies ---


def _register(
    name: str,
    description: str,
    section: str,
    amount: AmountKind,
    score: LayerScore | None = None,
    extra_check: Callable[[Any, int], str | None] = lambda amount, num_layers: None,
    **needs: bool,
) -> Callable[[Callable[..., Iterable[int]]], Callable[..., Iterable[int]]]:
    """Enter the decorated function in `STRATEGIES`."""

    def enter(function: Callable[..., Iterable[int]]) -> Callable[..., Iterable[int]]:
        STRATEGIES[name] = Strategy(name, description, section, amount, score, function, extra_check, **needs)
        return function

    return enter


@_register("top", "The upper layers, next to the task's head.", "3.1", COUNT)
def drop_top(num_layers: int, amount: int) -> Iterable[int]:
    """Drop the upper layers (§3.1)."""
    return reversed(range(num_layers - amount, num_layers))


@_register("bottom", "The lower layers, next to the embeddings.", "3.6", COUNT)
def drop_bottom(num_layers: int, amount: int) -> Iterable[int]:
    """Drop the lower layers (§3.6)."""
    return range(amount)


def _alternate(num_layers: int, parity: int) -> list[int]:
    """Every second layer from the top down: those whose number, counted from 1, is even (parity 0) or odd (1)."""
    return [layer for layer in reversed(range(num_layers)) if (layer + 1) % 2 == parity]


def _check_alternate(parity: int) -> Callable[[int, int], str | None]:
    def check(amount: int, num_layers: int) -> str | None:
        available = len(_alternate(num_layers, parity))
        if amount > available:
            kind = ("even", "odd")[parity]
            return f"{amount} layers; of {num_layers}, only {available} are {kind}, so drop at most {available}"
        return None

    return check


@_register(
    "even-alternate",
    "Every second layer from the top down, those with an even number when counted from 1.",
    "3.2",
    COUNT,
    extra_check=_check_alternate(0),
)
def drop_even_alternate(num_layers: int, amount: int) -> Iterable[int]:
    """Drop the uppermost of the layers whose number, counted from 1, is even (§3.2)."""
    return _alternate(num_layers, 0)[:amount]


@_register(
    "odd-alternate",
    "Every second layer from the top down, those with an odd number when counted from 1.",
    "3.2",
    COUNT,
    extra_check=_check_alternate(1),
)
def drop_odd_alternate(num_layers: int, amount: int) -> Iterable[int]:
    """Drop the uppermost of the layers whose number, counted from 1, is odd (§3.2)."""
    return _alternate(num_layers, 1)[:amount]


def _check_symmetric(amount: int, num_layers: int) -> str | None:
    if (num_layers - amount) % 2:
        return (
            f"{amount} of {num_layers} layers would leave {num_layers - amount}, which cannot be equally "
            f"many at the top and at the bottom; write an {'odd' if num_layers % 2 else 'even'} number"
        )
    return None


@_register(
    "symmetric",
    "The middle layers, keeping equally many at the top and at the bottom.",
    "3.5",
    COUNT,
    extra_check=_check_symmetric,
)
def drop_symmetric(num_layers: int, amount: int) -> Iterable[int]:
    """Drop the middle layers, between equally many kept below and above (§3.5)."""
    kept_below = (num_layers - amount) // 2
    return reversed(range(kept_below, kept_below + amount))


@_register("custom", "The layers that the study lists.", "not in the paper", LAYERS)
def drop_custom(num_layers: int, amount: Sequence[int]) -> Iterable[int]:
    """Drop the listed layers, from the top down in whatever order they are listed: the label of a list is sorted."""
    return sorted(amount, reverse=True)


def _ranked(scores: Sequence[float], highest_first: bool = False) -> list[int]:
    """All layers by score, lowest first by default; of layers with equal scores the upper one first."""
    sign = -1 if highest_first else 1
    return sorted(range(len(scores)), key=lambda layer: (sign * scores[layer], -layer))


@_register(
    "contribution",
    "The layers that hardly change the [CLS] token's hidden state: mean cosine before and after above a threshold.",
    "3.4",
    THRESHOLD,
    score=CONTRIBUTION,
)
def drop_by_contribution(num_layers: int, amount: float, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers whose score is above the threshold `amount` (§3.4).

    A score is the mean cosine between the [CLS] token's hidden states before and after the layer. How many layers are
    dropped is an outcome, possibly none. Raises UserError when it would be all.
    """
    dropped = [layer for layer in _ranked(scores, highest_first=True) if scores[layer] > amount]
    if len(dropped) == num_layers:
        values = ", ".join(f"{score:.4f}" for score in scores)
        raise UserError(
            f"contribution: all {num_layers} layers score above the threshold {amount}, so none would "
            f"remain; raise the threshold (scores of layers 0 to {num_layers - 1}: {values})"
        )
    return dropped


@_register(
    "contribution-rank",
    "The layers that change the [CLS] token's hidden state least: highest mean cosine before and after.",
    "not in the paper, which sets a threshold on this score (3.4)",
    COUNT,
    score=CONTRIBUTION,
)
def drop_by_contribution_rank(num_layers: int, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers with the highest mean cosine; of equal ones the upper layer first."""
    return _ranked(scores, highest_first=True)[:amount]


@_register(
    "parameter-aggregation",
    "The layers whose final weights have the lowest mean magnitude.",
    "3.3",
    COUNT,
    score=PARAMETER_AGGREGATION,
)
def drop_by_parameter_aggregation(num_layers: int, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers whose weights have the lowest mean magnitude (§3.3); of equal ones the upper layer first."""
    return _ranked(scores)[:amount]


@_register(
    "parameter-variance",
    "The layers whose final weights have the lowest variance.",
    "3.3",
    COUNT,
    score=PARAMETER_VARIANCE,
)
def drop_by_parameter_variance(num_layers: int, amount: int, scores: Sequence[float]) -> Iterable[int]:
    """Drop the layers whose weights have the lowest variance (§3.3); of equal ones the upper layer first."""
    return _ranked(scores)[:amount]


@_register(
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


@_register(
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


@_register(
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
