"""Scores of subsets of a model's layers: what a model that keeps only these can tell, before it is trained again.

Two kinds of scores. A readout (`shallower.analysis.readouts`) is fitted again for each subset: how much of the task the
vectors of texts, or of words where these have the labels, still hold. A pooler's output, a function of the [CLS]
token's vector that refining trains further, is not read. The others are of the full model's own head, where it has
one, on the shallower model as it is: its loss and score, how far its answers are from the full model's, and how far
its vectors are.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shallower.analysis.readouts import FOLDS, SEED, make_folds, read_out
from shallower.analysis.single_layers import LayerRunner, Outputs, States
from shallower.core.errors import UserError
from shallower.core.limits import READOUT_WORDS
from shallower.core.progress import Progress
from shallower.engine.prediction import cosines
from shallower.evaluation.groups import rows_of
from shallower.evaluation.metrics import Metric
from shallower.evaluation.metrics import score as metric_score
from shallower.surgery.subsets import Subset, num_evaluations_of_all, num_subsets, search, subset_label, walk
from shallower.task_kinds.base import TaskKind

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SubsetScores:
    """Scores of subsets of layers, and what they cost.

    Attributes:
        rows: a row for each subset, in the order of their layers, with the columns
            `kept_layers` (such as "0 1 4"), `num_layers` (how many these are);
            `readout_loss` and `readout_score`, of the vector `vector`, and `{vector}_readout_loss` and
            `{vector}_readout_score` of each;
            with a head `loss` and `score`, and their `divergence` from the full model's answers;
            `cosine`, the mean cosine of the vectors that the head reads and those of the full model.
            Of sentence embeddings there are `loss`, `score` and `cosine`, all of their own vectors.
        vector: the vector (of `shallower.analysis.single_layers`) whose readout of the full model has the lowest loss.
        is_complete: whether these are all subsets; where layers share their weights, all depths.
        cost: `layer_evaluations`; `forward_passes`, of the full model, which run as many layers; `seconds`, of which
            `readout_seconds` are for the readouts.
        readout_rows: how many of the rows of labels readouts are of (`readout_rows`).
    """

    rows: list[dict[str, Any]]
    vector: str
    is_complete: bool
    cost: dict[str, Any]
    readout_rows: int


def score_subsets(
    runner: LayerRunner,
    labels: NDArray[Any],
    kind: TaskKind,
    metric: Metric,
    budget: int,
    groups: NDArray[np.int64] | None = None,
) -> SubsetScores:
    """Score subsets of a model's layers on calibration examples with labels [n, ...], which `groups` [n] hold together.

    All subsets where a `budget` of layer evaluations allows, else the most promising ones
    (`shallower.surgery.subsets.search`); where layers share their weights, one of each depth. Scores are those of
    `metric`. Raises UserError when the labels hold one class only, when the budget is too small, and when hidden states
    are not finite.
    """
    judge: _Judge | _VectorJudge
    if kind.answers_with_vectors:
        judge = _VectorJudge(labels, kind, metric)
    else:
        judge = _Judge(labels, kind, metric, groups, runner.read)
    began, progress, run = time.perf_counter(), Progress(logger), 0
    most = runner.num_layers if runner.shares_layers else min(budget, num_evaluations_of_all(runner.stack))

    def run_layer(layer: int, states: States | None) -> tuple[States, Outputs]:
        nonlocal run
        run += 1
        progress.log("layer evaluation %d of at most %d", run, most)
        return runner.run(layer, states)

    def score(subsets: Sequence[Subset]) -> list[float]:
        losses = {}
        for subset, outputs in walk(subsets, run_layer):
            losses[subset] = judge.add(subset, outputs)
        return [losses[subset] for subset in subsets]

    evaluations = search(runner.stack, runner.shares_layers, budget, score)
    cost = {
        "layer_evaluations": evaluations,
        "forward_passes": round(evaluations / runner.num_layers, 2),
        "seconds": round(time.perf_counter() - began, 3),
        "readout_seconds": round(judge.readout_seconds, 3),
    }
    is_complete = runner.shares_layers or len(judge.rows) == num_subsets(runner.stack)
    rows = [judge.rows[subset] for subset in sorted(judge.rows)]
    return SubsetScores(rows, judge.vector, is_complete, cost, judge.readout_rows)


def readout_rows(labels: NDArray[Any], kind: TaskKind, groups: NDArray[np.int64] | None) -> NDArray[np.intp]:
    """The rows of labels that readouts are fitted on and judged by: all or, of many words, those of some sentences.

    Sentences are drawn at random, always the same ones, while their words are no more than `READOUT_WORDS`; there is
    at least one for each fold.
    """
    if not kind.answers_words or groups is None or len(labels) <= READOUT_WORDS:
        return np.arange(len(labels))
    sentences = rows_of(groups)
    drawn = np.random.default_rng(SEED).permutation(len(sentences))
    fitting = np.searchsorted(np.cumsum([len(sentences[one]) for one in drawn]), READOUT_WORDS, side="right")
    return np.concatenate([sentences[one] for one in np.sort(drawn[: max(fitting, FOLDS)])])


class _Judge:
    """Makes a row of each subset; the first one must be the full model, which the others are compared with.

    `read` names the vectors that the model's head reads. Raises UserError when there is but one class to read out.
    """

    def __init__(
        self, labels: NDArray[Any], kind: TaskKind, metric: Metric, groups: NDArray[np.int64] | None, read: str
    ) -> None:
        self._labels, self._kind, self._metric, self._groups, self._read = labels, kind, metric, groups, read
        self._rows = readout_rows(labels, kind, groups)
        self._read_labels, self._read_groups = labels[self._rows], None if groups is None else groups[self._rows]
        if problem := kind.probe_problem(self._read_labels):
            raise UserError(f"{problem}; raise calibration.examples")
        self._folds = make_folds(self._read_labels, kind.has_classes, self._read_groups)
        self._full: Outputs | None = None
        self.rows: dict[Subset, dict[str, Any]] = {}
        self.vector = ""
        self.readout_seconds, self.readout_rows = 0.0, len(self._rows)

    def add(self, subset: Subset, outputs: Outputs) -> float:
        """Make the row of a subset and return the loss of its readout."""
        readouts = self._readouts(outputs)
        if self._full is None:
            self._full = outputs
            self.vector = min(readouts, key=lambda name: readouts[name]["readout_loss"])
        row: dict[str, Any] = {"kept_layers": subset_label(subset), "num_layers": len(subset), **readouts[self.vector]}
        row |= {f"{name}_{column}": value for name, found in readouts.items() for column, value in found.items()}
        if outputs.logits is not None and self._full.logits is not None:
            row |= self._of_head(outputs.logits, self._full.logits)
        row["cosine"] = mean_cosine(outputs.vectors[self._read], self._full.vectors[self._read])
        self.rows[subset] = row
        loss: float = row["readout_loss"]
        return loss

    def _readouts(self, outputs: Outputs) -> dict[str, dict[str, float]]:
        began = time.perf_counter()
        found = {}
        for name, vectors in outputs.vectors.items():
            readout = read_out(vectors[self._rows], self._read_labels, self._folds, self._kind.has_classes)
            answers = self._kind.answers(readout.outputs)
            score = metric_score(self._metric, self._read_labels, answers, self._read_groups)
            found[name] = {"readout_loss": readout.loss, "readout_score": score}
        self.readout_seconds += time.perf_counter() - began
        return found

    def _of_head(self, logits: NDArray[np.float32], full: NDArray[np.float32]) -> dict[str, float]:
        loss = self._kind.loss(torch.from_numpy(logits), torch.from_numpy(self._labels))
        score = metric_score(self._metric, self._labels, self._kind.answers(logits), self._groups)
        return {"loss": float(loss), "score": score, "divergence": self._kind.divergence(full, logits)}


class _VectorJudge:
    """The same of sentence embeddings, whose vectors are the answers: nothing has to be fitted to them.

    The loss is how far they are from those of the full model, and the score is that of the cosines of pairs; texts and
    their labels [n] are those of pairs, two by two.
    """

    vector = "sentence"
    readout_seconds, readout_rows = 0.0, 0

    def __init__(self, labels: NDArray[Any], kind: TaskKind, metric: Metric) -> None:
        self._labels, self._kind, self._metric = labels[::2], kind, metric
        self._full: NDArray[np.float32] | None = None
        self.rows: dict[Subset, dict[str, Any]] = {}

    def add(self, subset: Subset, outputs: Outputs) -> float:
        """Make the row of a subset and return its loss."""
        vectors = outputs.logits
        assert vectors is not None
        self._full = full = vectors if self._full is None else self._full
        loss = float(self._kind.distillation_loss(torch.from_numpy(vectors), torch.from_numpy(full), 1.0))
        score = metric_score(self._metric, self._labels, self._kind.answers(cosines(vectors)))
        row = {"kept_layers": subset_label(subset), "num_layers": len(subset), "loss": loss, "score": score}
        self.rows[subset] = row | {"cosine": mean_cosine(vectors, full)}
        return loss


def mean_cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Mean cosine of vectors [n, hidden] and others, one by one."""
    first, second = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(np.mean((first * second).sum(axis=1) / lengths))
