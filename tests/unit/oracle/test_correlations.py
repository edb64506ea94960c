"""Rank correlations, against scipy and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import make_place
from scipy import stats

from shallower.oracle.correlations import Quality, correlation, qualities, spearman, within_sizes
from shallower.oracle.names import OTHER_SEEDS

SCORES = {"0": [50], "1": [60], "2": [70], "0 1": [80], "0 2": [75], "1 2": [90]}


def test_spearman_is_scipys():
    random = np.random.default_rng(0)
    one, other = random.integers(8, size=20), random.normal(size=(20, 3))
    expected = [stats.spearmanr(one, other[:, column]).statistic for column in range(3)]
    assert spearman(one, other) == pytest.approx(expected)
    pairs = [stats.spearmanr(other[:, column], other[:, 2 - column]).statistic for column in range(3)]
    assert spearman(other, other[:, ::-1]) == pytest.approx(pairs)


def test_what_is_constant_has_no_correlation():
    assert spearman(np.ones(3), np.arange(3.0)) == 0
    assert spearman(np.arange(3.0), np.ones((3, 2))).tolist() == [0, 0]


def test_intervals_are_around_the_value_though_resampling_adds_noise():
    place = make_place({label: [score, score] for label, (score,) in SCORES.items()})
    noise = np.random.default_rng(0).normal(scale=15, size=(len(SCORES), 1, place.samples.shape[2]))
    place = replace(place, samples=place.samples + noise)  # the same examples for both seeds
    estimate = correlation(place, Quality(place.values), range(6))
    low, high = estimate.interval(0.9)
    assert estimate.value == pytest.approx(1) and low < 0.9 and high == pytest.approx(1)
    assert estimate.samples.mean() == pytest.approx(1, abs=0.1)
    # The examples that are drawn are those of the other seed, too: whatever they are, both have the same order.
    other = correlation(place, dict(qualities(place))[OTHER_SEEDS], range(6))
    assert other.samples == pytest.approx(np.ones_like(other.samples))


def test_measures_are_turned_so_that_higher_is_better():
    # The lower the loss, the better after refining, but for layer 0 alone.
    losses = {"0": 0.1, "1": 0.3, "2": 0.2, "0 1": 0.08, "0 2": 0.09, "1 2": 0.05}
    place = make_place(SCORES, readout_loss=losses)
    found = dict(qualities(place))
    # One layer: ranks 3, 1, 2 against 1, 2, 3: Spearman 1 - 6 * (4 + 1 + 1) / 24. Two: the same order.
    assert correlation(place, found["readout_loss"], [0, 1, 2]).value == pytest.approx(-0.5)
    assert correlation(place, found["readout_loss"], [3, 4, 5]).value == pytest.approx(1)
    assert within_sizes(place, found["readout_loss"]).value == pytest.approx(0.25)  # both sizes have three subsets
    # Over all sizes only 0 is out of place, as fourth instead of sixth: 1 - 6 * (9 + 1 + 1 + 1) / 210.
    ranks = stats.spearmanr([-loss for loss in losses.values()], [score for (score,) in SCORES.values()]).statistic
    assert correlation(place, found["readout_loss"], range(6)).value == pytest.approx(ranks)
    assert within_sizes(place, found["readout_score"]).value == pytest.approx(0.25)


def test_sizes_that_are_not_complete_do_not_count():
    place = make_place({label: SCORES[label] for label in ("0", "1", "2", "0 1")})
    assert place.sizes == [1]
    assert place.coverage == {1: (3, 3), 2: (1, 3)}
    assert within_sizes(place, Quality(np.array([[1.0], [2], [3], [0]]))).value == pytest.approx(1)


def test_other_seeds_are_a_measure_of_what_can_be_reached():
    place = make_place({"0": [1, 3], "1": [2, 2], "2": [3, 1], "0 1": [1, 1], "0 2": [2, 2], "1 2": [3, 3]})
    other = dict(qualities(place))[OTHER_SEEDS]
    assert other.values[:3].tolist() == [[3, 1], [2, 2], [1, 3]]
    assert correlation(place, other, [0, 1, 2]).value == pytest.approx(-1)
    assert correlation(place, other, [3, 4, 5]).value == pytest.approx(1)
    assert OTHER_SEEDS not in dict(qualities(make_place(SCORES)))


def test_sums_over_dropped_layers_rank_subsets():
    # Taylor drops the lowest, so that keeping 2 is best, then 1: the order after refining.
    place = make_place(SCORES, layer_scores={"taylor": [1, 2, 3]})
    found = dict(qualities(place))["sum of taylor"]
    assert found.values[:3, 0].tolist() == [-5, -4, -3]
    assert correlation(place, found, [0, 1, 2]).value == pytest.approx(1)
