"""Subsets of a model's layers: which ones are scored, and how all share the layers that they begin with.

A subset is the ascending tuple of the layers (0-based from the bottom) that a shallower model keeps. Subsets with the
same lower layers have the same hidden states up to there, so that subsets form a tree: below each of them are those
that it begins. A walk over the tree runs one layer for each of its nodes, and holds the hidden states of one path only.
All 2^L - 1 subsets of L layers take as many layer evaluations, (2^L - 1) / L forward passes of the full model, instead
of L * 2^(L - 1) one by one.

A subset without a layer that every model of the family needs (`Stack.protected`) is no model, and is left out.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import combinations
from typing import TypeVar

from shallower.core.errors import UserError
from shallower.models.stack import Stack

Subset = tuple[int, ...]
States = TypeVar("States")
Outputs = TypeVar("Outputs")


def subset_label(subset: Subset) -> str:
    """A subset as tables show it, such as "0 1 4"."""
    return " ".join(map(str, subset))


def walk(
    subsets: Iterable[Subset], run: Callable[[int, States | None], tuple[States, Outputs]]
) -> Iterator[tuple[Subset, Outputs]]:
    """Subsets with what each gives, in the order of the walk: before each subset all those that it begins.

    `run` applies a layer to the hidden states that the layers below it gave (None: to the embeddings), and returns the
    states after it, and the outputs of a model that ends there. It is called once for each node of the tree
    (`num_evaluations`). At most as many states are alive as the longest subset has layers.
    """
    path: list[tuple[int, States, Outputs]] = []
    for subset in sorted(set(subsets), key=lambda subset: (*subset, math.inf)):
        shared = _num_shared(subset, [layer for layer, _, _ in path])
        del path[shared:]
        for layer in subset[shared:]:
            states, outputs = run(layer, path[-1][1] if path else None)
            path.append((layer, states, outputs))
        yield subset, path[-1][2]


def num_evaluations(subsets: Iterable[Subset]) -> int:
    """How many layer evaluations a walk over some subsets takes: the number of their beginnings."""
    return len({subset[:length] for subset in subsets for length in range(1, len(subset) + 1)})


def every_subset(stack: Stack) -> list[Subset]:
    """All subsets of at least one layer with the protected ones, 2^L - 1 of them where none is protected."""
    protected = sorted(stack.protected)
    others = stack.droppable
    return [
        tuple(sorted([*protected, *subset]))
        for size in range(0 if protected else 1, len(others) + 1)
        for subset in combinations(others, size)
    ]


def num_subsets(stack: Stack) -> int:
    """How many subsets there are."""
    return int(2 ** len(stack.droppable)) - (not stack.protected)


def every_depth(num_layers: int) -> list[Subset]:
    """The subsets of a model whose layers share their weights: of each depth one, of its lowest layers."""
    return [tuple(range(depth)) for depth in range(1, num_layers + 1)]


def coverage(stack: Stack, subsets: Iterable[Subset]) -> dict[int, tuple[int, int]]:
    """For each number of kept layers below the full one, how many of its subsets are among some, and how many exist."""
    counts = Counter(len(subset) for subset in set(subsets))
    fixed, others = len(stack.protected), len(stack.droppable)
    sizes = range(max(1, fixed), stack.num_layers)
    return {size: (counts[size], math.comb(others, size - fixed)) for size in sizes}


def without_one(subsets: Iterable[Subset], protected: Collection[int] = ()) -> list[Subset]:
    """All subsets that one layer less, none of the protected, makes of some, each once; none of those with one."""
    return sorted(
        {
            subset[:at] + subset[at + 1 :]
            for subset in subsets
            if len(subset) > 1
            for at, layer in enumerate(subset)
            if layer not in protected
        }
    )


def search(
    stack: Stack,
    shares_layers: bool,
    budget: int,
    score: Callable[[Sequence[Subset]], Sequence[float]],
) -> int:
    """Score subsets of layers within a budget of layer evaluations; returns how many were used.

    `score` scores subsets by one walk; the lower a score, the better. It is called with all subsets where the budget
    allows, and with all depths where layers share their weights. Otherwise a beam search drops layers one by one: of
    each size the best subsets so far are kept, as many as an equal share of what is left of the budget allows for, and
    all that one layer less makes of them are scored. The full model is always scored first.
    Raises UserError where the budget is too small for a beam of one subset.
    """
    num_layers = stack.num_layers
    full = tuple(range(num_layers))
    if shares_layers or num_evaluations_of_all(stack) <= budget:
        subsets = every_depth(num_layers) if shares_layers else every_subset(stack)
        score(subsets)
        return num_evaluations(subsets)
    if problem := budget_problem(stack, budget):
        raise UserError(problem)
    score([full])
    used, ranked = num_layers, [full]
    for size in range(num_layers - 1, max(1, len(stack.protected)) - 1, -1):
        # What the beams of one subset that follow take at least is not for this one.
        available = budget - used - _least_from(size)
        share = (budget - used) // size
        candidates = _widest(ranked, min(available, max(share, _least_of(size + 1))), stack.protected)
        scores = score(candidates)
        used += num_evaluations(candidates)
        ranked = [candidates[at] for at in sorted(range(len(candidates)), key=lambda at: (scores[at], candidates[at]))]
    return used


def num_evaluations_of_all(stack: Stack) -> int:
    """Layer evaluations that all subsets of a model's layers take.

    A node of the tree is a layer on some of those below it, of which the protected ones are always there.
    """
    number, below = 0, 1
    for layer in range(stack.num_layers):
        number += below
        below *= 1 if layer in stack.protected else 2
    return number


def least_evaluations(stack: Stack) -> int:
    """Layer evaluations that suffice for the narrowest search: all subsets, or a beam of one, whichever is less.

    With protected layers a beam of one takes fewer.
    """
    return min(num_evaluations_of_all(stack), stack.num_layers + _least_from(stack.num_layers))


def budget_problem(stack: Stack, budget: int) -> str | None:
    """What is wrong with a budget of layer evaluations for a model's layers; None if nothing is."""
    if budget >= (least := least_evaluations(stack)):
        return None
    return f"{budget} layer evaluations are too few for {stack.num_layers} layers; ask for at least {least}"


def _widest(ranked: Sequence[Subset], available: int, protected: Collection[int]) -> list[Subset]:
    """What one layer less makes of the first subsets, of as many as the available evaluations allow, at least one."""
    candidates = without_one(ranked[:1], protected)
    for width in range(2, len(ranked) + 1):
        wider = without_one(ranked[:width], protected)
        if num_evaluations(wider) > available:
            break
        candidates = wider
    return candidates


def _least_of(size: int) -> int:
    """Evaluations of all subsets that one layer less makes of one of `size` layers.

    Without the last layer there are size - 1 nodes; without the layer at place p, size - 1 - p further ones.
    """
    return size - 1 + size * (size - 1) // 2 if size > 1 else 0


def _least_from(size: int) -> int:
    """Evaluations of a beam of one subset from a subset of `size` layers down to one layer."""
    return sum(_least_of(smaller) for smaller in range(2, size + 1))


def _num_shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many entries two sequences have in common from their beginning."""
    return next(
        (at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other),
        min(len(first), len(second)),
    )
