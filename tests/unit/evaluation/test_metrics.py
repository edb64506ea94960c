"""Metrics: those of scikit-learn and scipy, for one run and for many resamples at once."""

import tracemalloc

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.evaluation.metrics import (
    METRICS,
    Metric,
    chance_score,
    metric_for,
    metric_names,
    metric_title,
    of_counts,
    resampled_scores,
    score,
)
from shallower.evaluation.records import metrics_record
from shallower.evaluation.reference import reference_scores

CLASSIFICATION = ["accuracy", "f1", "macro_f1", "matthews_correlation"]
REGRESSION = ["pearson", "spearmanr"]
REFERENCE = {name: metric.reference for name, metric in METRICS.items()}


SETS = ["micro_f1", "macro_f1", "subset_accuracy"]


def drawn_sets(seed: int, n: int = 50, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Labels of 0 and 1 for each class and predictions that agree somewhat; nothing is of the last class."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, classes)) < 0.4).astype(np.int8)
    labels[:, -1] = 0
    return labels, np.where(rng.random((n, classes)) < 0.8, labels, (1 - labels) * (np.arange(classes) < classes - 1))


def drawn(name: str, seed: int, n: int = 200, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions that agree somewhat."""
    rng = np.random.default_rng(seed)
    if METRICS[name].kind == "regression":
        labels = rng.integers(0, 11, n) / 2
        return labels, labels + rng.normal(size=n).round(1)
    labels = rng.integers(0, classes, n)
    return labels, np.where(rng.random(n) < 0.7, labels, rng.integers(0, classes, n))


@pytest.mark.parametrize("name", CLASSIFICATION + REGRESSION)
@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn_and_scipy(name, seed):
    labels, predictions = drawn(name, seed)
    assert score(METRICS[name], labels, predictions) == pytest.approx(REFERENCE[name](labels, predictions))


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "matthews_correlation"])
def test_scores_of_many_classes(name):
    labels, predictions = drawn(name, 0, classes=5)
    assert score(METRICS[name], labels, predictions) == pytest.approx(REFERENCE[name](labels, predictions))


def test_macro_f1_leaves_out_classes_that_do_not_occur():
    labels, predictions = np.array([0, 0, 3, 3]), np.array([0, 3, 3, 3])
    expected = REFERENCE["macro_f1"](labels, predictions)
    assert score(METRICS["macro_f1"], labels, predictions) == pytest.approx(expected)


@pytest.mark.parametrize("name", CLASSIFICATION + REGRESSION)
def test_resamples_are_scored_each_by_itself(name):
    labels, predictions = drawn(name, 1, n=60)
    rows = np.random.default_rng(2).integers(0, 60, (7, 60))
    expected = [REFERENCE[name](labels[row], predictions[row]) for row in rows]
    np.testing.assert_allclose(resampled_scores(METRICS[name], labels, predictions, rows), expected)


@pytest.mark.parametrize("name", SETS)
def test_scores_of_sets_of_classes_are_those_of_scikit_learn(name):
    labels, predictions = drawn_sets(0)
    predictions = predictions.astype(np.int8)
    assert score(METRICS[name], labels, predictions) == pytest.approx(REFERENCE[name](labels, predictions))
    assert score(METRICS[name], labels, np.zeros_like(labels)) == REFERENCE[name](labels, np.zeros_like(labels))
    rows = np.random.default_rng(2).integers(0, 50, (7, 50))
    expected = [REFERENCE[name](labels[row], predictions[row]) for row in rows]
    np.testing.assert_allclose(resampled_scores(METRICS[name], labels, predictions, rows), expected)
    np.testing.assert_allclose(
        resampled_scores(METRICS[name], labels, predictions, rows[:, :20]),
        [REFERENCE[name](labels[row], predictions[row]) for row in rows[:, :20]],
    )


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "matthews_correlation"])
def test_a_thousand_classes_take_no_more_memory_than_their_rows(name):
    labels, predictions = drawn(name, 3, n=2000, classes=1000)
    rows = np.random.default_rng(2).integers(0, 2000, (500, 2000))
    tracemalloc.start()
    scores = resampled_scores(METRICS[name], labels, predictions, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * rows.nbytes
    for resample in (0, 499):
        row = rows[resample]
        assert scores[resample] == pytest.approx(REFERENCE[name](labels[row], predictions[row]))


def test_f1_takes_label_1_as_positive_and_refuses_more_classes():
    labels, predictions = np.array([1, 0, 0, 0]), np.array([1, 1, 0, 0])
    assert score(METRICS["f1"], labels, predictions) == pytest.approx(2 / 3)
    with pytest.raises(UserError, match="macro_f1"):
        score(METRICS["f1"], np.array([0, 1, 2]), np.array([0, 1, 2]))


def test_f1_is_of_the_positive_class():
    labels, answers = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 0])
    labels[5] = answers[5] = 0
    for positive, expected in ((0, 6 / 7), (1, 4 / 5)):
        metric = metric_for("f1", "classification", positive)
        assert score(metric, labels, answers) == pytest.approx(expected)
        assert metric.reference(labels, answers) == pytest.approx(expected)
    assert metric_for("accuracy", "classification", 0) is METRICS["accuracy"]


@pytest.mark.parametrize("name", ["f1", "matthews_correlation"])
def test_constant_classes_score_zero(name):
    labels = np.array([0, 1, 0, 1, 1])
    assert score(METRICS[name], labels, np.zeros(5, int)) == 0.0


@pytest.mark.parametrize("name", REGRESSION)
def test_constant_values_score_zero_without_a_warning(name, recwarn):
    labels = np.array([0.1, 2.0, 3.0, 4.5])
    assert score(METRICS[name], labels, np.full(4, 2.5)) == 0.0
    assert not recwarn.list


def test_chance_is_the_score_of_the_most_frequent_label():
    labels = np.array([0, 1, 1, 1])
    assert chance_score(METRICS["accuracy"], labels) == 0.75
    assert chance_score(METRICS["f1"], labels) == pytest.approx(6 / 7)
    # Of the positive class, however rare: half precision, all found.
    assert chance_score(METRICS["f1"], np.array([0, 0, 1, 1, 0, 1])) == pytest.approx(2 / 3)
    assert chance_score(METRICS["f1"], np.array([0, 0, 0, 1])) == pytest.approx(2 / 5)
    assert chance_score(METRICS["f1"].of_class(0), np.array([0, 1, 1, 1])) == pytest.approx(2 / 5)
    assert chance_score(METRICS["matthews_correlation"], labels) == 0.0
    assert chance_score(METRICS["pearson"], labels.astype(float)) == 0.0


def test_unknown_and_unsuitable_metrics_are_refused():
    with pytest.raises(UserError, match=r"'bleu'.*accuracy"):
        metric_for("bleu", "classification")
    with pytest.raises(UserError, match=r"regression.*pearson, spearmanr"):
        metric_for("accuracy", "regression")


def test_every_metric_has_a_title():
    assert metric_title("spearmanr") == "Spearman correlation"
    assert metric_title("f1", "spam") == "F1 of spam"
    assert metric_title("pearson", float("nan")) == "Pearson correlation"
    assert metric_title("error_rate") == "error rate"  # one of a table that was written by other code


def cohen_kappa(counts):
    total = counts.labels.sum(-1)
    expected = (counts.labels * counts.predictions).sum(-1) / total
    return (counts.hits.sum(-1) - expected) / (total - expected)


def kappa_of_scikit_learn(labels, predictions):
    from sklearn.metrics import cohen_kappa_score

    return cohen_kappa_score(labels, predictions)


def test_a_new_metric_is_one_entry(monkeypatch):
    kappa = Metric("kappa", "Cohen's kappa", "classification", of_counts(cohen_kappa), kappa_of_scikit_learn)
    monkeypatch.setitem(METRICS, "kappa", kappa)
    assert "kappa" in metric_names("classification")
    assert "kappa" not in metric_names("regression")
    assert metric_title("kappa") == "Cohen's kappa"
    assert metric_for("kappa", "classification") is kappa

    labels, predictions = drawn("accuracy", 0, classes=3)
    settings = {"metrics": ["kappa"], "confidence": 0.9, "bootstrap_samples": 100}
    record, resamples = metrics_record("classification", labels, predictions, settings)
    assert record["metrics"]["kappa"]["value"] == pytest.approx(kappa.reference(labels, predictions))
    assert record["metrics"]["kappa"]["chance"] == pytest.approx(0.0)
    assert resamples.std() > 0
    scores = reference_scores("classification", labels, predictions, ["kappa"])
    assert scores == pytest.approx({"kappa": record["metrics"]["kappa"]["value"]})
