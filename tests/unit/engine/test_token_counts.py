"""Tokens are counted as by hand."""

import numpy as np

from shallower.engine.token_counts import token_counts
from shallower.engine.tokens import TokenSet


def tokens_of(*examples: list[int], unknown: int = 0) -> TokenSet:
    return TokenSet(
        input_ids=np.array([number for ids in examples for number in ids], np.int32),
        token_type_ids=None,
        offsets=np.cumsum([0, *map(len, examples)]),
        labels=np.zeros(len(examples), np.int64),
        ids=np.arange(len(examples)),
        max_length=8,
        padding_side="right",
        pad_token_id=0,
        pad_token_type_id=0,
        cls_token_id=1,
        truncated=0,
        unknown=unknown,
    )


def test_tokens_are_counted_over_all_sets():
    assert token_counts([tokens_of([1, 5, 5], [1]), tokens_of([5, 2])]) == {1: 2, 5: 3, 2: 1}
    assert token_counts([]) == {}
