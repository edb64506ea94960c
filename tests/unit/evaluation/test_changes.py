"""How much a variant answers otherwise than the model as it was trained."""

import math

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.evaluation.bootstrap import mean_resamples
from shallower.evaluation.changes import read_changes
from shallower.evaluation.predictions import Predictions
from synthetic_runs import write_predictions

TRAINED = np.float32([[1, 0], [1, 0], [0, 1], [0, 3]])
VARIANT = np.float32([[1, 0.25], [0, 1], [0, 1], [0, 2.5]])


def write(tmp_path, name, logits, order=None, ids=(3, 5, 7, 9)):
    labels = np.array([0.0, 1.0, 2.0, 3.0] if logits.shape[1] == 1 else [0, 0, 1, 1])
    write_predictions(tmp_path / name, Predictions(np.array(ids), labels, logits), order)
    return tmp_path / name


def test_changed_answers_and_the_largest_difference(tmp_path):
    ours = write(tmp_path, "ours.parquet", VARIANT, order=np.array([2, 0, 3, 1]))
    found = read_changes(ours, write(tmp_path, "theirs.parquet", TRAINED), "classification", 500)
    # The second of four examples has another answer; its logits differ by 1, whatever the order of rows.
    assert (found.changed, found.logit_difference) == (0.25, 1.0)
    assert set(found.resamples) <= {0, 0.25, 0.5, 0.75, 1} and len(found.resamples) == 500
    assert found.resamples.mean() == pytest.approx(0.25, abs=0.04)


def test_resamples_are_of_the_same_examples_as_those_of_scores():
    first, second = np.array([1.0, 0, 0, 1]), np.array([0.0, 1, 1, 0])
    assert mean_resamples(first, 50) + mean_resamples(second, 50) == pytest.approx(np.ones(50))


def test_the_same_answers(tmp_path):
    path = write(tmp_path, "theirs.parquet", TRAINED)
    found = read_changes(path, path, "classification", 20)
    assert (found.changed, found.logit_difference, found.resamples.tolist()) == (0, 0, [0] * 20)


def test_numbers_have_no_changed_answers(tmp_path):
    ours, theirs = (write(tmp_path, name, TRAINED[:, :1] + add) for name, add in (("a", 0.5), ("b", 0.0)))
    found = read_changes(ours, theirs, "regression", 20)
    assert math.isnan(found.changed) and np.isnan(found.resamples).all()
    assert found.logit_difference == 0.5


def test_other_examples_and_outputs_are_refused(tmp_path):
    theirs = write(tmp_path, "theirs.parquet", TRAINED)
    for other in (write(tmp_path, "a", VARIANT, ids=(3, 5, 7, 8)), write(tmp_path, "b", np.ones((4, 3), np.float32))):
        with pytest.raises(UserError, match="not of the same examples and outputs"):
            read_changes(other, theirs, "classification", 20)
