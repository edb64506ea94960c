"""How changes of logits are counted and judged."""

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.export.parity import answers_alike, check_parity, parity_record

REFERENCE = np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [1.0, 0.5]], np.float32)


def test_changed_answers_are_counted_with_an_exact_interval():
    logits = REFERENCE.copy()
    logits[3] = (0.0, 0.5)
    record = parity_record(REFERENCE, logits, "classification")
    assert record.pop("changed_share_low") == pytest.approx(0.00631, abs=1e-5)  # Clopper and Pearson's for 1 of 4
    assert record.pop("changed_share_high") == pytest.approx(0.80588, abs=1e-5)
    assert record == {
        "examples": 4,
        "largest_logit_difference": 1.0,
        "mean_logit_difference": 0.125,
        "changed_answers": 1,
        "changed_share": 0.25,
    }


def test_no_changed_answer_still_has_an_upper_bound():
    record = parity_record(REFERENCE, REFERENCE, "classification")
    assert (record["changed_answers"], record["changed_share_low"]) == (0, 0)
    assert record["changed_share_high"] == pytest.approx(1 - 0.025 ** (1 / 4))


def test_answers_of_regression_differ_in_the_unit_of_labels():
    reference = np.array([[1.0], [2.0]], np.float32)
    assert parity_record(reference, reference + np.array([[0.5], [-0.25]], np.float32), "regression") == {
        "examples": 2,
        "largest_logit_difference": 0.5,
        "mean_logit_difference": 0.375,
        "largest_answer_difference": 0.5,
        "mean_answer_difference": 0.375,
    }


@pytest.mark.parametrize("difference", [2e-4, np.nan, -np.inf])
def test_a_difference_that_rounding_does_not_explain_is_refused_with_its_example(difference):
    logits = REFERENCE.copy()
    check_parity("model.onnx", np.arange(4), REFERENCE, logits + np.float32(5e-5))
    logits[2, 1] += difference
    with pytest.raises(UserError, match=r"model\.onnx: its logits .* example with id 12\)"):
        check_parity("model.onnx", np.array([10, 11, 12, 13]), REFERENCE, logits)


def test_large_logits_may_differ_in_proportion():
    reference = np.array([[100.0]], np.float32)
    check_parity("model.onnx", np.arange(1), reference, reference + np.float32(5e-4))
    with pytest.raises(UserError, match=r"rounding explains 0\.001"):
        check_parity("model.onnx", np.arange(1), reference, reference + np.float32(2e-3))


def test_a_model_with_one_answer_is_found():
    labels = np.array([0, 1, 1, 0])
    assert not answers_alike(labels, REFERENCE, "classification")
    assert answers_alike(labels, REFERENCE + np.array([0.0, 9.0], np.float32), "classification")
    numbers = np.array([1.0, 2.0, 3.0, 4.0])
    assert answers_alike(numbers, np.full((4, 1), 2.5, np.float32), "regression")
