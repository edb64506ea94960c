"""Thresholds that are tuned: against scikit-learn's F1 at every threshold that there is."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve

from shallower.core.errors import UserError
from shallower.core.files import write_json
from shallower.core.runs import Run
from shallower.evaluation.predictions import predictions_of, read_matched, write_predictions
from shallower.evaluation.records import metrics_record
from shallower.evaluation.thresholds import probabilities, thresholds_record, tuned_thresholds, with_thresholds

NAMES = ["often", "seldom", "never", "tied"]
RUN = Run("s", "m", "t", "finetuned", "top", "1", 3)


@pytest.fixture
def drawn():
    """Labels and logits that say something of them, of which some are equal, and a label that no text has."""
    random = np.random.default_rng(4)
    labels = (random.random((120, 4)) < [0.5, 0.05, 0, 0.3]).astype(np.int8)
    logits = (2 * labels + random.normal(size=labels.shape) - 2).astype(np.float32)
    logits[:, 3] = np.round(logits[:, 3])
    return labels, logits


def best_f1(labels, found):
    """The highest F1 of one label, by scikit-learn's curve."""
    precision, recall, _ = precision_recall_curve(labels, found)
    return (2 * precision * recall / np.maximum(precision + recall, 1e-9)).max()


def test_each_label_gets_the_threshold_of_its_highest_f1(drawn):
    labels, logits = drawn
    thresholds, found = tuned_thresholds(labels, logits), probabilities(logits)
    assert thresholds[2] == 0.5 and (thresholds < 0.5).any()
    for index in (0, 1, 3):
        ours = f1_score(labels[:, index], found[:, index] > thresholds[index])
        assert ours == pytest.approx(best_f1(labels[:, index], found[:, index]))
        grid = [f1_score(labels[:, index], found[:, index] > at, zero_division=0) for at in np.linspace(0, 1, 99)]
        assert ours >= max(grid)


def test_half_is_kept_where_nothing_is_better():
    """A label that is told apart perfectly, one of which every text is the best answer, and one of the same logits."""
    labels = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 1]], np.int8)
    logits = np.array([[1.0, -2, 0], [2, -1, 0], [-3, -3, 0]])
    thresholds = tuned_thresholds(labels, logits)
    assert thresholds[0] == 0.5
    assert ((probabilities(logits) > thresholds)[:, 1:]).all()
    assert thresholds[1] == pytest.approx(1 / (1 + math.exp(3)) / 2)


def test_the_record_and_the_scores_by_it(drawn, tmp_path, monkeypatch):
    """Runs are scored by the thresholds of the full model of their seed, in one file or over several seeds."""
    monkeypatch.chdir(tmp_path)
    labels, logits = drawn
    record = thresholds_record(labels, logits, NAMES)
    assert (record["examples"], record["labels"][1]["support"]) == (120, labels[:, 1].sum())
    assert record["labels"][1]["f1"] > record["labels"][1]["f1_by_default"]
    settings = {"metrics": ["macro_f1"], "confidence": 0.9, "bootstrap_samples": 10, "thresholds": "tuned"}
    with pytest.raises(UserError, match=r"thresholds\.json"):
        with_thresholds(settings, RUN)
    write_json("results/s/m/t/baseline/seed3/thresholds.json", record)
    tuned = with_thresholds(settings, RUN)
    answers = predictions_of(logits, "multi-label", tuned)
    expected = probabilities(logits) > [label["threshold"] for label in record["labels"]]
    np.testing.assert_array_equal(answers, expected)
    scored, _ = metrics_record("multi-label", labels, answers, tuned, NAMES)
    assert scored["metrics"]["macro_f1"]["value"] == pytest.approx(f1_score(labels, expected, average="macro"))
    assert scored["threshold"] == [label["threshold"] for label in record["labels"]]
    assert with_thresholds({"threshold": 0.4}, RUN) == {"threshold": 0.4}

    write_predictions(tmp_path / "a", np.arange(120), labels, logits)
    _, both = read_matched([tmp_path / "a"] * 2, None, "multi-label", [tuned, {"threshold": 0.5}])
    np.testing.assert_array_equal(both[0], expected)
    np.testing.assert_array_equal(both[1], logits > 0)


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json("results/s/m/t/baseline/seed3/thresholds.json", {"labels": [0.5]})
    with pytest.raises(UserError, match="not a file of thresholds; delete it"):
        with_thresholds({"thresholds": "tuned"}, RUN)
