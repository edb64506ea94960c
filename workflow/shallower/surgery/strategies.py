"""Strategies: rules that choose the layers to drop. Each is a small pure function, registered once.

Section numbers are those of Sajjad, Dalvi, Durrani and Nakov, "On the effect of dropping layers of
pre-trained transformer models" (Computer Speech & Language, 2023; arXiv 2004.03844), which counts layers from
1; here they are 0-based from the bottom.

To add a strategy, write its function in the module of its kind and register it with the kind of amount that it takes.
The function takes the model's layers (`Stack`), the amount and, if the strategy goes by scores, these; it returns the
dropped layers, none of which is protected, in the order in which they would be dropped one by one. A strategy with a
new layer score also needs the script that computes the score, named in its `LayerScore`, and a rule that runs the
script. Everything else reads `STRATEGIES`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.amounts import COUNT
from shallower.surgery.positional_strategies import POSITIONAL
from shallower.surgery.scored_strategies import SCORED
from shallower.surgery.strategy import LayerScore, Strategy
from shallower.surgery.subset_strategies import BY_SUBSETS

STRATEGIES: dict[str, Strategy] = POSITIONAL | SCORED | BY_SUBSETS


def drop_order(
    strategy: str,
    stack: Stack,
    amount: Any,
    scores: Mapping[str, Any] | None = None,
) -> list[int]:
    """Layers that a strategy drops, 0-based, in the order in which they are dropped one by one.

    That is from the top down, for `bottom` from the bottom up, and by rank where layers are scored.
    `scores` is the content of a scores file: {"method": name, "scores": [one number per layer], ...}, or of one of
    subsets, as `shallower.surgery.subset_choice.SubsetTable` reads it. Every strategy keeps the protected layers.
    Raises UserError for an unknown strategy, an amount or scores that do not fit, and when no layer would remain.
    """
    chosen = _strategy(strategy)
    if problem := check_amount(strategy, amount, stack):
        raise UserError(f"{strategy}: {problem}")
    if chosen.score is None:
        return list(chosen.function(stack, amount))
    parsed = chosen.score.parse(_of_method(strategy, chosen.score, scores), stack)
    return list(chosen.function(stack, amount, parsed))


def check_amount(strategy: str, amount: Any, stack: Stack | None = None) -> str | None:
    """What is wrong with an amount and how to fix it; None if nothing is.

    Checks that need the model's layers are skipped while these are unknown (None). Raises UserError for an unknown
    strategy.
    """
    chosen = _strategy(strategy)
    if stack is None:
        return chosen.amount.problem(amount, None)
    return (
        chosen.amount.problem(amount, stack.num_layers)
        or _protection_problem(chosen, amount, stack)
        or (None if chosen.needs_kinds and stack.is_assumed else chosen.extra_check(amount, stack))
    )


def _protection_problem(chosen: Strategy, amount: Any, stack: Stack) -> str | None:
    """What is wrong with layers that must stay while an amount goes."""
    if not stack.protected:
        return None
    num_layers, protected = stack.num_layers, len(stack.protected)
    if (highest := max(stack.protected)) >= num_layers:
        return f"there is no layer {highest} to protect; the {num_layers} layers are 0 to {num_layers - 1}"
    if chosen.amount is COUNT and amount > num_layers - protected:
        return (
            f"{amount} of {num_layers} layers cannot go while {protected} are protected; drop at most "
            f"{num_layers - protected} (layers that stay: {stack.staying})"
        )
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
