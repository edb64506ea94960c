"""Scores of retrieval, of each query: nDCG@10, MRR@10 and recall, as trec_eval has them, whose mean is the score.

Labels [n, k] are the grades of all relevant documents of each query, the highest first, and 0 behind them; answers
[n, m] those of the documents that were found, by rank, 0 for one that is not relevant. The gain of a document is its
grade (not 2 to its power), divided by the logarithm to the base 2 of its rank plus 1; nDCG@10 divides the sum over the
first ten by that of the best order (ndcg_cut_10). MRR@10 is 1 / the rank of the first relevant document, 0 beyond rank
10. Recall is the share of a query's relevant documents that are among the first ten, or hundred (recall_10 and so on).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.evaluation.rankings import DEPTH


@dataclass(frozen=True)
class Found:
    """The documents that were found for each query, by rank: ids int64 [n, m], and cosines float32 [n, m]."""

    documents: NDArray[np.int64]
    cosines: NDArray[np.float32]


# Of each query [n], from labels [n, k] and answers [n, m].
QueryScore = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]


def mean_of(score: QueryScore) -> Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """A metric's function: the mean over the queries [..., n] that each resample takes."""
    return lambda labels, answers, rows: score(labels, answers)[rows].mean(axis=-1)


def ndcg(labels: NDArray[Any], answers: NDArray[Any]) -> NDArray[np.float64]:
    """nDCG@10 of each query."""
    best = _discounted(labels)
    return np.divide(_discounted(answers), best, out=np.zeros(len(labels)), where=best > 0)


def _discounted(grades: NDArray[Any]) -> NDArray[np.float64]:
    first = grades[:, :DEPTH].astype(np.float64)
    return (first / np.log2(np.arange(2, first.shape[1] + 2))).sum(axis=1)


def reciprocal_rank(labels: NDArray[Any], answers: NDArray[Any]) -> NDArray[np.float64]:
    """1 / the rank of the first relevant document of each query."""
    is_relevant = answers[:, :DEPTH] > 0
    return np.where(is_relevant.any(axis=1), 1.0 / (1 + is_relevant.argmax(axis=1)), 0.0)


def recall(depth: int) -> QueryScore:
    """The share of relevant documents among the first ones of each query."""

    def score(labels: NDArray[Any], answers: NDArray[Any]) -> NDArray[np.float64]:
        relevant = (labels > 0).sum(axis=1)
        found = (answers[:, :depth] > 0).sum(axis=1).astype(np.float64)
        return np.divide(found, relevant, out=np.zeros(len(labels)), where=relevant > 0)

    return score


def reference_ndcg(labels: Sequence[Sequence[float]], answers: Sequence[Sequence[float]]) -> float:
    """nDCG@10 by scikit-learn: documents that were not found come behind all that were."""
    from sklearn.metrics import ndcg_score

    scores = []
    for relevant, found in zip(labels, answers, strict=True):
        lost = _lost(relevant, found)
        grades, ranks = [*found, *lost, 0.0], range(len(found) + len(lost) + 1, 0, -1)
        scores.append(ndcg_score([grades], [[*ranks]], k=DEPTH))
    return float(np.mean(scores))


def reference_mrr(labels: Sequence[Sequence[float]], answers: Sequence[Sequence[float]]) -> float:
    """MRR@10, one document after another."""
    ranks = [next((rank for rank, grade in enumerate(found[:DEPTH], 1) if grade > 0), None) for found in answers]
    return float(np.mean([0.0 if rank is None else 1 / rank for rank in ranks]))


def reference_recall(depth: int) -> Callable[[Sequence[Sequence[float]], Sequence[Sequence[float]]], float]:
    """Recall by scikit-learn, of all documents that are relevant or were found."""

    def reference(labels: Sequence[Sequence[float]], answers: Sequence[Sequence[float]]) -> float:
        from sklearn.metrics import recall_score

        scores = []
        for relevant, found in zip(labels, answers, strict=True):
            grades = np.array([*found, *_lost(relevant, found)])
            scores.append(recall_score(grades > 0, np.arange(len(grades)) < min(depth, len(found)), zero_division=0))
        return float(np.mean(scores))

    return reference


def _lost(relevant: Sequence[float], found: Sequence[float]) -> list[float]:
    """The grades of relevant documents that were not found."""
    left = [grade for grade in relevant if grade > 0]
    for grade in found:
        if grade > 0:
            left.remove(grade)
    return left
