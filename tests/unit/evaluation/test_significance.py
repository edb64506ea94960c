"""Paired tests: against scipy, and against chance."""

import numpy as np
import pytest
from scipy import stats

from shallower.evaluation.significance import bootstrap_p, holm, mcnemar, over_seeds, over_tasks


def answers(wins: int, losses: int, ties: int = 50):
    """Right answers [1, examples] of two models that differ on some examples."""
    right = np.array([[True] * wins + [False] * losses + [True] * ties])
    return right, np.array([[False] * wins + [True] * losses + [True] * ties])


@pytest.mark.parametrize(("wins", "losses"), [(9, 2), (2, 9), (40, 25), (1, 0), (6, 6)])
def test_mcnemar_of_one_seed_is_the_exact_binomial_test(wins, losses):
    expected = stats.binomtest(wins, wins + losses, 0.5).pvalue
    assert mcnemar(*answers(wins, losses)) == pytest.approx(expected)


def test_mcnemar_of_equal_answers_is_one():
    right = np.ones((3, 20), dtype=bool)
    assert mcnemar(right, right) == 1.0


def test_seeds_that_agree_count_as_twice_the_median():
    sides = [answers(9, 2, 39), answers(12, 2, 36), answers(7, 4, 39)]
    right, rival = (np.concatenate([side[place] for side in sides]) for place in (0, 1))
    by_seed = [stats.binomtest(*counts, 0.5).pvalue for counts in ((9, 11), (12, 14), (7, 11))]
    assert mcnemar(right, rival) == pytest.approx(2 * np.median(by_seed))


def test_seeds_that_contradict_each_other_are_no_evidence():
    right, rival = answers(30, 2)
    assert mcnemar(np.concatenate([right, rival]), np.concatenate([rival, right])) == 1.0


def test_most_seeds_are_no_evidence_for_the_direction_that_all_together_contradict():
    """Two seeds are a little worse, and the rival collapsed with the third: on average it is better, for no reason."""
    sides = [answers(10, 40, 450), answers(10, 40, 450), answers(250, 20, 230)]
    right, rival = (np.concatenate([side[place] for side in sides]) for place in (0, 1))
    assert right.mean() > rival.mean()
    assert mcnemar(right, rival) == mcnemar(rival, right) == 1.0


def test_p_values_over_seeds():
    assert over_seeds([0.03]) == 0.03
    assert over_seeds([0.001, 0.01, 0.9]) == pytest.approx(0.02)
    assert over_seeds([0.7, 0.8]) == 1.0


def test_mcnemar_errs_no_more_often_than_it_says():
    draw = np.random.default_rng(0)
    examples = draw.random((300, 3, 60)) < 0.7
    rivals = draw.random((300, 3, 60)) < 0.7
    p_values = [mcnemar(*pair) for pair in zip(examples, rivals, strict=True)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.06
    better = draw.random((100, 3, 60)) < 0.95
    assert np.mean([mcnemar(*pair) < 0.05 for pair in zip(better, rivals, strict=False)]) > 0.9


def test_bootstrap_p_is_the_normal_tail_of_the_standard_error():
    samples = np.random.default_rng(0).normal(2.0, 1.0, 20_000)
    assert bootstrap_p(1.96, samples) == pytest.approx(0.05, abs=0.003)
    assert bootstrap_p(-1.96, samples) == pytest.approx(0.05, abs=0.003)
    assert bootstrap_p(0.0, np.zeros(10)) == 1.0
    assert bootstrap_p(6.0, samples) < 1e-8  # far below what a thousand resamples could count


def test_over_tasks_is_a_t_test_with_its_interval():
    differences = np.array([1.0, 2.0, 4.0, 3.5])
    p, (low, high) = over_tasks(differences, 0.95)
    result = stats.ttest_1samp(differences, 0)
    assert p == pytest.approx(result.pvalue)
    assert (low, high) == pytest.approx(tuple(result.confidence_interval(0.95)))
    assert np.isnan(over_tasks(differences[:1], 0.95)[0])
    assert over_tasks(np.zeros(4), 0.95) == (1.0, (0.0, 0.0))


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    np.testing.assert_allclose(holm([np.nan, 0.02]), [np.nan, 0.04])
    assert len(holm([])) == 0
