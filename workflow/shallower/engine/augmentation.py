"""Texts without labels that are made from the training texts, for a teacher to answer.

Source: Tang et al., "Distilling task-specific knowledge from BERT into simple neural networks" (2019; arXiv
1903.12136), on data augmentation: words become the mask token (with a probability of 0.1), and a text is cut to an
n-gram of one to five words (0.25). Of pairs the first text is changed, then the second, then both, in turns. Not taken
over is the replacement by words of the same part of speech, which needs a tagger. What they do with words is done with
tokens here, as the model has them, without any other tool.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.engine.tokens import TokenSet, unknown_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SEED = 0
# Tokens of a segment at most.
LONGEST_SEGMENT = 5
# Which of the two texts of a pair are changed in each copy, in turn.
TURNS = ((True, False), (False, True), (True, True))


@dataclass(frozen=True)
class Texts:
    """The texts within the examples of a token set: R runs of tokens between special ones. T tokens in all."""

    of_token: NDArray[np.int64]  # [T]: number of the text; of special tokens, that of any
    is_text: NDArray[np.bool_]  # [T]: whether a token is of a text
    starts: NDArray[np.int64]  # [R]: the first token of each
    lengths: NDArray[np.int64]  # [R]
    places: NDArray[np.int64]  # [R]: number of the text within its example, from 0
    of_example: NDArray[np.int64]  # [R]: how many texts its example has

    @classmethod
    def of(cls, tokens: TokenSet, special: Collection[int]) -> "Texts":
        """The texts of a token set, whose special tokens ([CLS], [SEP] and the like) have the ids `special`."""
        is_text = ~np.isin(tokens.input_ids, list(special))
        begins = is_text & ~np.concatenate([[False], is_text[:-1]])
        # An example may begin without a special token, right after one that ends with none.
        firsts = tokens.offsets[:-1]
        begins[firsts] = is_text[firsts]
        starts = np.flatnonzero(begins)
        of_token = np.maximum(np.cumsum(begins) - 1, 0)
        examples = np.searchsorted(tokens.offsets, starts, side="right") - 1
        counts = np.bincount(examples, minlength=len(firsts))
        before = np.concatenate([[0], np.cumsum(counts)])[examples]
        return cls(
            of_token=of_token,
            is_text=is_text,
            starts=starts,
            lengths=np.bincount(of_token[is_text], minlength=len(starts)),
            places=np.arange(len(starts)) - before,
            of_example=counts[examples],
        )

    def changed(self, copy: int) -> NDArray[np.bool_]:
        """Which texts a copy (counted from 0) changes, [R]: of pairs one, the other or both, of other examples all."""
        turn = np.array(TURNS[copy % len(TURNS)])
        return turn[np.minimum(self.places, 1)] | (self.of_example != 2)


def augment(
    tokens: TokenSet, copies: int, mask: float, segment: float, stand_in: int, special: Collection[int]
) -> TokenSet:
    """Up to `copies` new texts without labels from each example of a token set, without repeats.

    A token becomes `stand_in` with the probability `mask`, a text a segment of one to five of its tokens with the
    probability `segment`. Tokens with ids in `special` stay as they are. A copy that has the tokens of an example, or
    of an earlier copy, is left out. All is drawn with a fixed seed. The id of copy c (from 0) of the example with id i
    is i * copies + c. The number of unknown tokens is not counted.

    Raises UserError when no copy is left.
    """
    texts, random = Texts.of(tokens, special), np.random.default_rng(SEED)
    lengths = np.diff(tokens.offsets)
    example = np.repeat(np.arange(len(lengths)), lengths)
    types = np.zeros(len(example), np.int8) if tokens.token_type_ids is None else tokens.token_type_ids
    seen = {_digest(ids) for ids in np.split(tokens.input_ids, tokens.offsets[1:-1])}
    parts: list[tuple[NDArray[Any], ...]] = []
    for copy in range(copies):
        ids, kept = _copy(tokens, texts, texts.changed(copy), mask, segment, stand_in, random)
        ends = np.cumsum(np.bincount(example[kept], minlength=len(lengths)))
        is_new = np.zeros(len(lengths), np.bool_)
        for index, text in enumerate(np.split(ids[kept], ends[:-1])):
            if (digest := _digest(text)) not in seen:
                seen.add(digest)
                is_new[index] = True
        taken = kept & is_new[example]
        parts.append(
            (
                ids[taken],
                types[taken],
                np.diff(ends, prepend=0)[is_new],
                tokens.ids[is_new] * copies + copy,
            )
        )
    input_ids, new_types, counts, new_ids = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not len(new_ids):
        raise UserError("refine.distill.augment: every text that is made repeats another; raise mask or segment")
    return replace(
        tokens,
        input_ids=input_ids,
        token_type_ids=None if tokens.token_type_ids is None else new_types,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        labels=np.full(len(new_ids), np.nan, np.float32),
        ids=new_ids,
        truncated=0,
        unknown=None,
        groups=None,
    )


def _copy(
    tokens: TokenSet,
    texts: Texts,
    changed: NDArray[np.bool_],
    mask: float,
    segment: float,
    stand_in: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The ids [T] of one copy of all examples, and which of its tokens are kept [T]."""
    number = len(texts.starts)
    is_masked = texts.is_text & changed[texts.of_token] & (random.random(len(texts.is_text)) < mask)
    is_cut = changed & (random.random(number) < segment)
    sizes = np.minimum(random.integers(1, LONGEST_SEGMENT, number, endpoint=True), texts.lengths)
    firsts = texts.starts + np.floor(random.random(number) * (texts.lengths - sizes + 1)).astype(np.int64)
    position = np.arange(len(texts.is_text))
    is_within = (position >= firsts[texts.of_token]) & (position < (firsts + sizes)[texts.of_token])
    kept = ~texts.is_text | ~is_cut[texts.of_token] | is_within
    return np.where(is_masked, np.int32(stand_in), tokens.input_ids), kept


def _digest(ids: NDArray[np.int32]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(ids).data, digest_size=16).digest()


def stand_in(tokenizer: "PreTrainedTokenizerBase", vocab_size: int, place: str | Path) -> tuple[str, int]:
    """The token, and its id, that replaces others: the mask token or, where a model has none, the unknown one.

    Raises UserError for a tokenizer with neither.
    """
    for token, index in (
        (tokenizer.mask_token, tokenizer.mask_token_id),
        (tokenizer.unk_token, unknown_id(tokenizer)),
    ):
        # A tokenizer class may have a mask token that the model's vocabulary lacks.
        if index is not None and index < vocab_size:
            return str(token), int(index)
    raise UserError(
        f"{place}: the tokenizer has neither a mask token nor an unknown one to replace others with; set mask to 0 in "
        "refine.distill.augment, or remove augment"
    )


def special_ids(tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    """Ids of the tokens that stand around texts."""
    names = ("cls_token_id", "sep_token_id", "pad_token_id", "bos_token_id", "eos_token_id")
    return {index for name in names if (index := getattr(tokenizer, name)) is not None}
