"""Layer-wise classifiers: what a linear model can tell from the [CLS] token at each depth (paper figure 3).

The paper does not say which classifier it used. Here it is an L2-penalised logistic regression, or a ridge regression
where the task is one, on standardised vectors. Nothing is drawn at random but the training examples, always the same.
"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from shallower.analysis.standardising import mean_and_scale
from shallower.core.errors import UserError
from shallower.core.parquet import to_column, write_parquet
from shallower.core.threads import one_thread
from shallower.engine.tokens import TokenSet
from shallower.evaluation.predictions import stored_labels
from shallower.task_kinds.base import TaskKind
from shallower.task_kinds.registry import task_kind

logger = logging.getLogger(__name__)

SEED = 0
# Weight of half the squared coefficients relative to the loss (log loss, half the squared error) summed over examples.
PENALTY = 100.0
MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class Probe:
    """A linear model of labels given one depth's vectors, which it standardises by `mean` and `scale` [hidden]."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    model: Any  # a scikit-learn estimator

    def answers(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        """Answers [n, ...], in the form of labels, for vectors [n, hidden]."""
        return self.model.predict((vectors - self.mean) * self.scale)


def choose_examples(num_examples: int, at_most: int) -> NDArray[np.int64]:
    """Positions of the training examples that probes learn from: ascending, the same for every model of a task."""
    if num_examples <= at_most:
        return np.arange(num_examples)
    return np.sort(np.random.default_rng(SEED).choice(num_examples, at_most, replace=False))


def fit_probes(vectors: NDArray[np.float32], labels: NDArray[Any], target: str) -> list[Probe]:
    """One probe a depth, from vectors [depths, n, hidden] and labels [n, ...].

    `target` is the name of the kind of task. A probe that does not converge is used as it is, with a warning.
    Raises UserError when a vector is not finite and when there is but one class to learn.
    """
    if not np.isfinite(vectors).all():
        raise UserError("a hidden state is not finite; the run diverged, lower its learning rate")
    kind = task_kind(target)
    if problem := kind.probe_problem(labels):
        raise UserError(f"{problem}; raise probe.train_examples")
    return [_fit(at_depth, labels, kind, depth) for depth, at_depth in enumerate(vectors)]


def probe_answers(probes: Sequence[Probe], vectors: NDArray[np.float32]) -> NDArray[Any]:
    """Answers [depths, n, ...] of each depth's probe for that depth's vectors [depths, n, hidden]."""
    return np.stack([probe.answers(at_depth) for probe, at_depth in zip(probes, vectors, strict=True)])


def write_probes(path: str | Path, tokens: TokenSet, answers: NDArray[Any]) -> None:
    """Write answers [depths, n, ...] as parquet: depth and id (int64), label and prediction (as labels are stored).

    Where examples belong together there is also group (int64).
    """
    depths, num_examples = answers.shape[:2]
    labels = stored_labels(tokens.labels)
    table = pa.table(
        {
            "depth": np.repeat(np.arange(depths), num_examples),
            "id": np.tile(tokens.ids, depths),
            "label": to_column(np.concatenate([labels] * depths)),
            "prediction": to_column(np.concatenate([*answers]).astype(labels.dtype)),
        }
    )
    if tokens.groups is not None:
        table = table.append_column("group", pa.array(np.tile(tokens.groups, depths)))
    write_parquet(path, table)


def _fit(vectors: NDArray[np.float32], labels: NDArray[Any], kind: TaskKind, depth: int) -> Probe:
    precise = vectors.astype(np.float64)
    mean, scale = mean_and_scale(precise)
    features = (precise - mean) * scale
    model = kind.linear_model(PENALTY, MAX_ITERATIONS)
    with warnings.catch_warnings(), one_thread():
        # Logged below, with the depth.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels.astype(kind.label_dtype))
    iterations = getattr(model, "n_iter_", None)  # a model that is not solved step by step has none
    if iterations is not None and np.max(iterations) >= MAX_ITERATIONS:
        logger.warning("the classifier at depth %d had not converged after %d iterations", depth, MAX_ITERATIONS)
    return Probe(mean, scale, model)
