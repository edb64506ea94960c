"""Readouts: how well a linear model, fitted again, reads the labels off a model's sentence vectors.

A head that was trained on the full model says little of a shallower one before that is trained again. A readout is
fitted for each: multinomial logistic regression for classes, a logistic regression for each class where an example may
have several, ridge regression for numbers, all with an L2 penalty, on standardised vectors. It is judged on examples
that it was not fitted on, by cross-validation: each example's outputs come from the readout that was fitted on the
other folds, with the penalty that has the lowest loss on the other folds.

The standardisation is that of all examples, which looks at no label. Nothing is drawn at random but the folds, which
are always the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from shallower.analysis.standardising import mean_and_scale
from shallower.core.errors import UserError
from shallower.core.threads import one_thread
from shallower.task_kinds.class_sets import strata

SEED = 0
FOLDS = 5
# Weights of half the squared coefficients relative to the loss (log loss, half the squared error) summed over examples,
# the strongest first: each fit starts from the one before it.
PENALTIES = (3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0)
# The same of the intercepts of a logistic regression, so that a class that the examples lack gets a small share.
INTERCEPT_PENALTY = 1.0
# Of L-BFGS, for the mean log loss of an example.
GRADIENT_TOLERANCE = 1e-4
MAX_ITERATIONS = 200
# Directions in which the vectors vary less, relative to the largest, are rounding.
NEGLIGIBLE = 1e-10


@dataclass(frozen=True)
class Readout:
    """What cross-validated readouts make of vectors.

    Attributes:
        outputs: for each example that of each class, as of logits, or the value [n, outputs].
        loss: mean log loss or, for numbers, mean squared error.
    """

    outputs: NDArray[np.float64]
    loss: float


def make_folds(labels: NDArray[Any], has_classes: bool, groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """The fold [n] of each example: sizes differ by one at most, and so do those of a class where there are classes.

    Of several classes of an example one counts (`shallower.task_kinds.class_sets.strata`). Examples of one group in
    `groups` [n] are in one fold: what one readout makes of them can be compared.
    """
    if groups is not None:
        _, group_of_example = np.unique(groups, return_inverse=True)
        return make_folds(np.arange(group_of_example.max() + 1), False)[group_of_example]
    order = np.random.default_rng(SEED).permutation(len(labels))
    if has_classes:
        order = order[np.argsort(strata(labels)[order], kind="stable")]
    folds = np.empty(len(labels), dtype=np.int64)
    folds[order] = np.arange(len(labels)) % FOLDS
    return folds


def read_out(
    vectors: NDArray[np.float32], labels: NDArray[Any], folds: NDArray[np.int64], has_classes: bool
) -> Readout:
    """The readout of labels from vectors [n, hidden], with folds as `make_folds` makes them.

    Labels are classes or numbers [n], or 0 and 1 for each class [n, classes].
    Raises UserError when a vector is not finite.
    """
    if not np.isfinite(vectors).all():
        raise UserError("a sentence vector is not finite; the model's training diverged, lower its learning rate")
    features = standardised(vectors)
    with one_thread():
        if has_classes:
            outputs, losses = _logistic_until_worse(features, labels, folds)
        else:
            values = ridge_out_of_fold(features, labels, folds)
            outputs, losses = values[..., None], (values - labels) ** 2
    chosen = _penalty_of_each(losses, folds)
    picked = outputs[chosen, np.arange(len(labels))]
    loss = float(losses[chosen, np.arange(len(labels))].mean())
    return Readout(picked, loss)


def standardised(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Vectors [n, hidden] with mean 0 and variance 1 of each feature; 0 for one that is constant up to rounding."""
    features = vectors.astype(np.float64)
    mean, scale = mean_and_scale(features)
    return (features - mean) * scale


