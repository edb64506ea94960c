"""Scores of each class, against scikit-learn's classification_report."""

import numpy as np
import pytest
from sklearn.metrics import classification_report

from shallower.evaluation.by_class import MACRO, MICRO, averages, scores_by_class
from shallower.evaluation.records import metrics_record

NAMES = ["first", "never", "only labels", "last"]
DRAWN = np.random.default_rng(0)


def drawn_sets() -> tuple[np.ndarray, np.ndarray]:
    """Labels and answers of texts with any number of classes, one of which nothing has or gets."""
    labels, answers = (DRAWN.random((2, 80, 4)) < 0.4).astype(np.int8)
    labels[:, 1] = answers[:, 1] = answers[:, 2] = 0
    return labels, answers


def expected(labels: np.ndarray, answers: np.ndarray, /, **settings) -> dict:
    report = classification_report(labels, answers, output_dict=True, zero_division=0, **settings)
    return {key: {part.replace("f1-score", "f1"): value for part, value in report[key].items()} for key in report
            if isinstance(report[key], dict)}  # fmt: skip


def test_classes_of_texts_that_may_have_several():
    labels, answers = drawn_sets()
    found, report = scores_by_class(labels, answers, NAMES), expected(labels, answers, target_names=NAMES)
    assert [each["name"] for each in found] == NAMES
    for each in found:
        of_class = report[each["name"]]
        assert {key: each[key] for key in of_class} == pytest.approx(of_class)
    assert [each["predicted"] for each in found] == answers.sum(axis=0).tolist()
    means = averages(found, are_sets=True)
    for name in (MICRO, MACRO):
        assert means[name] == pytest.approx({key: report[f"{name} avg"][key] for key in means[name]})


def test_classes_that_exclude_each_other():
    """The class that is neither label nor answer counts in no mean, as scikit-learn has it."""
    labels, answers = DRAWN.choice([0, 2, 3], 90), DRAWN.choice([0, 3], 90)
    found = scores_by_class(labels, answers, NAMES)
    report = expected(labels, answers, labels=[0, 2, 3], target_names=["first", "only labels", "last"])
    first, never, *others = found
    for each in (first, *others):
        of_class = report[each["name"]]
        assert {key: each[key] for key in of_class} == pytest.approx(of_class)
    assert never == {"name": "never", "precision": 0, "recall": 0, "f1": 0, "support": 0, "predicted": 0}
    means = averages(found, are_sets=False)
    assert means[MACRO] == pytest.approx({key: report["macro avg"][key] for key in means[MACRO]})
    assert [*means[MICRO].values()] == pytest.approx([(labels == answers).mean()] * 3)


@pytest.mark.parametrize("target", ["classification", "multi-label"])
def test_the_record_of_a_run_has_them_beside_the_same_means(target):
    labels, answers = drawn_sets()
    if target == "classification":
        labels, answers = labels[:, 0] * 2 + labels[:, 3], answers[:, 0] * 2 + answers[:, 3]
    settings = {"metrics": ["macro_f1"], "confidence": 0.9, "bootstrap_samples": 20}
    record, _ = metrics_record(target, labels, answers, settings, NAMES)
    assert record["averages"][MACRO]["f1"] == pytest.approx(record["metrics"]["macro_f1"]["value"])
    assert [each["name"] for each in record["classes"]] == NAMES
