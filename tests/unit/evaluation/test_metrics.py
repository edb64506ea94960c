import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from shallower.core.errors import UserError
from shallower.evaluation import evaluate_metric as task_metric
from shallower.evaluation.metrics import (
    METRICS,
    chance_score,
    is_collapsed,
    metric_for,
    resampled_scores,
    score,
)
from shallower.evaluation.predictions import predictions_of

CLASSIFICATION = ["accuracy", "f1", "macro_f1", "matthews_correlation"]
REGRESSION = ["pearson", "spearmanr"]
REFERENCE = {
    "accuracy": sklearn_metrics.accuracy_score,
    "f1": sklearn_metrics.f1_score,
    "macro_f1": lambda labels, predictions: sklearn_metrics.f1_score(labels, predictions, average="macro"),
    "matthews_correlation": sklearn_metrics.matthews_corrcoef,
    "pearson": lambda labels, predictions: stats.pearsonr(labels, predictions).statistic,
    "spearmanr": lambda labels, predictions: stats.spearmanr(labels, predictions).statistic,
}


def drawn(name: str, seed: int, n: int = 200, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions that agree somewhat."""
    rng = np.random.default_rng(seed)
    if METRICS[name].target == "regression":
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


def test_f1_takes_label_1_as_positive_and_refuses_more_classes():
    labels, predictions = np.array([1, 0, 0, 0]), np.array([1, 1, 0, 0])
    assert score(METRICS["f1"], labels, predictions) == pytest.approx(2 / 3)
    with pytest.raises(UserError, match="macro_f1"):
        score(METRICS["f1"], np.array([0, 1, 2]), np.array([0, 1, 2]))


@pytest.mark.parametrize("name", ["f1", "matthews_correlation"])
def test_constant_classes_score_zero(name):
    labels = np.array([0, 1, 0, 1, 1])
    assert score(METRICS[name], labels, np.zeros(5, int)) == 0.0


@pytest.mark.parametrize("name", REGRESSION)
def test_constant_values_score_zero_without_a_warning(name, recwarn):
    labels = np.array([0.1, 2.0, 3.0, 4.5])
    assert score(METRICS[name], labels, np.full(4, 2.5)) == 0.0
    assert not recwarn.list


def test_collapsed_runs_are_recognised():
    labels = np.array([0, 1, 0, 1])
    assert is_collapsed(labels, np.array([1, 1, 1, 1]), "classification")
    assert not is_collapsed(labels, np.array([1, 1, 1, 0]), "classification")
    values = np.array([0.0, 2.0, 3.0, 5.0])
    assert is_collapsed(values, np.full(4, 2.5), "regression")
    assert is_collapsed(values, 2.5 + 1e-3 * values, "regression")
    assert not is_collapsed(values, 2.5 + 0.1 * values, "regression")


def test_chance_is_the_score_of_the_most_frequent_label():
    labels = np.array([0, 1, 1, 1])
    assert chance_score(METRICS["accuracy"], labels) == 0.75
    assert chance_score(METRICS["f1"], labels) == pytest.approx(6 / 7)
    assert chance_score(METRICS["matthews_correlation"], labels) == 0.0
    assert chance_score(METRICS["pearson"], labels.astype(float)) == 0.0


def test_predictions_of_logits():
    logits = np.array([[0.1, 2.0], [3.0, -1.0]], np.float32)
    np.testing.assert_array_equal(predictions_of(logits, "classification"), [1, 0])
    np.testing.assert_allclose(predictions_of(logits[:, :1], "regression"), [0.1, 3.0], rtol=1e-6)


def test_unknown_and_unsuitable_metrics_are_refused():
    with pytest.raises(UserError, match=r"'bleu'.*accuracy"):
        metric_for("bleu", "classification")
    with pytest.raises(UserError, match=r"regression.*pearson, spearmanr"):
        metric_for("accuracy", "regression")


@pytest.mark.parametrize(("target", "names"), [("classification", CLASSIFICATION), ("regression", REGRESSION)])
def test_the_evaluate_module_agrees(target, names, tmp_path):
    metric = task_metric.load(target, tmp_path)
    for seed in range(3):
        labels, predictions = drawn(names[0], seed)
        values = metric.compute(predictions=predictions, references=labels, metrics=names)
        assert values == pytest.approx({name: score(METRICS[name], labels, predictions) for name in names})


def test_the_evaluate_module_scores_constants_with_zero(tmp_path, recwarn):
    labels = np.array([0.5, 1.5, 2.5])
    metric = task_metric.load("regression", tmp_path)
    values = metric.compute(predictions=np.full(3, 1.0), references=labels, metrics=REGRESSION)
    assert values == {"pearson": 0.0, "spearmanr": 0.0}


def test_loading_the_evaluate_module_needs_neither_network_nor_transformers_nor_home(tmp_path):
    program = f"""
import socket, sys
def refuse(*arguments, **settings):
    raise AssertionError("no network")
socket.socket.connect = refuse
from shallower.evaluation import evaluate_metric as task_metric
metric = task_metric.load("classification", {str(tmp_path / "cache")!r})
print(metric.compute(predictions=[0, 1], references=[0, 0], metrics=["accuracy"]))
assert "transformers" not in sys.modules and "torch" not in sys.modules
"""
    environment = {"PYTHONPATH": "workflow", "HOME": str(tmp_path / "home"), "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "{'accuracy': 0.5}" in done.stdout
    assert not (tmp_path / "home").exists()
