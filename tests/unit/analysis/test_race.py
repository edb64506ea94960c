"""Subsets of layers are raced: the better half goes on."""

import pytest

from shallower.analysis.race import Trial, race, rounds


@pytest.mark.parametrize(
    ("contestants", "epochs", "expected"),
    [
        (8, 1.0, [(8, 0.25), (4, 0.5), (2, 1.0)]),
        (5, 2.0, [(5, 0.5), (3, 1.0), (2, 2.0)]),
        (2, 3.0, [(2, 3.0)]),
        (1, 3.0, []),
    ],
)
def test_rounds_halve_the_contestants_and_double_the_epochs(contestants, epochs, expected):
    assert rounds(contestants, epochs) == expected


def test_the_better_half_goes_on_and_the_last_one_wins():
    # (0,) starts best and is overtaken; (3,) is out at once.
    scores = {0.5: {(0,): 0.9, (1,): 0.8, (2,): 0.7, (3,): 0.1}, 1.0: {(0,): 0.85, (1,): 0.95}}
    asked = []

    def refine(subset, epochs):
        asked.append((subset, epochs))
        return Trial(subset, epochs, scores[epochs][subset], 0.0)

    winner, trials = race([(0,), (1,), (2,), (3,)], 1.0, refine)
    assert winner == (1,)
    assert asked == [((0,), 0.5), ((1,), 0.5), ((2,), 0.5), ((3,), 0.5), ((0,), 1.0), ((1,), 1.0)]
    assert [trial.subset for trial in trials] == [subset for subset, _ in asked]


def test_of_equal_scores_the_lower_loss_and_then_the_earlier_one_goes_on():
    losses = {(0,): 0.5, (1,): 0.4, (2,): 0.4}
    winner, _ = race([(0,), (1,), (2,)], 1.0, lambda subset, epochs: Trial(subset, epochs, 0.5, losses[subset]))
    assert winner == (1,)


def test_a_single_contestant_wins_without_a_training():
    assert race([(0, 2)], 1.0, lambda subset, epochs: pytest.fail("trained")) == ((0, 2), [])
