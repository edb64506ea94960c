"""The words by which kinds of task are spoken of: what a score is of, what is drawn, what has the chance level."""

import pytest

from shallower.core.wording import Unit
from shallower.task_kinds.registry import TASK_KINDS

# Rows of predictions, what a resample draws, and what has the chance level.
WORDS = {
    "classification": ("example", "examples", "a constant answer"),
    "regression": ("example", "examples", "a constant answer"),
    "multi-label": ("example", "examples", "a constant answer"),
    "ranking": ("pair", "queries", "a random order"),
    "tokens": ("word", "sentences", "a constant answer"),
    "embedding": ("pair", "pairs", "a constant answer"),
    "retrieval": ("query", "queries", ""),
}


@pytest.mark.parametrize("kind", TASK_KINDS.values(), ids=list(TASK_KINDS))
def test_words_of_each_kind(kind):
    assert (kind.row.one, kind.drawn.many, kind.constant) == WORDS[kind.name]
    assert kind.collapse


def test_numbers_of_a_unit():
    query = Unit("query", "queries")
    assert [query.counted(number) for number in (0, 1, 1200)] == ["0 queries", "1 query", "1,200 queries"]
