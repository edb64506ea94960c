"""Batches of tokenized examples: grouped by length, padded no further than the batch needs.

Everything here is numpy and a pure function of its arguments, so that an interrupted training run can resume from the
number of steps alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.engine.tokens import TokenSet

# How many batches are sorted by length together while training: enough to leave hardly any padding, few enough that
# the order stays random.
POOL_BATCHES = 50


@dataclass(frozen=True)
class Batch:
    """Examples padded to the longest among them: B examples of at most L tokens.

    `attention_mask` is None when there is no padding to hide, `token_type_ids` when the tokenizer has none.
    """

    examples: np.ndarray  # int64 [B]: positions in the token set
    input_ids: np.ndarray  # int64 [B, L]
    attention_mask: np.ndarray | None  # int64 [B, L]: 1 for a token, 0 for padding
    token_type_ids: np.ndarray | None  # int64 [B, L]
    labels: np.ndarray  # those of the token set [R, ...], a row for each example or word that has one
    places: tuple[np.ndarray, np.ndarray] | None = None  # of each row the example in the batch, and its token there


def training_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The examples of each step of one epoch, in an order that depends on the seed and the epoch only.

    Every example occurs exactly once; all batches but one have `batch_size` examples. Examples are shuffled, sorted by
    length within pools of `POOL_BATCHES` batches, and the batches shuffled again.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    batches = []
    for pool in _chunks(order, batch_size * POOL_BATCHES):
        batches += _chunks(pool[np.argsort(lengths[pool], kind="stable")], batch_size)
    return [batches[index] for index in random.permutation(len(batches))]


def rows_of(units: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """The rows of examples, one after another; `units` [examples + 1] is where each of them starts among the rows."""
    starts, counts = units[examples], units[examples + 1] - units[examples]
    return np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())


def evaluation_batches(lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """Batches for one pass over all examples, longest first, each at most `token_budget` tokens with its padding.

    An example longer than the budget has a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        stop = start + max(1, token_budget // max(1, int(lengths[order[start]])))
        batches.append(order[start:stop])
        start = stop
    return batches


def make_batch(tokens: TokenSet, examples: np.ndarray) -> Batch:
    """Collect examples of a token set and pad them on the tokenizer's side."""
    starts = tokens.offsets[examples]
    lengths = tokens.offsets[examples + 1] - starts
    width = int(lengths.max())
    positions = np.arange(width) - (0 if tokens.padding_side == "right" else width - lengths[:, None])
    is_token = (positions >= 0) & (positions < lengths[:, None])
    sources = (starts[:, None] + positions)[is_token]

    def padded(values: np.ndarray, padding: int) -> np.ndarray:
        filled = np.full(is_token.shape, padding, dtype=np.int64)
        filled[is_token] = values[sources]
        return filled

    num_tokens = int(lengths.sum())
    types = tokens.token_type_ids
    return Batch(
        examples=examples,
        input_ids=padded(tokens.input_ids, tokens.pad_token_id),
        attention_mask=None if num_tokens == is_token.size else is_token.astype(np.int64),
        token_type_ids=None if types is None else padded(types, tokens.pad_token_type_id),
        labels=tokens.labels[tokens.rows(examples)],
        places=_places(tokens, examples, starts, positions) if tokens.places is not None else None,
    )


def _places(
    tokens: TokenSet, examples: np.ndarray, starts: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each row of examples the example in their batch, and its token's place there, [R] each.

    `positions` are those that the places of the batch stand for: [L], or [B, L] with padding on the left.
    """
    assert tokens.places is not None
    rows = tokens.rows(examples)
    members = np.repeat(np.arange(len(examples)), tokens.num_rows(examples))
    padding = -np.broadcast_to(positions, (len(examples), positions.shape[-1]))[:, 0]
    return members, tokens.places[rows] - starts[members] + padding[members]


def cls_positions(batch: Batch, tokens: TokenSet) -> NDArray[np.int64]:
    """Where the token that the head reads stands in each row of the padded batch, int64 [B].

    The [CLS] token ([CLS], <s>, <cls>) is the first of its kind where padding is on the right, the last where it is on
    the left: a text may spell out further ones. Of models without one it is the last token that is not the padding
    token, as transformers finds it: by its id, on either side, so that a padding token which the text itself ends with
    (the end-of-text token serves as both) is passed over, too. Raises UserError, naming an example, when there is none.
    """
    is_last = tokens.cls_token_id is None or tokens.padding_side == "left"
    if tokens.cls_token_id is None:
        found, name = batch.input_ids != tokens.pad_token_id, "token but padding"
    else:
        found, name = batch.input_ids == tokens.cls_token_id, f"[CLS] token (id {tokens.cls_token_id})"
    if not found.any(axis=1).all():
        example = tokens.ids[batch.examples[~found.any(axis=1)][0]]
        raise UserError(f"example {example} has no {name}; check the model's tokenizer")
    return found.shape[1] - 1 - found[:, ::-1].argmax(axis=1) if is_last else found.argmax(axis=1)


def _chunks(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[start : start + size] for start in range(0, len(order), size)]
