"""Rows that belong together are drawn together, in everything that resamples."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from shallower.core.errors import UserError
from shallower.evaluation.bootstrap import SEED, kept_interval, mean_resamples, score_bootstrap
from shallower.evaluation.groups import num_units, rows_of, unit_sums, units_of
from shallower.evaluation.metrics import METRICS, GroupScore, resampled_scores, score
from shallower.evaluation.predictions import Predictions, read_matched, read_predictions, write_predictions
from shallower.evaluation.records import comparison_record, metrics_record

ACCURACY = METRICS["accuracy"]
SETTINGS = {"metrics": ["accuracy"], "confidence": 0.95, "bootstrap_samples": 400}
RANDOM = np.random.default_rng(0)
# Groups of 1 to 6 rows, in no order, numbered with gaps.
GROUPS = RANDOM.permutation(np.repeat(7 * np.arange(60) + 3, RANDOM.integers(1, 7, 60)))
LABELS = RANDOM.integers(2, size=len(GROUPS))
ANSWERS = np.where(RANDOM.random(len(GROUPS)) < 0.7, LABELS, 1 - LABELS)

# Right answers and rows of each group: accuracy made from these must be accuracy.
BY_GROUP = dataclasses.replace(
    ACCURACY,
    function=GroupScore(
        lambda labels, answers, rows: np.array([[(labels[r] == answers[r]).sum(), len(r)] for r in rows], float),
        lambda found: found[..., 0].sum(-1) / found[..., 1].sum(-1),
    ),
)


def test_units_and_their_rows():
    groups = np.array([5, 2, 5, 9, 2, 5])
    assert num_units(groups, groups) == 3
    assert num_units(groups, None) == 6
    assert units_of(groups).tolist() == [1, 0, 1, 2, 0, 1]
    assert [rows.tolist() for rows in rows_of(groups)] == [[1, 4], [0, 2, 5], [3]]
    assert unit_sums(np.arange(6), groups).tolist() == [5, 7, 3]
    assert unit_sums(np.arange(6), None).tolist() == [*range(6)]


@pytest.mark.parametrize("metric", [ACCURACY, BY_GROUP])
def test_resamples_take_all_rows_of_the_groups_that_they_draw(metric):
    units = RANDOM.integers(60, size=(2, 5, 60))
    places = sorted(set(GROUPS))
    rows = [[np.flatnonzero(places[unit] == GROUPS) for unit in drawn] for drawn in units.reshape(-1, 60)]
    expected = [np.mean(np.concatenate([(LABELS == ANSWERS)[r] for r in drawn])) for drawn in rows]
    found = resampled_scores(metric, LABELS, ANSWERS, units, GROUPS)
    np.testing.assert_allclose(found, np.reshape(expected, (2, 5)))
    assert score(metric, LABELS, ANSWERS, GROUPS) == np.mean(LABELS == ANSWERS)


def test_a_score_of_groups_needs_groups():
    with pytest.raises(ValueError, match="which rows belong together"):
        score(BY_GROUP, LABELS, ANSWERS)


def test_groups_of_one_row_are_as_good_as_none():
    rows = np.arange(len(LABELS))
    without = score_bootstrap(ACCURACY, LABELS, ANSWERS, 0.9, 100)
    np.testing.assert_allclose(score_bootstrap(ACCURACY, LABELS, ANSWERS, 0.9, 100, rows).resamples, without.resamples)


def test_the_interval_is_as_wide_as_groups_make_it():
    """Answers that are right in whole groups: the standard error of 50 throws, not of 500."""
    right = np.repeat(np.arange(50) < 35, 10).astype(int)
    groups, labels = np.repeat(np.arange(50), 10), np.ones(500, int)
    low, high = score_bootstrap(ACCURACY, labels, right, 0.95, 2000, groups).interval
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 50), rel=0.1)
    resamples = mean_resamples(right, 2000, groups)
    assert resamples == pytest.approx(score_bootstrap(ACCURACY, labels, right, 0.95, 2000, groups).resamples)
    drawn = stats.bootstrap(
        (np.arange(50) < 35,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(SEED)
    ).confidence_interval
    assert (low, high) == pytest.approx((drawn.low, drawn.high))


def test_records_are_of_groups():
    record, resamples = metrics_record("classification", LABELS, ANSWERS, SETTINGS, groups=GROUPS)
    assert (record["num_examples"], record["num_groups"]) == (len(LABELS), 60)
    assert resamples == pytest.approx(score_bootstrap(ACCURACY, LABELS, ANSWERS, 0.95, 400, GROUPS).resamples)
    worse = np.where(GROUPS % 2, ANSWERS, 1 - LABELS)[None]
    found = comparison_record("classification", LABELS, worse, ANSWERS[None], [1], SETTINGS, GROUPS)
    expected = kept_interval(ACCURACY, LABELS, worse, ANSWERS[None], 0.95, 400, GROUPS)
    assert (found["kept_low"], found["kept_high"]) == pytest.approx(expected)
    # Halves of groups: what each half loses sums up to all only if no group is divided.
    assert (
        found["kept_percent_halves"]
        != comparison_record("classification", LABELS, worse, ANSWERS[None], [1], SETTINGS)["kept_percent_halves"]
    )


def test_predictions_keep_their_groups(tmp_path):
    ids = RANDOM.permutation(len(LABELS))
    logits = RANDOM.normal(size=(len(LABELS), 2)).astype(np.float32)
    write_predictions(tmp_path / "with.parquet", ids, LABELS, logits, GROUPS)
    write_predictions(tmp_path / "without.parquet", ids, LABELS, logits)
    found = read_predictions(tmp_path / "with.parquet", "classification")
    assert found.groups.tolist() == GROUPS[np.argsort(ids)].tolist()
    assert read_predictions(tmp_path / "without.parquet", "classification").groups is None
    with pytest.raises(UserError, match="groups of rows differ"):
        read_matched([tmp_path / "without.parquet"], found, "classification")
    read_matched([tmp_path / "with.parquet"], Predictions(*dataclasses.astuple(found)), "classification")
