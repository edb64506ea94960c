"""Predictions of a fine-tuned model by torch."""

import logging

import numpy as np
import torch

from shallower.core.limits import CPU_TOKENS
from shallower.core.progress import Progress
from shallower.engine.batches import evaluation_batches
from shallower.engine.classifiers.base import Classifier
from shallower.engine.devices import Compute
from shallower.engine.dropout import Dropout
from shallower.engine.tokens import TokenSet
from shallower.evaluation.retrieval import Found

logger = logging.getLogger(__name__)

# Tokens of one forward pass, padding included. On a CPU small batches stay in its caches.
TOKEN_BUDGET = {"cpu": CPU_TOKENS, "cuda": 32768}
# Documents that are kept of each query, as many as the deepest metric counts; cosines that are in memory at once.
DEPTH, COSINES_AT_ONCE = 100, 5_000_000


def predict(classifier: Classifier, tokens: TokenSet, compute: Compute) -> np.ndarray:
    """Logits of every row of labels, float32 [R, number of outputs], in the token set's order.

    Up to rounding, the result does not depend on which examples share a batch.
    """
    return predict_with_vectors(classifier, tokens, compute, with_vectors=False)[0]


def predict_with_vectors(
    classifier: Classifier, tokens: TokenSet, compute: Compute, with_vectors: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """The logits as `predict` has them and, if asked for, the vectors that the head reads, float32 [R, hidden]."""
    classifier.begin_prediction(compute.device)
    batches = evaluation_batches(np.diff(tokens.offsets), TOKEN_BUDGET[compute.device])
    outputs: list[torch.Tensor] = []
    vectors: list[torch.Tensor] = []
    done, progress = 0, Progress(logger)
    with torch.inference_mode(), compute.autocast():
        for examples in batches:
            found = classifier.compute(tokens, examples, Dropout(), with_vectors)
            outputs.append(found.logits.float())
            if found.vectors is not None:
                vectors.append(found.vectors.float())
            done += len(examples)
            progress.log("predicted %d of %d examples", done, tokens.size)
    order = np.concatenate([tokens.rows(examples) for examples in batches])
    return _in_order(outputs, order), _in_order(vectors, order) if vectors else None


def of_examples(
    tokens: TokenSet, outputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, Found | None]:
    """Ids [n], labels, logits [n, outputs], groups and found documents of examples, of a model's outputs for all rows.

    Of pairs, whose outputs are vectors of texts, the logit is their cosine. Of a test collection an example is a query,
    and logits are the grades of the documents that are found for it.
    """
    if tokens.queries:
        return search(tokens, outputs)
    if not tokens.pairs:
        return tokens.ids, tokens.labels, outputs, tokens.groups, None
    groups = None if tokens.groups is None else tokens.groups[::2]
    return tokens.ids[::2], tokens.labels[::2], cosines(outputs), groups, None


def search(tokens: TokenSet, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, None, Found]:
    """What `of_examples` gives of a test collection: each query's documents with the highest cosines, `DEPTH` at most.

    Labels [n, k] are the grades of all relevant documents, the highest first, and 0 behind them. Of documents with the
    same cosine the first one in the corpus comes first.
    """
    assert tokens.judged is not None and tokens.grades is not None
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    directions = (vectors / np.maximum(lengths, np.finfo(np.float64).tiny)).astype(np.float32)
    queries, documents = directions[: tokens.queries], directions[tokens.queries :]
    depth, at_once = min(DEPTH, len(documents)), max(1, COSINES_AT_ONCE // len(documents))
    ranked, highest = [], []
    for start in range(0, len(queries), at_once):
        found = queries[start : start + at_once] @ documents.T
        order = np.argsort(-found, axis=1, kind="stable")[:, :depth]
        ranked.append(order)
        highest.append(np.take_along_axis(found, order, axis=1))
    rows = np.concatenate(ranked) + tokens.queries
    grade_of = dict(zip(map(tuple, tokens.judged.tolist()), tokens.grades.tolist(), strict=True))
    logits = np.array([[grade_of.get((query, row), 0.0) for row in found] for query, found in enumerate(rows.tolist())])
    counts = np.bincount(tokens.judged[:, 0], minlength=tokens.queries)
    labels = np.zeros((tokens.queries, counts.max()))
    order = np.lexsort((-tokens.grades, tokens.judged[:, 0]))
    places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    labels[tokens.judged[order, 0], places] = tokens.grades[order]
    return (
        tokens.ids[: tokens.queries],
        labels,
        logits.astype(np.float32),
        None,
        Found(tokens.ids[rows], np.concatenate(highest)),
    )


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Cosines float32 [n, 1] of vectors [2 * n, H], two by two; 0 where one of them is 0."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    directions = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
    return (directions[::2] * directions[1::2]).sum(axis=1, keepdims=True).astype(np.float32)


def _in_order(parts: list[torch.Tensor], order: np.ndarray) -> np.ndarray:
    """Rows that were computed in the order `order`, as one array in the token set's order."""
    computed = torch.cat(parts).cpu().numpy()
    ordered = np.empty_like(computed)
    ordered[order] = computed
    return ordered
