"""Which texts are stored with a delivered model, and how far answers may be off."""

import math

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.core.files import write_json
from shallower.core.variants import INT8, ONNX
from shallower.delivery.description import TORCH, Inputs
from shallower.delivery.parity import Examples, choose_examples, difference, parity_record, precision, read_parity

TEXTS = [["a text"], ["b"], ["the longest of all texts"], ["c text"], ["d text"], ["e text"]]
LOGITS = np.array([[0, 1], [0, 0], [1, 0], [9, 0], [0, 8], [2, 2]], np.float32)


def test_the_longest_the_shortest_and_the_surest_are_stored():
    found = choose_examples(TEXTS, LOGITS, 4)
    assert list(found.texts) == [["b"], ["the longest of all texts"], ["c text"], ["d text"]]
    assert found.logits.tolist() == [[0, 0], [1, 0], [9, 0], [0, 8]]


def test_a_few_texts_are_all_stored_in_their_order():
    found = choose_examples(TEXTS, LOGITS, 20)
    assert list(found.texts) == TEXTS and found.logits.tolist() == LOGITS.tolist()


def test_more_outputs_than_texts_that_may_be_stored():
    assert len(choose_examples(TEXTS, np.eye(6, 50), 3).texts) == 3


@pytest.mark.parametrize("logits", [np.zeros((2, 2)), np.zeros(6), np.full((6, 2), np.nan), np.zeros((0, 2))])
def test_logits_of_other_texts_are_an_error(logits):
    with pytest.raises(ValueError, match="logit"):
        Examples(TEXTS, logits)


def test_stored_numbers_are_exact():
    logits = np.random.default_rng(0).normal(0, 3, (6, 2)).astype(np.float32)
    record = parity_record(Examples(TEXTS, logits), Inputs(16, "[PAD]", 0))
    assert (np.array(record["logits"]["fp32"], np.float32) == logits).all()
    assert record["inputs"]["max_length"] == 16


@pytest.mark.parametrize(("largest", "fp32"), [(1.0, 1e-4), (100.0, 1e-3)])
def test_large_logits_may_be_off_in_proportion(largest, fp32):
    examples = Examples(TEXTS, np.linspace(0, largest, len(TEXTS), dtype=np.float32)[:, None])
    tolerances = parity_record(examples, Inputs(16, "[PAD]", 0))["tolerances"]
    assert tolerances == {"fp32": pytest.approx(fp32), "int8": pytest.approx(1000 * fp32)}


def test_the_difference_is_the_largest_of_a_logit():
    assert difference(np.array([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 2.5], [3.25, 4.0]]) == pytest.approx(0.5)
    assert difference(np.array([[1.0, math.nan]]), [[1.0, 2.0]]) == math.inf
    assert difference(np.array([[1.0, math.inf]]), [[1.0, math.inf]]) == math.inf
    assert difference(np.array([[1.0]]), [[1.0, 2.0]]) == math.inf
    assert difference(np.array([[1.0]]), [[1.0], [1.0]]) == math.inf


def test_both_fp32_forms_are_compared_with_pytorch():
    assert [precision(runtime) for runtime in (TORCH, ONNX, INT8)] == ["fp32", "fp32", "int8"]


def test_another_file_is_refused(tmp_path):
    write_json(tmp_path / "parity.json", {"texts": []})
    with pytest.raises(UserError, match="not the texts and logits of a delivered model"):
        read_parity(tmp_path)
