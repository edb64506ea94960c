"""Strategies: rules that choose the layers to drop. Each is a small pure function, registered once.

Section numbers are those of Sajjad, Dalvi, Durrani and Nakov, "On the effect of dropping layers of
pre-trained transformer models" (Computer Speech & Language, 2023; arXiv 2004.03844), which counts layers from
1; here they are 0-based from the bottom.

To add a strategy, write its function in the module of its kind and register it with the kind of amount that it takes.
The function takes the number of layers, the amount and, if the strategy goes by scores, these; it returns the dropped
layers in the order in which they would be dropped one by one. A strategy with a new layer score also needs the script
that computes the score, named in its `LayerScore`, and a rule that runs the script. Everything else reads `STRATEGIES`.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from shallower.core.errors import UserError
from shallower.surgery.positional_strategies import POSITIONAL
from shallower.surgery.scored_strategies import SCORED
from shallower.surgery.strategy import LayerScore, Strategy
from shallower.surgery.subset_strategies import BY_SUBSETS

STRATEGIES: dict[str, Strategy] = POSITIONAL | SCORED | BY_SUBSETS


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
    parsed = chosen.score.parse(_of_method(strategy, chosen.score, scores), num_layers, protected)
    return list(chosen.function(num_layers, amount, parsed))


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
