"""How often tokens occur, which a trimmed vocabulary (`shallower.surgery.vocabulary`) goes by."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from shallower.engine.tokens import TokenSet


def token_counts(token_sets: Iterable[TokenSet]) -> dict[int, int]:
    """How often each token occurs in some token sets, by its id; special tokens as well."""
    counts: Counter[int] = Counter()
    for tokens in token_sets:
        ids, occurrences = np.unique(tokens.input_ids, return_counts=True)
        counts.update(dict(zip(ids.tolist(), occurrences.tolist(), strict=True)))
    return dict(counts)
