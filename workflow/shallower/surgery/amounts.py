"""Kinds of amounts: how a study says how much a strategy drops."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AmountKind:
    """What an amount is.

    Attributes:
        description: a few words, with an article.
        problem: (amount, num_layers) -> what is wrong with an amount, or None; the number of layers is None while it is
            unknown.
        num_dropped: (amount, num_layers) -> how many layers an amount drops; None where that depends on the layers'
            scores, or on the number of layers while it is unknown.
        names_layers: whether an amount is a set of layers, so that amounts have no order.
    """

    description: str
    problem: Callable[[Any, int | None], str | None]
    num_dropped: Callable[[Any, int | None], int | None]
    names_layers: bool = False


def _count_problem(amount: Any, num_layers: int | None) -> str | None:
    if type(amount) is not int or amount < 1:
        return f"{amount!r} is not a number of layers; write a whole number, at least 1"
    if num_layers is not None and amount >= num_layers:
        return f"{amount} of {num_layers} layers cannot be dropped; drop at most {num_layers - 1}"
    return None


def _threshold_problem(amount: Any, _num_layers: int | None) -> str | None:
    if type(amount) not in (int, float) or not 0 < amount < 1:
        return f"{amount!r} is not a threshold; write a number between 0 and 1, such as 0.95"
    return None


def _layers_problem(amount: Any, num_layers: int | None) -> str | None:
    if not isinstance(amount, list) or not amount or any(type(layer) is not int or layer < 0 for layer in amount):
        return f"{amount!r} is not a list of layers; write their indices from 0, the lowest, such as [3, 5]"
    if len(set(amount)) < len(amount):
        return f"{amount} names a layer twice; name each one once"
    if num_layers is None:
        return None
    if max(amount) >= num_layers:
        return f"{amount}: there is no layer {max(amount)}; the {num_layers} layers are 0 to {num_layers - 1}"
    if len(amount) == num_layers:
        return f"{amount} are all {num_layers} layers; leave out at least one"
    return None


def _num_others(kept: Any, num_layers: int | None) -> int | None:
    return None if num_layers is None else num_layers - len(kept)


COUNT = AmountKind("a number of layers", _count_problem, lambda amount, _: amount)
THRESHOLD = AmountKind("a threshold between 0 and 1", _threshold_problem, lambda amount, _: None)
LAYERS = AmountKind(
    "a list of layers, 0-based from the bottom", _layers_problem, lambda amount, _: len(amount), names_layers=True
)
KEPT_LAYERS = AmountKind(
    "a list of layers to keep, 0-based from the bottom", _layers_problem, _num_others, names_layers=True
)
AMOUNT_KINDS = (COUNT, THRESHOLD, LAYERS, KEPT_LAYERS)
