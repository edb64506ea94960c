"""Strategies by the layers' positions. Section numbers are explained in `shallower.surgery.strategies`."""

from collections.abc import Callable, Iterable, Sequence

from shallower.models.stack import Stack
from shallower.surgery.amounts import COUNT, KEPT_LAYERS, LAYERS
from shallower.surgery.cadence import cadence_order, cadence_problem
from shallower.surgery.strategy import Strategy, registering

POSITIONAL: dict[str, Strategy] = {}
register = registering(POSITIONAL)


@register("top", "The upper layers, next to the task's head.", "3.1", COUNT)
def drop_top(stack: Stack, amount: int) -> Iterable[int]:
    """Drop the upper layers (§3.1)."""
    return reversed(stack.droppable[-amount:])


@register("bottom", "The lower layers, next to the embeddings.", "3.6", COUNT)
def drop_bottom(stack: Stack, amount: int) -> Iterable[int]:
    """Drop the lower layers (§3.6)."""
    return stack.droppable[:amount]


def _alternate(stack: Stack, parity: int) -> list[int]:
    """Every second layer from the top down: those whose number, counted from 1, is even (parity 0) or odd (1)."""
    return [layer for layer in reversed(stack.droppable) if (layer + 1) % 2 == parity]


def _check_alternate(parity: int) -> Callable[[int, Stack], str | None]:
    def check(amount: int, stack: Stack) -> str | None:
        available = len(_alternate(stack, parity))
        if amount > available:
            kind = ("even", "odd")[parity]
            may_go = f" and may go (layers that stay: {stack.staying})" if stack.protected else ""
            return (
                f"{amount} layers; of {stack.num_layers}, only {available} are {kind}{may_go}, so drop at most "
                f"{available}"
            )
        return None

    return check


@register(
    "even-alternate",
    "Every second layer from the top down, those with an even number when counted from 1.",
    "3.2",
    COUNT,
    extra_check=_check_alternate(0),
)
def drop_even_alternate(stack: Stack, amount: int) -> Iterable[int]:
    """Drop the uppermost of the layers whose number, counted from 1, is even (§3.2)."""
    return _alternate(stack, 0)[:amount]


@register(
    "odd-alternate",
    "Every second layer from the top down, those with an odd number when counted from 1.",
    "3.2",
    COUNT,
    extra_check=_check_alternate(1),
)
def drop_odd_alternate(stack: Stack, amount: int) -> Iterable[int]:
    """Drop the uppermost of the layers whose number, counted from 1, is odd (§3.2)."""
    return _alternate(stack, 1)[:amount]


def _check_symmetric(amount: int, stack: Stack) -> str | None:
    num_layers = stack.num_layers
    if (num_layers - amount) % 2:
        return (
            f"{amount} of {num_layers} layers would leave {num_layers - amount}, which cannot be equally "
            f"many at the top and at the bottom; write an {'odd' if num_layers % 2 else 'even'} number"
        )
    return stack.problem(_middle(stack, amount))


def _middle(stack: Stack, amount: int) -> range:
    """So many layers, between equally many below and above."""
    kept_below = (stack.num_layers - amount) // 2
    return range(kept_below, kept_below + amount)


@register(
    "symmetric",
    "The middle layers, keeping equally many at the top and at the bottom.",
    "3.5",
    COUNT,
    extra_check=_check_symmetric,
)
def drop_symmetric(stack: Stack, amount: int) -> Iterable[int]:
    """Drop the middle layers, between equally many kept below and above (§3.5)."""
    return reversed(_middle(stack, amount))


@register(
    "cadence",
    "Whole periods of layers with global and local attention, spread evenly; the top layer stays a global one.",
    "not in the paper",
    COUNT,
    extra_check=cadence_problem,
    needs_kinds=True,
)
def drop_cadence(stack: Stack, amount: int) -> Iterable[int]:
    """Drop whole periods, so that kinds of attention take turns as before and the top layer attends to all tokens.

    Source: this project, after models whose layers take turns, such as ModernBERT (Warner et al., "Smarter, better,
    faster, longer", 2024; arXiv 2412.13663), section 2.1: every third layer is global, and so is the last.
    """
    return cadence_order(stack, amount)


@register(
    "custom",
    "The layers that the study lists.",
    "not in the paper",
    LAYERS,
    extra_check=lambda amount, stack: stack.problem(amount),
)
def drop_custom(_stack: Stack, amount: Sequence[int]) -> Iterable[int]:
    """Drop the listed layers, from the top down in whatever order they are listed: the label of a list is sorted."""
    return sorted(amount, reverse=True)


@register(
    "keep",
    "All layers but those that the study lists.",
    "not in the paper",
    KEPT_LAYERS,
    extra_check=lambda amount, stack: stack.problem(_others(stack, amount)),
)
def keep_only(stack: Stack, amount: Sequence[int]) -> Iterable[int]:
    """Keep the listed layers; the others go from the top down."""
    return _others(stack, amount)


def _others(stack: Stack, kept: Sequence[int]) -> list[int]:
    return [layer for layer in reversed(range(stack.num_layers)) if layer not in kept]
