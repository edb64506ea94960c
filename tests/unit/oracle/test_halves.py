"""What is best is chosen on one half and measured on the other."""

import numpy as np
import pytest
from made_up import half_scores

from shallower.evaluation.metrics import METRICS
from shallower.oracle import halves
from shallower.oracle.names import HALVINGS


def test_the_best_of_one_half_is_measured_on_the_other():
    # Three models, one seed: on the first half the last is best, on the second the first.
    scores = half_scores([[[60], [65], [70]], [[80], [70], [75]]])
    best = scores.best([[0, 1, 2]])
    assert best[0, :, 0].tolist() == [0, 2]  # for the first half by the second, and the other way round
    # 60 and 75 against model 1 with 65 and 70: (-5 + 5) / 2.
    found = scores.difference(best, scores.always([1]))
    assert found.value == pytest.approx(0)
    assert found.interval(0.95) == pytest.approx((0, 0))


def test_only_candidates_are_chosen_and_of_equal_ones_the_first():
    scores = half_scores([[[9], [7], [7]], [[9], [7], [7]]])
    assert set(scores.best([[1, 2]]).ravel()) == {1}
    assert set(scores.best([[2, 1]]).ravel()) == {2}


def test_with_several_seeds_the_best_is_chosen_by_the_others():
    # Model 0 has luck with the first seed, model 1 with the second; 2 is second best with both.
    of_half = [[90, 10], [10, 90], [50, 50]]
    scores = half_scores([of_half, of_half])
    assert scores.best([[0, 1, 2]] * 2)[0, 0].tolist() == [1, 0]
    # Chosen by luck, it loses 40 points to model 2.
    assert scores.difference(scores.best([[0, 1, 2]] * 2), scores.always([2, 2])).value == -40


def test_each_seed_may_have_its_own_candidates_and_picks():
    scores = half_scores([[[1, 10], [2, 20]], [[1, 10], [2, 20]]])
    best = scores.best([[0], [1]])
    assert best[3, 1].tolist() == [0, 1]
    assert scores.difference(best, scores.always([1, 0])).value == pytest.approx(((1 - 2) + (20 - 10)) / 2)


def test_several_seeds_are_resampled():
    # The difference is 0 with one seed and 10 with the other: their mean is 0, 5 or 10 in samples.
    scores = half_scores([[[50, 50], [50, 60]], [[50, 50], [50, 60]]])
    found = scores.difference(scores.always([1, 1]), scores.always([0, 0]))
    assert found.value == 5
    assert set(found.samples) == {0, 5, 10}


def test_the_best_of_models_that_are_all_the_same_has_no_advantage():
    """Forty models that guess: the best on all examples seems better by far, the best of other examples does not."""
    random = np.random.default_rng(1)
    labels = random.integers(2, size=400)
    answers = random.integers(2, size=(40, 1, 400))
    scores = halves.half_scores(METRICS["accuracy"], labels, answers, 100)
    apparent = 100 * (answers[:, 0] == labels).mean(axis=1)
    assert apparent.max() - apparent.mean() > 4
    everyone = [scores.difference(scores.best([range(40)]), scores.always([one])).value for one in range(40)]
    assert abs(np.mean(everyone)) < 2


def test_halves_hold_each_example_once_and_resamples_stay_within_them():
    # Of 21 examples the first is the only one that is answered rightly.
    answers = np.zeros((1, 1, 21), dtype=int)
    labels = np.array([0] + [1] * 20)
    found = halves.half_scores(METRICS["accuracy"], labels, answers, 50)
    shares = found.values[:, :, 0, 0] * np.array([10, 11]) / 100
    assert shares.sum(axis=1) == pytest.approx(1)
    for sample in range(50):
        mine = found.values[found.halving[sample], :, 0, 0]
        assert (found.samples[:, 0, 0, sample] > 0).tolist() <= (mine > 0).tolist()
    assert np.bincount(found.halving).tolist() == [50 // HALVINGS] * HALVINGS
