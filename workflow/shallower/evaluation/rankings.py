"""Scores of rankings: nDCG@10 and MRR@10 of each query, whose mean over the queries is the score.

nDCG@10 is trec_eval's ndcg_cut_10, which scikit-learn's ndcg_score and BEIR have as well: the gain of a text is its
label (not 2 to its power), divided by the logarithm to the base 2 of its rank plus 1; the sum over the first ten is
divided by that of the best order. MRR@10 is the mean of 1 / the rank of the first text with a label above 0, 0 where it
is not among the first ten. Texts that are not among a query's rows count in neither.

Texts with equal answers have no order. A score is then the mean over all orders of these (McSherry and Najork,
"Computing information retrieval performance measures efficiently in the presence of tied scores", 2008), as
scikit-learn has it; trec_eval takes them in the order of their names, which has nothing to do with the model. The score
of answers that are all the same is so that of a random order, the chance level.

A query without a relevant text scores 0, as in trec_eval; such queries are not among those that a study scores (see
`shallower.sources.queries`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.evaluation.groups import rows_of

# Ranks that count.
DEPTH = 10


def of_each(
    score: Callable[[NDArray[Any], NDArray[Any]], float],
) -> Callable[[NDArray[Any], NDArray[Any], Sequence[NDArray[np.intp]]], NDArray[np.float64]]:
    """The scores [queries, 1] of all queries, from that of the labels and answers of one."""

    def statistics(
        labels: NDArray[Any], answers: NDArray[Any], rows: Sequence[NDArray[np.intp]]
    ) -> NDArray[np.float64]:
        return np.array([[score(labels[texts], answers[texts])] for texts in rows], np.float64)

    return statistics


def mean_of_queries(statistics: NDArray[np.float64]) -> NDArray[Any]:
    """Scores [...] of those of each query [..., queries, 1]."""
    return statistics[..., 0].mean(axis=-1)


def ndcg(labels: NDArray[Any], answers: NDArray[Any]) -> float:
    """nDCG@10 of the texts [n] of one query."""
    order, starts = _ties(answers)
    sizes = np.diff([*starts, len(order)])
    gains = np.repeat(np.add.reduceat(labels[order], starts) / sizes, sizes)
    best = _discounted(np.sort(labels)[::-1])
    return float(_discounted(gains) / best) if best > 0 else 0.0


def _discounted(gains: NDArray[Any]) -> float:
    first = gains[:DEPTH]
    return float((first / np.log2(np.arange(2, len(first) + 2))).sum())


def reciprocal_rank(labels: NDArray[Any], answers: NDArray[Any]) -> float:
    """1 / the rank of the first relevant text, of the texts [n] of one query; 0 beyond rank 10."""
    order, starts = _ties(answers)
    is_relevant = labels[order] > 0
    if not is_relevant.any():
        return 0.0
    # Of the first texts that are tied and hold a relevant one.
    place = int(np.searchsorted(starts, is_relevant.argmax(), side="right")) - 1
    start, end = int(starts[place]), int([*starts, len(order)][place + 1])
    tied, relevant = end - start, int(is_relevant[start:end].sum())
    expected, none_before = 0.0, 1.0
    for rank in range(start + 1, min(DEPTH, end) + 1):
        left = tied - (rank - 1 - start)
        expected += none_before * relevant / left / rank
        none_before *= 1 - relevant / left
        if none_before <= 0:
            break
    return expected


def _ties(answers: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The texts [n] from the highest answer to the lowest, and where each run of equal answers starts."""
    order = np.argsort(-answers, kind="stable")
    ordered = answers[order]
    return order, np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])


def reference_ndcg(labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64]) -> float:
    """nDCG@10 by scikit-learn, which takes no query with one text: its only order is the best one."""
    from sklearn.metrics import ndcg_score

    scores = [
        ndcg_score([labels[texts]], [answers[texts]], k=DEPTH) if len(texts) > 1 else float(labels[texts][0] > 0)
        for texts in rows_of(groups)
    ]
    return float(np.mean(scores))


def reference_mrr(labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64]) -> float:
    """MRR@10 by scipy's hypergeometric distribution: how likely none of the first tied texts is relevant."""
    from scipy.stats import hypergeom

    scores = []
    for texts in rows_of(groups):
        found, own = answers[texts], labels[texts] > 0
        if not own.any():
            scores.append(0.0)
            continue
        best = found[own].max()
        before, tied = int((found > best).sum()), found == best
        drawn = np.arange(tied.sum() + 1)
        # Of the first 0, 1, ... of the tied texts, none is relevant.
        none = hypergeom.pmf(0, tied.sum(), (tied & own).sum(), drawn)
        ranks = before + drawn[1:]
        scores.append(float(((none[:-1] - none[1:]) / ranks)[ranks <= DEPTH].sum()))
    return float(np.mean(scores))
