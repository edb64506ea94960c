"""What a trimmed vocabulary does to texts is counted as by hand."""

from dataclasses import replace

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.engine.token_changes import token_changes, token_counts
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


def test_changes_are_counted_in_texts_and_tokens():
    # Kept: 0, 1, 4, 5 and 9, which become 0 to 4. Token 7 is dropped, in two of four texts.
    full = tokens_of([1, 4, 9], [1, 7], [1, 5], [1, 7, 7, 5], unknown=1)
    trimmed = tokens_of([1, 2, 4], [1, 2, 3], [1, 3], [1, 2, 2, 3], unknown=2)

    changes = token_changes(full, replace(trimmed, truncated=1), [0, 1, 4, 5, 9])

    assert (changes.texts, changes.changed_texts, changes.changed_share) == (4, 2, 0.5)
    assert (changes.tokens, changes.tokens_after, changes.dropped_tokens) == (11, 12, 3)
    assert changes.dropped_share == pytest.approx(3 / 11)
    assert (changes.unknown_tokens, changes.unknown_after, changes.cut_texts, changes.cut_after) == (1, 2, 0, 1)
    assert changes.as_record()["changed_share"] == 0.5


def test_a_text_of_kept_tokens_that_is_cut_in_another_way_has_changed():
    assert token_changes(tokens_of([1, 4]), tokens_of([1, 1]), [0, 1, 4]).changed_texts == 1
    assert token_changes(tokens_of([1, 4]), tokens_of([1]), [0, 1, 4]).changed_texts == 1


def test_both_must_be_of_the_same_texts():
    with pytest.raises(UserError, match="not of the same texts"):
        token_changes(tokens_of([1]), tokens_of([1], [1]), [0, 1])
