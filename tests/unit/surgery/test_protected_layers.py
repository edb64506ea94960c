"""Layers that every strategy keeps, and the strategy that keeps the pattern of kinds of attention."""

import math

import pytest

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.amounts import COUNT
from shallower.surgery.cadence import period, possible_amounts
from shallower.surgery.strategies import STRATEGIES, check_amount, drop_order
from shallower.surgery.subsets import (
    coverage,
    every_subset,
    least_evaluations,
    num_evaluations,
    num_evaluations_of_all,
    num_subsets,
    search,
    subset_label,
)

LOWEST = Stack(6, {0: "it has no norm"}, family="modernbert")
GLOBAL, LOCAL = "full_attention", "sliding_attention"


def every(pattern: str, family: str = "modernbert", protected=()) -> Stack:
    """Layers whose kinds are the letters G and L, from the bottom up."""
    kinds = tuple({"G": GLOBAL, "L": LOCAL}[letter] for letter in pattern)
    return Stack(len(kinds), dict.fromkeys(protected, "it must"), kinds, family)


def scores_of(strategy: str, stack: Stack, amount: int) -> dict | None:
    """Scores that ask for the lowest layer to go first."""
    score = STRATEGIES[strategy].score
    if score is None:
        return None
    numbers = range(stack.num_layers)
    if score.of_runs:
        kept = subset_label((0, *range(amount + 1, stack.num_layers)))
        return {"method": score.name, "num_layers": stack.num_layers, "winner": kept}
    if score.of_subsets:
        subsets = every_subset(Stack(stack.num_layers))
        losses = [-float(sum(subset)) for subset in subsets]
        measures = {"readout_loss": losses, "loss": losses, "score": [-loss for loss in losses]}
        labels = list(map(subset_label, subsets))
        return {
            "method": score.name,
            "num_layers": len(numbers),
            "is_complete": True,
            "kept_layers": labels,
            **measures,
        }
    if score.name == "angular-distance":
        return {"method": score.name, "scores": [[float(low) for low in range(6 - size)] for size in range(6)]}
    return {"method": score.name, "scores": [float(-layer if score.drops_highest else layer) for layer in numbers]}


@pytest.mark.parametrize("strategy", [name for name, entry in STRATEGIES.items() if entry.amount is COUNT])
def test_every_strategy_keeps_a_protected_layer_or_refuses_the_amount(strategy):
    stack = every("GLLGLL", protected=[0]) if STRATEGIES[strategy].needs_kinds else LOWEST
    dropped = {}
    for amount in range(1, 6):
        if check_amount(strategy, amount, stack) is None:
            dropped[amount] = drop_order(strategy, stack, amount, scores_of(strategy, stack, amount))
    assert dropped
    for amount, layers in dropped.items():
        assert len({*layers}) == len(layers) == amount
        assert 0 not in layers
    # Where the lowest layer would be the first to go, the next one is.
    if STRATEGIES[strategy].score or strategy == "bottom":
        assert dropped[1] == [1]


def test_a_threshold_spares_a_protected_layer():
    scores = {"method": "contribution", "scores": [0.99] * 6}
    assert drop_order("contribution", LOWEST, 0.9, scores) == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("strategy", "amount", "words"),
    [
        ("custom", [0, 3], "layer 0 would go, but must stay: it has no norm"),
        ("keep", [1, 2], "layer 0 would go, but must stay: it has no norm"),
        (
            "odd-alternate",
            3,
            "only 2 are odd and may go (layers that stay: 0 (it has no norm)), so drop at most 2",
        ),
    ],
)
def test_choices_without_a_protected_layer_are_refused_with_the_reason(strategy, amount, words):
    assert words in check_amount(strategy, amount, LOWEST)
    with pytest.raises(UserError, match=f"{strategy}: "):
        drop_order(strategy, LOWEST, amount)
    assert check_amount(strategy, amount, Stack(6)) is None


def test_a_studys_own_protection_adds_to_the_familys():
    stack = LOWEST.protecting([3])
    assert stack.staying == "0 (it has no norm) and 3 (the study protects it)"
    assert "at most 4 (layers that stay: 0 (it has no norm) and 3" in check_amount("top", 5, stack)
    assert drop_order("top", stack, 4) == [5, 4, 2, 1]
    assert "layer 3 would go" in check_amount("symmetric", 2, stack)
    assert "no 3 adjacent layers can go together" in check_amount("angular-distance", 3, stack)
    assert "there is no layer 9 to protect; the 6 layers are 0 to 5" in check_amount("top", 1, stack.protecting([9]))


