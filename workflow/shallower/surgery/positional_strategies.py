"""Strategies by the layers' positions. Section numbers are explained in `shallower.surgery.strategies`."""

from collections.abc import Callable, Iterable, Sequence

from shallower.surgery.amounts import COUNT, KEPT_LAYERS, LAYERS
from shallower.surgery.strategy import Strategy, registering

POSITIONAL: dict[str, Strategy] = {}
register = registering(POSITIONAL)


@register("top", "The upper layers, next to the task's head.", "3.1", COUNT)
def drop_top(num_layers: int, amount: int) -> Iterable[int]:
    """Drop the upper layers (§3.1)."""
    return reversed(range(num_layers - amount, num_layers))


@register("bottom", "The lower layers, next to the embeddings.", "3.6", COUNT)
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


@register(
    "even-alternate",
    "Every second layer from the top down, those with an even number when counted from 1.",
    "3.2",
    COUNT,
    extra_check=_check_alternate(0),
)
def drop_even_alternate(num_layers: int, amount: int) -> Iterable[int]:
    """Drop the uppermost of the layers whose number, counted from 1, is even (§3.2)."""
    return _alternate(num_layers, 0)[:amount]


@register(
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


@register(
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


@register("custom", "The layers that the study lists.", "not in the paper", LAYERS)
def drop_custom(num_layers: int, amount: Sequence[int]) -> Iterable[int]:
    """Drop the listed layers, from the top down in whatever order they are listed: the label of a list is sorted."""
    return sorted(amount, reverse=True)


@register("keep", "All layers but those that the study lists.", "not in the paper", KEPT_LAYERS)
def keep_only(num_layers: int, amount: Sequence[int]) -> Iterable[int]:
    """Keep the listed layers; the others go from the top down."""
    return (layer for layer in reversed(range(num_layers)) if layer not in amount)
