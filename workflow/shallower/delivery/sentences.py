"""The sentences, with the answers to their words, by which a delivered model that tags words can be checked."""

from collections.abc import Mapping

import numpy as np

from shallower.delivery.parity import Examples, choose_sentences
from shallower.engine.tokens import TokenSet
from shallower.evaluation.groups import rows_of
from shallower.evaluation.predictions import Predictions

# How many words of a sentence that is split.
BEGINNING = 12

Sentences = tuple[list[list[str]], list[np.ndarray]]


def choose_words(words: Mapping[int, list[str]], tokens: TokenSet, predictions: Predictions) -> Examples:
    """Whole sentences or, where all are split, the beginnings of some. `words` are by the group of a sentence.

    Raises UserError when no sentence suits.
    """
    sentences, logits = whole_sentences(words, tokens, predictions)
    if sentences:
        return choose_sentences(sentences, logits)
    return choose_sentences(*beginnings(words, tokens, predictions), of_parts=True)


def whole_sentences(words: Mapping[int, list[str]], tokens: TokenSet, predictions: Predictions) -> Sentences:
    """The words, with their logits, of the sentences that are one example, and of which no word was lost."""
    found: Sentences = ([], [])
    assert tokens.groups is not None and tokens.places is not None
    # Predictions are sorted by ids, which the words of all sentences have in their order.
    for rows in rows_of(tokens.groups):
        own = words[int(tokens.groups[rows[0]])]
        if len(np.unique(tokens.owners[rows])) == 1 and len(np.unique(tokens.places[rows])) == len(own):
            found[0].append(own)
            found[1].append(predictions.logits[rows])
    return found


def beginnings(words: Mapping[int, list[str]], tokens: TokenSet, predictions: Predictions) -> Sentences:
    """The first words, with their logits, of each sentence that is several examples: some of those of the first one."""
    found: Sentences = ([], [])
    assert tokens.groups is not None and tokens.places is not None
    for rows in rows_of(tokens.groups):
        known = rows[:BEGINNING][tokens.owners[rows[:BEGINNING]] == tokens.owners[rows[0]]]
        # A word that was lost is answered at the place of another.
        whole = len(known) if len(np.unique(tokens.places[known])) == len(known) else 0
        found[0].append(words[int(tokens.groups[rows[0]])][:whole])
        found[1].append(predictions.logits[known[:whole]])
    return found
