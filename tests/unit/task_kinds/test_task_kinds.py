"""What classification and regression say of their labels, losses and answers. Reading is tested with the files."""

import numpy as np
import pytest
import torch

from shallower.core.errors import UserError
from shallower.task_kinds.registry import TASK_KINDS, task_kind

CLASSIFICATION, REGRESSION = TASK_KINDS["classification"], TASK_KINDS["regression"]


def test_an_unknown_kind_is_refused():
    with pytest.raises(UserError, match=r"'summaries'; there are classification, regression"):
        task_kind("summaries")


def test_losses():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    expected = -(torch.log_softmax(logits[0], 0)[0] + torch.log_softmax(logits[1], 0)[0]) / 2
    assert CLASSIFICATION.loss(logits, torch.tensor([0, 0])).item() == pytest.approx(expected.item())
    assert REGRESSION.loss(torch.tensor([[1.0], [4.0]]), torch.tensor([2.0, 2.0])).item() == pytest.approx(2.5)


def test_answers_from_logits():
    logits = np.array([[0.1, 2.0], [3.0, -1.0]], np.float32)
    np.testing.assert_array_equal(CLASSIFICATION.answers(logits), [1, 0])
    np.testing.assert_allclose(REGRESSION.answers(logits[:, :1]), [0.1, 3.0], rtol=1e-6)


def test_collapsed_runs_are_recognised():
    labels = np.array([0, 1, 0, 1])
    assert CLASSIFICATION.is_collapsed(labels, np.array([1, 1, 1, 1]))
    assert not CLASSIFICATION.is_collapsed(labels, np.array([1, 1, 1, 0]))
    values = np.array([0.0, 2.0, 3.0, 5.0])
    assert REGRESSION.is_collapsed(values, np.full(4, 2.5))
    assert REGRESSION.is_collapsed(values, 2.5 + 1e-3 * values)
    assert not REGRESSION.is_collapsed(values, 2.5 + 0.1 * values)


def test_sound_splits_have_no_problems():
    found = {"train": [0, 1, 2], "validation": [1, 0]}
    assert list(CLASSIFICATION.split_problems(found, ("a", "b", "c"))) == []
    assert list(REGRESSION.split_problems({"train": [0.0, 1.0], "validation": [2.0, 3.0]}, None)) == []


def test_a_split_of_one_class_or_value_and_unseen_classes_are_problems():
    found = list(CLASSIFICATION.split_problems({"train": [1, 1], "validation": [0, 1]}, ("a", "b")))
    assert found[0].startswith("the train split has only the class 'b'")
    assert found[1].startswith("the validation split has 'a', which the train split lacks")
    (found,) = REGRESSION.split_problems({"train": [2.5, 2.5], "validation": [1.0, 2.0]}, None)
    assert "the train split has only the value 2.5" in found
    (found,) = REGRESSION.split_problems({"train": [1.0, 2.5], "validation": [1.0, 1.0]}, None)
    assert "the validation split has only the value 1.0" in found


def test_what_config_json_says():
    task = {"name": "tiny", "labels": ["no", "yes"]}
    assert CLASSIFICATION.model_config(task) == {
        "id2label": {0: "no", 1: "yes"},
        "label2id": {"no": 0, "yes": 1},
        "problem_type": "single_label_classification",
    }
    assert REGRESSION.model_config({"name": "tiny", "labels": None}) == {
        "id2label": {0: "tiny"},
        "label2id": {"tiny": 0},
        "problem_type": "regression",
    }


def test_cosines_that_lie_close_together_are_an_order_all_the_same():
    """As those of models whose vectors all point one way; cosines that are the same but for rounding are not."""
    labels, order = np.linspace(0, 5, 50), np.linspace(-1, 1, 50)
    assert not task_kind("embedding").is_collapsed(labels, 0.99 + 0.002 * order)
    assert task_kind("embedding").is_collapsed(labels, 1 + 1e-7 * order)
