"""Batches of packed tokens: all examples one after another, without padding."""

from dataclasses import dataclass

import numpy as np
import torch

from shallower.engine.devices import all_to_device
from shallower.engine.tokens import TokenSet

# Added to the attention score of padding, whose weight after the softmax is then 0, in bf16 too.
MASK_VALUE = -1e9
# On a GPU the libraries of matrix products look for the best kernel of each new number of tokens, which takes much
# longer than the product itself. So batches are filled up to multiples of a power of two: at least the first, at most
# the second of these, and between them an eighth to a quarter of the tokens.
FILLING = (128, 512)


@dataclass(frozen=True)
class Packed:
    """B texts of T tokens in all, the longest of them of L tokens; tensors are on one device.

    In a batch that was filled up, the last text is no example: its logits are to be left out.
    """

    input_ids: torch.Tensor  # int64 [T]
    token_type_ids: torch.Tensor | None  # int64 [T]; None when all are 0
    positions: torch.Tensor  # int64 [T]: of each token, as the model counts
    padding_row: int | None  # row of the embedding matrix of padding tokens inside texts; None when there are none
    starts: torch.Tensor  # int64 [B]: the first token of each text
    places: torch.Tensor | None  # int64 [T]: of each token among B * L padded ones; None when nothing is padded
    attention_bias: torch.Tensor | None  # float32 [B, 1, 1, L]: 0 for a token, MASK_VALUE for padding
    ends: torch.Tensor | None  # int32 [B + 1]: 0 and where each text ends; None on a CPU
    counts: torch.Tensor | None  # int32 [B + 1]: the same with one token a text
    labels: torch.Tensor  # those of the token set [examples, ...], or a row for each word [R]
    read: torch.Tensor | None  # int64 [R]: the token of each row of labels; None: the first of each text
    examples: int  # B, or B - 1 in a batch that was filled up
    size: int  # B
    max_length: int  # L

    def pad(self, states: torch.Tensor) -> torch.Tensor:
        """States [T, H] of tokens as [B, L, H], 0 where there is none."""
        if self.places is not None:
            padded = states.new_zeros(self.size * self.max_length, states.shape[-1])
            states = padded.index_copy(0, self.places, states)
        return states.view(self.size, self.max_length, -1)

    def unpad(self, states: torch.Tensor) -> torch.Tensor:
        """States [B, L, H] as those of the tokens alone, [T, H]."""
        states = states.reshape(self.size * self.max_length, -1)
        return states if self.places is None else states.index_select(0, self.places)


def pack(
    tokens: TokenSet,
    examples: np.ndarray,
    device: str,
    rows: np.ndarray | None = None,
    padding_id: int | None = None,
    filled_up: bool = False,
) -> Packed:
    """Pack examples (positions in the token set) for a device.

    `rows`, where given, is the row of the embedding matrix of each token id. Positions are counted from 0 or, with
    `padding_id`, as by `count_positions`. With `filled_up` one more text makes the number of tokens one of a few.
    """
    offsets = tokens.offsets[examples]
    lengths = tokens.offsets[examples + 1] - offsets
    num_tokens = int(lengths.sum())
    starts = np.cumsum(lengths) - lengths
    read = None if tokens.places is None else _read(tokens, examples, starts - offsets)
    order = np.arange(num_tokens) - np.repeat(starts, lengths)
    sources = np.repeat(offsets, lengths) + order
    input_ids = tokens.input_ids[sources]
    positions = order if padding_id is None else count_positions(input_ids, starts, lengths, padding_id)
    padding_row = None
    if (input_ids == tokens.pad_token_id).any():
        padding_row = tokens.pad_token_id if rows is None else int(rows[tokens.pad_token_id])
    types = None if tokens.token_type_ids is None else tokens.token_type_ids[sources].astype(np.int64)
    input_ids = (input_ids if rows is None else rows[input_ids]).astype(np.int64)
    if filled_up:
        filling = filled_size(num_tokens) - num_tokens
        # Whatever its tokens are, no loss depends on them.
        nothing = np.zeros(filling, np.int64)
        input_ids, positions = np.append(input_ids, nothing), np.append(positions, nothing)
        types = None if types is None else np.append(types, nothing)
        order = np.append(order, np.arange(filling))
        starts, lengths = np.append(starts, num_tokens), np.append(lengths, filling)
        num_tokens += filling
    size, max_length = len(lengths), int(lengths.max())
    places = attention_bias = None
    if num_tokens < size * max_length:
        places = np.repeat(np.arange(size) * max_length, lengths) + order
        hidden = np.arange(max_length) >= lengths[:, None]
        attention_bias = np.where(hidden, np.float32(MASK_VALUE), np.float32(0))[:, None, None, :]
    ends = counts = None
    if device == "cuda":
        ends = np.append(starts, num_tokens).astype(np.int32)
        counts = np.arange(size + 1, dtype=np.int32)
    arrays = {
        "input_ids": input_ids,
        "token_type_ids": types,
        "positions": positions,
        "starts": starts,
        "places": places,
        "attention_bias": attention_bias,
        "ends": ends,
        "counts": counts,
        "labels": tokens.labels[tokens.rows(examples)],
        "read": read,
    }
    given = {name: array for name, array in arrays.items() if array is not None}
    tensors = dict(zip(given, all_to_device(list(given.values()), device), strict=True))
    return Packed(
        input_ids=tensors["input_ids"],
        token_type_ids=tensors.get("token_type_ids"),
        positions=tensors["positions"],
        starts=tensors["starts"],
        places=tensors.get("places"),
        attention_bias=tensors.get("attention_bias"),
        ends=tensors.get("ends"),
        counts=tensors.get("counts"),
        labels=tensors["labels"],
        read=tensors.get("read"),
        padding_row=padding_row,
        examples=len(examples),
        size=size,
        max_length=max_length,
    )


def _read(tokens: TokenSet, examples: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """The packed token of each row of examples [R]; `shifts` [B] lead from the token set's tokens to packed ones."""
    assert tokens.places is not None
    rows = tokens.rows(examples)
    return tokens.places[rows] + np.repeat(shifts, tokens.num_rows(examples))


def filled_size(num_tokens: int) -> int:
    """The number of tokens, at least one more, that a batch is filled up to."""
    lowest, highest = FILLING
    step = min(highest, max(lowest, 1 << max(0, num_tokens.bit_length() - 3)))
    return (num_tokens // step + 1) * step


def count_positions(input_ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, padding_id: int) -> np.ndarray:
    """Positions [T] of packed tokens as RoBERTa counts them: from `padding_id` + 1, past padding tokens inside texts.

    Those have the position `padding_id`. (transformers' create_position_ids_from_input_ids)
    """
    counted = np.cumsum(input_ids != padding_id)
    before = counted[starts] - (input_ids[starts] != padding_id)
    return np.where(input_ids == padding_id, 0, counted - np.repeat(before, lengths)) + padding_id
