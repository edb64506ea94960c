"""The tree of subsets of layers: each prefix is run once, whatever is asked for, and a search keeps to its budget."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.subsets import (
    budget_problem,
    every_depth,
    every_subset,
    least_evaluations,
    num_evaluations,
    num_evaluations_of_all,
    search,
    subset_label,
    walk,
    without_one,
)

SUBSETS = st.sets(st.sets(st.integers(0, 6), min_size=1).map(lambda layers: tuple(sorted(layers))), max_size=40)


class Recorder:
    """Runs layers whose states are the layers run so far, and counts."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, ...]] = []

    def __call__(self, layer, states):
        after = (*(states or ()), layer)
        self.runs.append(after)
        return after, after


@given(SUBSETS)
def test_each_subset_is_seen_once_with_its_own_layers_and_no_prefix_is_run_twice(subsets):
    run = Recorder()
    seen = dict(walk(subsets, run))
    assert seen == {subset: subset for subset in subsets}
    assert len(run.runs) == len(set(run.runs)) == num_evaluations(subsets)


def test_all_subsets_take_one_evaluation_each_and_the_full_model_comes_first():
    for num_layers in range(1, 9):
        run = Recorder()
        order = [subset for subset, _ in walk(every_subset(Stack(num_layers)), run)]
        assert order[0] == tuple(range(num_layers))
        assert len(order) == len(run.runs) == num_evaluations_of_all(Stack(num_layers)) == 2**num_layers - 1
        assert max(map(len, run.runs)) == num_layers


def test_no_more_states_are_alive_than_the_longest_subset_has_layers():
    alive, most = 0, 0

    class State:
        def __init__(self):
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

    for _ in walk(every_subset(Stack(6)), lambda layer, states: (State(), None)):
        pass
    assert most <= 6 + 1  # while a new one is made, the one that it takes the place of may still be there


def test_subsets_and_depths():
    assert every_subset(Stack(3)) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    assert every_depth(3) == [(0,), (0, 1), (0, 1, 2)]
    assert without_one([(0, 1, 4), (0, 1, 2), (3,)]) == [(0, 1), (0, 2), (0, 4), (1, 2), (1, 4)]
    assert subset_label((0, 3, 11)) == "0 3 11"


def test_evaluations_are_nodes_of_the_tree():
    assert num_evaluations([(0, 1, 2), (0, 1, 3), (0, 4)]) == 5  # 0, 01, 012, 013, 04
    assert num_evaluations([(2,)]) == 1


def searched(num_layers, budget, score, shares=False):
    """All subsets that a search scored, one list for each call, and the evaluations that it reports."""
    calls = []

    def scored(subsets):
        calls.append(list(subsets))
        return [score(subset) for subset in subsets]

    used = search(Stack(num_layers), shares, budget, scored)
    assert used == sum(map(num_evaluations, calls))
    assert used <= budget
    assert calls[0][0] == tuple(range(num_layers)) or len(calls) == 1
    return calls, used


def test_the_budget_decides_between_all_subsets_and_a_beam():
    (every,), used = searched(5, 31, len)
    assert (sorted(every), used) == (sorted(every_subset(Stack(5))), 31)
    calls, _ = searched(8, 254, len)
    assert len(calls) == 8
    assert [{len(subset) for subset in call} for call in calls] == [{size} for size in range(8, 0, -1)]


def test_shared_layers_have_one_subset_for_each_depth():
    (depths,), used = searched(24, 24, len, shares=True)
    assert (depths, used) == (every_depth(24), 24)


@pytest.mark.parametrize("num_layers", [7, 12, 24])
def test_the_narrowest_beam_is_greedy_and_fits_the_least_budget(num_layers):
    # By hand: drop the layer whose own number is nearest to 3, again and again.
    def score(subset):
        return sum(1 / (1 + abs(layer - 3)) for layer in subset)

    least = least_evaluations(Stack(num_layers))
    if least == num_evaluations_of_all(Stack(num_layers)):
        return
    calls, used = searched(num_layers, least, score)
    assert used == least
    best = [min(call, key=score) for call in calls]
    kept = list(range(num_layers))
    for found in best:
        assert list(found) == kept
        kept.remove(
            min(kept, key=lambda layer: (abs(layer - 3), layer if layer < 3 else -layer)) if len(kept) > 1 else kept[0]
        )


@given(st.integers(7, 10), st.integers(0, 600), st.randoms(use_true_random=False))
def test_beams_keep_to_their_budget_and_score_each_size(num_layers, extra, random):
    budget = least_evaluations(Stack(num_layers)) + extra
    calls, _ = searched(num_layers, budget, lambda subset: random.random())
    assert {len(subset) for call in calls for subset in call} == set(range(1, num_layers + 1))


def test_wider_budgets_make_wider_beams():
    widths = [max(map(len, searched(10, budget, sum)[0])) for budget in (least_evaluations(Stack(10)), 500, 900)]
    assert widths == sorted(set(widths))


def test_a_budget_that_is_too_small_is_refused_with_what_is_needed():
    least = least_evaluations(Stack(12))
    # Twelve layers of the full model and, for sizes 12 to 2, the nodes of all subsets of one layer less.
    assert least == 12 + sum(num_evaluations(list(combinations(range(size), size - 1))) for size in range(2, 13))
    assert budget_problem(Stack(12), least) is None
    assert f"ask for at least {least}" in budget_problem(Stack(12), least - 1)
    assert budget_problem(Stack(3), 7) is None
    with pytest.raises(UserError, match="too few for 12 layers"):
        search(Stack(12), False, 10, lambda subsets: [0.0 for _ in subsets])
