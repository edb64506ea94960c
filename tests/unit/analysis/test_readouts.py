"""Readouts: each example's outputs are those of scikit-learn's model of the other folds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from shallower.analysis.readouts import (
    FOLDS,
    INTERCEPT_PENALTY,
    PENALTIES,
    logistic_out_of_fold,
    make_folds,
    read_out,
    ridge_out_of_fold,
    standardised,
)
from shallower.core.errors import UserError


def drawn(num_examples, width, seed=0):
    random = np.random.default_rng(seed)
    vectors = (random.standard_normal((num_examples, width)) * random.uniform(0.1, 3, width)).astype(np.float32)
    return vectors, random


@pytest.mark.parametrize("width", [8, 90])  # fewer and more features than examples
def test_ridge_is_that_of_the_other_folds(width):
    vectors, random = drawn(60, width)
    labels = vectors @ random.standard_normal(width) + random.standard_normal(60) + 5
    features, folds = standardised(vectors), make_folds(labels, has_classes=False)
    values = ridge_out_of_fold(features, labels, folds)
    for at, penalty in enumerate(PENALTIES):
        for fold in range(FOLDS):
            rest = folds != fold
            expected = Ridge(alpha=penalty).fit(features[rest], labels[rest]).predict(features[~rest])
            np.testing.assert_allclose(values[at, ~rest], expected, rtol=1e-6)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_logistic_regression_is_that_of_the_other_folds(num_classes):
    vectors, random = drawn(80, 6)
    labels = (vectors @ random.standard_normal((6, num_classes)) + random.gumbel(size=(80, num_classes))).argmax(1)
    features, folds = standardised(vectors), make_folds(labels, has_classes=True)
    outputs = np.stack(list(logistic_out_of_fold(features, labels, folds)))
    for at in (0, len(PENALTIES) - 1):
        # A constant feature of this size has the intercept's penalty. Two classes have one weight there, not two.
        penalty = PENALTIES[at] / (2 if num_classes == 2 else 1)
        constant = np.full((80, 1), np.sqrt(PENALTIES[at] / INTERCEPT_PENALTY))
        inputs = np.hstack([features, constant])
        for fold in range(FOLDS):
            rest = folds != fold
            model = LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-8, max_iter=5000)
            expected = model.fit(inputs[rest], labels[rest]).predict_log_proba(inputs[~rest])
            ours = outputs[at, ~rest] - np.logaddexp.reduce(outputs[at, ~rest], axis=1, keepdims=True)
            np.testing.assert_allclose(ours, expected, atol=2e-2)


def test_each_of_several_classes_has_a_regression_of_its_own():
    vectors, random = drawn(80, 6)
    labels = (vectors @ random.standard_normal((6, 3)) + random.logistic(size=(80, 3)) > 0.5).astype(np.int8)
    features, folds = standardised(vectors), make_folds(labels, has_classes=True)
    outputs = np.stack(list(logistic_out_of_fold(features, labels, folds)))
    for at in (0, len(PENALTIES) - 1):
        inputs = np.hstack([features, np.full((80, 1), np.sqrt(PENALTIES[at] / INTERCEPT_PENALTY))])
        for fold, column in ((0, 0), (3, 2)):
            rest = folds != fold
            model = LogisticRegression(C=1 / PENALTIES[at], fit_intercept=False, tol=1e-8, max_iter=5000)
            expected = model.fit(inputs[rest], labels[rest, column]).decision_function(inputs[~rest])
            np.testing.assert_allclose(outputs[at, ~rest, column], expected, atol=2e-2)
    found = read_out(vectors, labels, folds, has_classes=True)
    assert ((found.outputs > 0) == labels).mean() > 0.7
    assert found.loss < np.log(2)


def test_folds_are_even_and_so_are_their_classes():
    labels = np.repeat([0, 1, 2], [11, 25, 4])
    folds = make_folds(labels, has_classes=True)
    assert np.ptp(np.bincount(folds)) <= 1
    for label in range(3):
        assert np.ptp(np.bincount(folds[labels == label], minlength=FOLDS)) <= 1
    assert np.array_equal(folds, make_folds(labels, has_classes=True))
    assert np.bincount(make_folds(np.arange(12.0), has_classes=False)).tolist() == [3, 3, 2, 2, 2]


def test_what_can_be_read_is_read_and_noise_is_not():
    vectors, random = drawn(200, 20)
    labels = (vectors[:, 3] > 0).astype(np.int64)
    found = read_out(vectors, labels, make_folds(labels, True), has_classes=True)
    assert (found.outputs.argmax(axis=1) == labels).mean() > 0.85
    noise = random.integers(0, 2, 200)
    unread = read_out(vectors, noise, make_folds(noise, True), has_classes=True)
    assert unread.loss > 0.66  # about log 2: no better than chance, and the penalty keeps it from much worse
    values = vectors[:, 3].astype(np.float64)
    found = read_out(vectors, values, make_folds(values, False), has_classes=False)
    assert found.loss < 0.02 * values.var()
    assert found.loss == pytest.approx(np.mean((found.outputs[:, 0] - values) ** 2))


def test_the_path_of_penalties_ends_where_it_gets_worse_and_the_best_is_found():
    vectors, random = drawn(120, 30)
    labels = (vectors[:, 3] / np.abs(vectors[:, 3]).max() + random.normal(0, 0.5, 120) > 0).astype(np.int64)
    features, folds = standardised(vectors), make_folds(labels, True)
    every = np.stack(list(logistic_out_of_fold(features, labels, folds)))
    losses = np.logaddexp.reduce(every, axis=2) - every[:, np.arange(120), labels]
    best = losses.mean(axis=1).min()
    found = read_out(vectors, labels, folds, has_classes=True)
    # Each fold has the penalty that is best for the others, which is hardly another one.
    assert best - 1e-6 <= found.loss < best + 0.02


def test_the_labels_of_a_fold_have_no_say_in_its_outputs():
    vectors, _ = drawn(50, 5)
    labels = (vectors[:, 0] > 0).astype(np.int64)
    folds = make_folds(labels, True)
    turned = np.where(folds == 2, 1 - labels, labels)
    before, after = (
        np.stack(list(logistic_out_of_fold(standardised(vectors), each, folds)))[:, folds == 2]
        for each in (labels, turned)
    )
    np.testing.assert_allclose(before, after, atol=1e-2)


def test_a_constant_feature_and_a_class_of_one_example_do_no_harm():
    vectors, _ = drawn(40, 4)
    vectors[:, 1] = 7.0
    labels = np.array([0, 1] * 19 + [0, 2])
    found = read_out(vectors, labels, make_folds(labels, True), has_classes=True)
    assert np.isfinite(found.loss)
    assert found.loss < 2


def test_vectors_that_are_not_finite_are_an_error():
    vectors, _ = drawn(20, 3)
    vectors[4, 1] = np.nan
    labels = np.arange(20) % 2
    with pytest.raises(UserError, match="not finite"):
        read_out(vectors, labels, make_folds(labels, True), has_classes=True)
