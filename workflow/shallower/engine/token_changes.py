"""What a trimmed vocabulary (`shallower.surgery.vocabulary`) does to texts: their tokens before and after."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from shallower.core.errors import UserError
from shallower.engine.tokens import TokenSet


def token_counts(token_sets: Iterable[TokenSet]) -> dict[int, int]:
    """How often each token occurs in some token sets, by its id; special tokens as well."""
    counts: Counter[int] = Counter()
    for tokens in token_sets:
        ids, occurrences = np.unique(tokens.input_ids, return_counts=True)
        counts.update(dict(zip(ids.tolist(), occurrences.tolist(), strict=True)))
    return dict(counts)


@dataclass(frozen=True)
class TokenChanges:
    """What became of the same texts in a trimmed vocabulary.

    Attributes:
        texts: examples, which may be of two texts.
        changed_texts: those whose tokens are not the same ones.
        tokens, tokens_after: all tokens, special ones included, before and after.
        dropped_tokens: tokens, before, that the trimmed vocabulary lacks.
        unknown_tokens, unknown_after: unknown tokens; None for a tokenizer that has no such token.
        cut_texts, cut_after: examples that were cut to the greatest length.
    """

    texts: int
    changed_texts: int
    tokens: int
    tokens_after: int
    dropped_tokens: int
    unknown_tokens: int | None
    unknown_after: int | None
    cut_texts: int
    cut_after: int

    @property
    def changed_share(self) -> float:
        """The share of examples whose tokens change, from 0 to 1."""
        return self.changed_texts / self.texts if self.texts else 0.0

    @property
    def dropped_share(self) -> float:
        """The share of tokens that the trimmed vocabulary lacks, from 0 to 1."""
        return self.dropped_tokens / self.tokens if self.tokens else 0.0

    def as_record(self) -> dict[str, Any]:
        """All figures and the two shares, for a JSON file."""
        return asdict(self) | {"changed_share": self.changed_share, "dropped_share": self.dropped_share}


def token_changes(full: TokenSet, trimmed: TokenSet, kept: Sequence[int]) -> TokenChanges:
    """Compare the tokens of the same examples by the full and by the trimmed tokenizer.

    `kept` are the old ids of the kept tokens, in the order of their new ids. Raises UserError when the two are not of
    the same examples, or were cut to different lengths.
    """
    if not np.array_equal(full.ids, trimmed.ids) or full.max_length != trimmed.max_length:
        raise UserError("the two sets of tokens are not of the same texts and length; tokenize both again")
    new_ids = np.full(max(int(full.input_ids.max(initial=0)), max(kept, default=0)) + 1, -1, np.int64)
    new_ids[np.asarray(kept, np.int64)] = np.arange(len(kept))
    expected = new_ids[full.input_ids]
    same = [
        np.array_equal(expected[slice(*before)], trimmed.input_ids[slice(*after)])
        for before, after in zip(_places(full), _places(trimmed), strict=True)
    ]
    return TokenChanges(
        texts=len(same),
        changed_texts=same.count(False),
        tokens=len(full.input_ids),
        tokens_after=len(trimmed.input_ids),
        dropped_tokens=int((expected < 0).sum()),
        unknown_tokens=full.unknown,
        unknown_after=trimmed.unknown,
        cut_texts=full.truncated,
        cut_after=trimmed.truncated,
    )


def _places(tokens: TokenSet) -> list[tuple[int, int]]:
    """Where each example's tokens start and end."""
    return list(zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True))
