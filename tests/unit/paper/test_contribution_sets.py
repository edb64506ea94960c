"""The overlap of sets of layers against chance, by hand."""

import numpy as np
import pytest
from test_claims import FULL, Arm, judged, of, verdict

from shallower.paper.contribution_sets import expected_overlap, jaccard, mean_overlap, overlap_p


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [({0, 1}, {1, 2}, 1 / 3), ({0}, {0}, 1), ({0}, {1}, 0), (set(), {1}, 0), (set(), set(), 1)],
)
def test_jaccard(first, second, expected):
    assert jaccard(first, second) == pytest.approx(expected)


def test_the_mean_is_over_pairs():
    # 1/3, 0 and 0.
    assert mean_overlap([{0, 1}, {1, 2}, {4, 5}]) == pytest.approx(1 / 9)


@pytest.mark.parametrize(
    ("sizes", "num_layers", "expected"),
    [
        # Of two pairs out of four layers, 1 in 6 shares none, 4 share one (of three), 1 is the same.
        ((2, 2), 4, 4 / 6 / 3 + 1 / 6),
        ((1, 1), 6, 1 / 6),
        ((0, 0), 6, 1),
        ((0, 2), 6, 0),
        # One of the two is always in three of three.
        ((3, 2), 3, 2 / 3),
    ],
)
def test_overlap_by_chance(sizes, num_layers, expected):
    assert expected_overlap(sizes, num_layers) == pytest.approx(expected)


def test_overlap_by_chance_is_what_random_sets_have():
    random, sizes = np.random.default_rng(5), (2, 4, 3)
    drawn = [mean_overlap([set(random.choice(8, size, replace=False)) for size in sizes]) for _ in range(4000)]
    assert expected_overlap(sizes, 8) == pytest.approx(np.mean(drawn), abs=0.01)


def test_p_is_that_of_the_draws():
    # Twice 1 in 66, the chance to draw the same pair of twelve layers again.
    assert overlap_p([{3, 5}, {3, 5}], 12) == pytest.approx(2 / 66, rel=0.15)
    # Two of six layers are different in 5 of 6 draws, and the same in 1: nothing to find in either case.
    assert overlap_p([{3}, {4}], 6) == 1.0
    assert overlap_p([{3}, {3}], 6) == pytest.approx(2 / 6, rel=0.05)
    # Never 0, also where no draw is as equal.
    same = [{0, 1, 2, 3, 4, 5}] * 5
    assert 0 < overlap_p(same, 12) < 0.001
    # Sets that avoid each other are as unlikely as they are.
    assert overlap_p([{0, 1, 2, 3, 4, 5}, {6, 7, 8, 9, 10, 11}], 12) < 0.01


def arms(kept: dict[str, str], num_layers: int, num_dropped: int) -> list[Arm]:
    """Full models, and what contribution-rank keeps on each task."""
    strategy = ("pretrained", "contribution-rank", num_dropped)
    return [
        arm
        for task, layers in kept.items()
        for arm in (
            Arm("mini", task, FULL, 90, num_layers=num_layers),
            Arm("mini", task, strategy, 80, kept=layers, num_layers=num_layers),
        )
    ]


@pytest.mark.parametrize(
    ("kept", "num_layers", "expected"),
    [
        # Of twelve, layers 2 and 4 on three tasks.
        (dict.fromkeys(("sst2", "qqp", "rte"), "0 1 3 5 6 7 8 9 10 11"), 12, "supported"),
        # Layers 4 and 5, 2 and 3, 0 and 1 of six.
        ({"sst2": "0 1 2 3", "qqp": "0 1 4 5", "rte": "2 3 4 5"}, 6, "not supported"),
        # Of six, the same one on two tasks: one chance in six.
        (dict.fromkeys(("sst2", "qqp"), "0 1 2 3 4"), 6, "undecided"),
        ({"sst2": "0 1 2 3 4"}, 6, "not tested"),
        # Nothing dropped is no choice.
        (dict.fromkeys(("sst2", "qqp", "rte"), "0 1 2 3 4 5"), 6, "not tested"),
    ],
)
def test_one_set_for_all_tasks(kept, num_layers, expected):
    num_dropped = num_layers - len(next(iter(kept.values())).split())
    frame = judged(arms(kept, num_layers, num_dropped), {"mini": None})
    assert verdict(frame, "contribution-sets")[0] == expected


def test_sets_that_were_scored_on_another_task_are_the_same_by_construction():
    kept = dict.fromkeys(("sst2", "qqp", "rte", "mrpc"), "0 1 3 5 6 7 8 9 10 11")
    elsewhere = [("mini", task, "pretrained", "contribution-rank", "2") for task in ("qqp", "rte", "mrpc")]
    found, reason = verdict(judged(arms(kept, 12, 2), {"mini": None}, scored_elsewhere=elsewhere), "contribution-sets")
    assert found == "not tested" and "by scores of their own" in reason
    # Those of two tasks that are left are compared.
    of_two = judged(arms(kept, 12, 2), {"mini": None}, scored_elsewhere=elsewhere[1:])
    assert set(of(of_two, "contribution-sets")["task"]) == {"2 tasks"}


def test_sets_that_share_less_than_half_are_not_one_even_if_above_chance():
    # Eight layers dropped of 24; any two tasks share five of eleven, more than the 8 / 3 of chance.
    shared = set(range(5))
    sets = [shared | set(range(5 + 3 * task, 8 + 3 * task)) for task in range(5)]
    kept = {
        task: " ".join(str(layer) for layer in range(24) if layer not in dropped)
        for task, dropped in zip(("sst2", "qqp", "rte", "mrpc", "qnli"), sets, strict=True)
    }
    frame = judged(arms(kept, 24, 8), {"mini": None})
    rows = of(frame, "contribution-sets")
    assert rows["outcome"].tolist() == ["holds", "opposite"]
    assert rows["effect"].tolist()[1] == pytest.approx(5 / 11 - 0.5)
    assert set(rows["verdict"]) == {"not supported"}
