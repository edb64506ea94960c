"""Scores of tagged words: entities as seqeval finds them, counted by sentence, and the share of words that are right.

F1 of many sentences is that of the sums of their counts, so that resamples cost no more than sums. Entities are found
by seqeval, which follows CoNLL's scorer; its own f1_score is the reference. It is imported where it is used.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.evaluation.by_class import scores_of_counts
from shallower.evaluation.groups import rows_of
from shallower.task_kinds.tag_schemes import BILOU, Tagging, entity_types

Entities = set[tuple[str, int, int]]

# seqeval's lenient reading does not know BILOU; IOBES has other letters for the same.
_AS_IOBES = {"L": "E", "U": "S"}


def readable_tags(tagging: Tagging) -> list[str]:
    """The tags by their ids as seqeval is to read them."""
    if tagging.strict or tagging.scheme != BILOU:
        return list(tagging.tags)
    return [_AS_IOBES.get(tag[:1], tag[:1]) + tag[1:] if tag[1:2] == "-" else tag for tag in tagging.tags]


def entity_finder(tagging: Tagging) -> Callable[[Sequence[int]], Entities]:
    """What finds the entities of one sentence of tags' ids: their types, first and last words."""
    from seqeval import scheme
    from seqeval.metrics.sequence_labeling import get_entities

    tags = readable_tags(tagging)
    if not tagging.strict:
        return lambda sentence: set(get_entities([tags[index] for index in sentence]))
    own = getattr(scheme, tagging.scheme)

    def strict(sentence: Sequence[int]) -> Entities:
        found = scheme.Entities([[tags[index] for index in sentence]], own).entities[0]
        return {(entity.tag, entity.start, entity.end - 1) for entity in found}

    return strict


def entity_counts(
    tagging: Tagging, labels: NDArray[Any], answers: NDArray[Any], rows: Sequence[NDArray[np.intp]]
) -> NDArray[np.float64]:
    """Numbers [sentences, 3] of entities that are found rightly, that are labelled, and that are found."""
    find = entity_finder(tagging)
    counts = np.empty((len(rows), 3))
    for sentence, words in enumerate(rows):
        true, found = find(labels[words].tolist()), find(answers[words].tolist())
        counts[sentence] = len(true & found), len(true), len(found)
    return counts


def scores_by_type(
    tagging: Tagging, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Scores of the entities of each type, as `shallower.evaluation.by_class.scores_of_counts` has them of classes."""
    find = entity_finder(tagging)
    hits, true, found = Counter[str](), Counter[str](), Counter[str]()
    for words in rows_of(groups):
        of_labels, of_answers = find(labels[words].tolist()), find(answers[words].tolist())
        for counter, entities in ((hits, of_labels & of_answers), (true, of_labels), (found, of_answers)):
            counter.update(kind for kind, _, _ in entities)
    types = entity_types(tagging.tags)
    return scores_of_counts(types, *(np.array([counter[name] for name in types]) for counter in (hits, true, found)))


def f1_of_counts(counts: NDArray[np.float64]) -> NDArray[Any]:
    """F1 [...] of the sums of counts [..., sentences, 3]; 0 where there is no entity."""
    hits, true, found = np.moveaxis(counts.sum(axis=-2), -1, 0)
    return np.divide(2 * hits, true + found, out=np.zeros_like(hits), where=true + found > 0)


def right_counts(labels: NDArray[Any], answers: NDArray[Any], rows: Sequence[NDArray[np.intp]]) -> NDArray[np.float64]:
    """Numbers [sentences, 2] of words whose tag is right, and of all words."""
    right = labels == answers
    return np.array([[right[words].sum(), len(words)] for words in rows], np.float64)


def share_of_counts(counts: NDArray[np.float64]) -> NDArray[Any]:
    """The share [...] of the first of counts [..., sentences, 2]."""
    right, words = np.moveaxis(counts.sum(axis=-2), -1, 0)
    return right / words


def seqeval_f1(tagging: Tagging, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64]) -> float:
    """F1 of entities by seqeval's own f1_score."""
    from seqeval import scheme
    from seqeval.metrics import f1_score

    tags = readable_tags(tagging)
    ends = np.flatnonzero(np.diff(groups)) + 1
    true, found = (
        [[tags[index] for index in sentence] for sentence in np.split(side, ends)] for side in (labels, answers)
    )
    strict = {"mode": "strict", "scheme": getattr(scheme, tagging.scheme)} if tagging.strict else {}
    return float(f1_score(true, found, zero_division=0, **strict))