def ridge_out_of_fold(
    features: NDArray[np.float64], labels: NDArray[Any], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Values [penalties, n] by ridge regressions on the other folds, with an intercept that is not penalised.

    From one eigendecomposition, without fitting again: where H maps labels to fitted values, and I are the examples of
    a fold, the residuals of the fit to all others are (1 - H_II)^-1 (y - H y)_I, as for leaving one out (Hastie,
    Tibshirani and Friedman, The Elements of Statistical Learning, equation 7.64). Features have mean 0.
    """
    num_examples, width = features.shape
    if num_examples <= width:
        squares, left = eigh(features @ features.T)
    else:
        squares, right = eigh(features.T @ features)
    kept = squares > NEGLIGIBLE * max(squares.max(), NEGLIGIBLE)
    squares = squares[kept]
    left = left[:, kept] if num_examples <= width else features @ right[:, kept] / np.sqrt(squares)
    centred = labels - labels.mean()
    values = np.empty((len(PENALTIES), num_examples))
    for at, penalty in enumerate(PENALTIES):
        shrunk = left * (squares / (squares + penalty))
        residuals = centred - shrunk @ (left.T @ centred)
        for fold in range(FOLDS):
            rows = np.flatnonzero(folds == fold)
            hat = shrunk[rows] @ left[rows].T + 1 / num_examples
            values[at, rows] = labels[rows] - np.linalg.solve(np.eye(len(rows)) - hat, residuals[rows])
    return values


def _logistic_until_worse(
    features: NDArray[np.float64], labels: NDArray[Any], folds: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outputs [penalties, n, classes] and log losses [penalties, n], down to the first penalty with a higher loss.

    Fits with weaker ones take longest, and would be worse still.
    """
    outputs: list[NDArray[np.float64]] = []
    losses: list[NDArray[np.float64]] = []
    for of_penalty in logistic_out_of_fold(features, labels, folds):
        outputs.append(of_penalty)
        losses.append(_log_losses(of_penalty, labels))
        if len(losses) > 1 and losses[-1].mean() > losses[-2].mean():
            break
    return np.stack(outputs), np.stack(losses)


def _log_losses(outputs: NDArray[np.float64], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Log loss [n] of outputs [n, classes]; where an example may have several classes, the mean over these."""
    if labels.ndim > 1:
        return (np.logaddexp(0, outputs) - outputs * labels).mean(axis=1)
    return logsumexp(outputs, axis=1) - outputs[np.arange(len(labels)), labels]


def logistic_out_of_fold(
    features: NDArray[np.float64], labels: NDArray[Any], folds: NDArray[np.int64]
) -> Iterator[NDArray[np.float64]]:
    """For each of `PENALTIES` outputs [n, classes] by multinomial logistic regressions on the other folds.

    With labels of 0 and 1 for each class [n, classes], each class has a logistic regression of its own.
    """
    if labels.ndim > 1:
        yield from _fit_out_of_fold(features, labels, folds, _yes_or_no)
    elif (num_classes := int(labels.max()) + 1) != 2:
        yield from _fit_out_of_fold(features, np.eye(num_classes)[labels], folds, _one_of_them)
    else:
        # Only the difference of two classes' outputs counts: one regression. Its penalty is that of two halves.
        for difference in _fit_out_of_fold(features, labels[:, None], folds, _yes_or_no, penalised=0.5):
            yield np.hstack([-difference, difference]) / 2


def _fit_out_of_fold(
    features: NDArray[np.float64],
    wanted: NDArray[Any],
    folds: NDArray[np.int64],
    normalise: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]],
    penalised: float = 1.0,
) -> Iterator[NDArray[np.float64]]:
    """For each of `PENALTIES`, times `penalised`, outputs as `wanted` [n, outputs], by regressions on the other folds.

    The regressions of all folds are fitted together, so that the features are read once for all of them. `normalise`
    makes probabilities of outputs, and the logarithms of what normalises them.
    """
    num_examples, width = features.shape
    inputs = np.hstack([features, np.ones((num_examples, 1))])
    is_fitted = (folds[:, None] != np.arange(FOLDS)).astype(np.float64)  # [n, folds]
    wanted = wanted.astype(np.float64)[:, None, :]
    shape = (width + 1, FOLDS, wanted.shape[2])

    def objective(flat: NDArray[np.float64], penalties: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        outputs = np.matmul(inputs, weights.reshape(width + 1, -1)).reshape(num_examples, *shape[1:])
        shares, normalisers = normalise(outputs)
        loss = (is_fitted * (normalisers - (outputs * wanted).sum(axis=2))).sum()
        slopes = (shares - wanted) * is_fitted[..., None]
        shrinking = weights * penalties[:, None, None]
        gradient = (inputs.T @ slopes.reshape(num_examples, -1)).reshape(shape) + shrinking
        return (loss + 0.5 * (weights * shrinking).sum()) / num_examples, gradient.ravel() / num_examples

    flat = np.zeros(np.prod(shape))
    for penalty in PENALTIES:
        penalties = np.full(width + 1, penalised * penalty)
        penalties[-1] = penalised * INTERCEPT_PENALTY
        options = {"maxiter": MAX_ITERATIONS, "gtol": GRADIENT_TOLERANCE, "ftol": 0.0}
        flat = minimize(objective, flat, (penalties,), "L-BFGS-B", jac=True, options=options).x
        found = np.empty((num_examples, shape[2]))
        for fold in range(FOLDS):
            rows = folds == fold
            found[rows] = inputs[rows] @ flat.reshape(shape)[:, fold]
        yield found


def _one_of_them(outputs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of classes of which one is right, and the logarithm of what normalises them; shifts the outputs."""
    outputs -= outputs.max(axis=2, keepdims=True)
    shares = np.exp(outputs)
    totals = shares.sum(axis=2, keepdims=True)
    return shares / totals, np.log(totals)[..., 0]


def _yes_or_no(outputs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same of classes each of which is right or not."""
    return expit(outputs), np.logaddexp(0, outputs).sum(axis=2)


def _penalty_of_each(losses: NDArray[np.float64], folds: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each example the penalty (its place) with the lowest loss [penalties, n] on the other folds."""
    best = [losses[:, folds != fold].sum(axis=1).argmin() for fold in range(FOLDS)]
    return np.array(best)[folds]