@pytest.mark.parametrize("protected", [(), (0,), (4,), (0, 2)])
def test_subsets_without_a_protected_layer_are_not_counted(protected):
    stack = Stack(5).protecting(protected)
    subsets = every_subset(stack)
    by_hand = [subset for subset in every_subset(Stack(5)) if {*protected} <= {*subset}]
    assert sorted(subsets) == sorted(by_hand)
    assert num_subsets(stack) == len(by_hand)
    assert num_evaluations_of_all(stack) == num_evaluations(by_hand)
    for size, (found, total) in coverage(stack, by_hand).items():
        assert found == total == math.comb(5 - len(protected), size - len(protected))


@pytest.mark.parametrize("budget", [10_000, 400])
def test_a_search_scores_no_subset_without_a_protected_layer(budget):
    seen = []

    def score(subsets):
        seen.extend(subsets)
        return [float(sum(subset)) for subset in subsets]

    stack = Stack(10).protecting([0, 7])
    assert least_evaluations(stack) <= budget
    assert search(stack, False, budget, score) <= budget
    assert {0, 7} <= set.intersection(*map(set, seen))
    assert {len(subset) for subset in seen} == set(range(2, 11))


# --- cadence ---


@pytest.mark.parametrize(
    ("pattern", "amount", "kept"),
    [
        # ModernBERT-base and mmBERT: 22 layers, every third global, the top one too.
        ("GLL" * 7 + "G", 3, [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]),
        ("GLL" * 7 + "G", 12, [0, 1, 2, 6, 7, 8, 15, 16, 17, 21]),
        ("GLL" * 7 + "G", 18, [0, 1, 2, 21]),
        # The smallest Ettin: 7 layers.
        ("GLLGLLG", 3, [0, 1, 2, 6]),
        # Layers above the last global one go first.
        ("GLLGLL", 2, [0, 1, 2, 3]),
        # Gemma 3: five local layers, then a global one.
        ("LLLLLG" * 4 + "LL", 2, list(range(24))),
        ("LLLLLG" * 4 + "LL", 14, [*range(6), *range(18, 24)]),
        ("LG" * 3, 4, [0, 1]),
    ],
)
def test_cadence_keeps_the_pattern_and_a_global_top_layer(pattern, amount, kept):
    stack = every(pattern)
    order = drop_order("cadence", stack, amount)
    assert order == sorted(order, reverse=True)
    assert [layer for layer in range(len(pattern)) if layer not in order] == kept
    kinds = "".join(pattern[layer] for layer in kept)
    assert kinds[-1] == "G" and pattern.startswith(kinds)


@pytest.mark.parametrize("pattern", ["GLL" * 9 + "G", "LLLLLG" * 3 + "LLL", "LG" * 13, "GL" * 4, "G" + "LLG" * 3])
def test_cadence_for_every_amount(pattern):
    stack = every(pattern)
    for amount in range(1, len(pattern)):
        problem = check_amount("cadence", amount, stack)
        assert (problem is None) == (amount in possible_amounts(stack))
        if problem is None:
            dropped = drop_order("cadence", stack, amount)
            kinds = "".join(kind for layer, kind in enumerate(pattern) if layer not in dropped)
            assert len({*dropped}) == amount and kinds[-1] == "G" and pattern.startswith(kinds)
            assert period(kinds) <= period(pattern)


@pytest.mark.parametrize(
    ("stack", "amount", "words"),
    [
        (Stack(6, family="bert"), 2, "the layers of bert models are all of one kind of attention"),
        (every("GGGG", "qwen2"), 2, "the layers of qwen2 models are all of one kind of attention"),
        (every("GLL" * 7 + "G"), 4, "the pattern of 3 layers goes on .*; drop 3, 6, 9, 12, 15, 18"),
        (every("LGLLLGLG"), 3, "choose another strategy"),
        (every("GLL" * 7 + "G", protected=[10]), 3, "layer 10 would go, but must stay"),
    ],
)
def test_what_cadence_refuses(stack, amount, words):
    with pytest.raises(UserError, match=words):
        drop_order("cadence", stack, amount)


def test_of_a_model_that_is_not_here_nothing_is_said_of_kinds():
    assert check_amount("cadence", 4, Stack(22, is_assumed=True)) is None
    assert "at most 21" in check_amount("cadence", 22, Stack(22, is_assumed=True))
