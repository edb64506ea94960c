"""How differences of logits are judged."""

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.export.parity import check_parity

REFERENCE = np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [1.0, 0.5]], np.float32)


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
