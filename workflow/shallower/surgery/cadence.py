"""Whole periods of a model whose layers take turns: some attend to all tokens, the others to those near by."""

from collections.abc import Sequence

from shallower.models.stack import Stack

# The kind of attention to all tokens, in transformers' words.
GLOBAL = "full_attention"


def period(kinds: Sequence[str]) -> int:
    """After how many layers the kinds repeat themselves, from the bottom to the top; all of them where they do not."""
    steps = range(1, len(kinds) + 1)
    return next(step for step in steps if all(one == other for one, other in zip(kinds, kinds[step:], strict=False)))


def cadence_problem(amount: int, stack: Stack) -> str | None:
    """Why so many layers cannot go by whole periods, and how many can; None where they can."""
    if len(set(stack.kinds)) < 2:
        return (
            f"the layers of {stack.family} models are all of one kind of attention, so that there is no pattern to "
            "keep; choose another strategy, or limit the entry to other models"
        )
    if GLOBAL not in stack.kinds:
        return f"no layer attends to all tokens (kinds of layers: {', '.join(dict.fromkeys(stack.kinds))})"
    possible = possible_amounts(stack)
    if amount not in possible:
        words = f"drop {', '.join(map(str, possible))}" if possible else "choose another strategy"
        return (
            f"{amount} of {stack.num_layers} layers cannot go so that the pattern of {period(stack.kinds)} layers goes "
            f"on and the top one attends to all tokens; {words}"
        )
    return stack.problem(cadence_order(stack, amount))


def possible_amounts(stack: Stack) -> list[int]:
    """The numbers of layers that can go: those above the last global layer, and some whole periods."""
    step, surplus = period(stack.kinds), _surplus(stack)
    amounts = range(surplus, stack.num_layers, step)
    # One whole period stays at the bottom.
    return [amount for amount in amounts if amount > 0 and stack.num_layers - amount >= step]


def cadence_order(stack: Stack, amount: int) -> list[int]:
    """The layers that go, from the top down: those above the last global one, then whole periods.

    The lowest period stays, and so does what is above the last whole one or, where nothing is, the last one itself;
    the other periods that stay are spread evenly between them.
    """
    step, surplus = period(stack.kinds), _surplus(stack)
    rest = stack.num_layers - surplus
    blocks = [list(range(start, min(start + step, rest))) for start in range(0, rest, step)]
    kept = len(blocks) - (amount - surplus) // step
    # Rounded half up; a single block is the lowest.
    places = {(2 * place * (len(blocks) - 1) + kept - 1) // (2 * max(1, kept - 1)) for place in range(kept)}
    dropped = [layer for place, block in enumerate(blocks) if place not in places for layer in block]
    return sorted([*dropped, *range(rest, stack.num_layers)], reverse=True)


def _surplus(stack: Stack) -> int:
    """How many layers are above the last global one."""
    return stack.num_layers - 1 - max(layer for layer, kind in enumerate(stack.kinds) if kind == GLOBAL)
