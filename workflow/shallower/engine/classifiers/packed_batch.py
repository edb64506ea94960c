"""Batches of packed tokens: all examples one after another, without padding."""

from dataclasses import dataclass

import numpy as np
import torch

from shallower.engine.devices import to_device
from shallower.engine.tokens import TokenSet

# Added to the attention score of padding, whose weight after the softmax is then 0, in bf16 too.
MASK_VALUE = -1e9


@dataclass(frozen=True)
class Packed:
    """B examples of T tokens in all, the longest of them of L tokens; tensors are on one device."""

    input_ids: torch.Tensor  # int64 [T]
    token_type_ids: torch.Tensor | None  # int64 [T]; None when all are 0
    positions: torch.Tensor  # int64 [T]: of each token within its example
    starts: torch.Tensor  # int64 [B]: the first token of each example
    places: torch.Tensor | None  # int64 [T]: of each token among B * L padded ones; None when nothing is padded
    attention_bias: torch.Tensor | None  # float32 [B, 1, 1, L]: 0 for a token, MASK_VALUE for padding
    labels: torch.Tensor  # int64 or float32 [B]
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


def pack(tokens: TokenSet, examples: np.ndarray, device: str, rows: np.ndarray | None = None) -> Packed:
    """Pack examples (positions in the token set) for a device.

    `rows`, where given, is the row of the embedding matrix of each token id.
    """
    offsets = tokens.offsets[examples]
    lengths = tokens.offsets[examples + 1] - offsets
    size, max_length, num_tokens = len(examples), int(lengths.max()), int(lengths.sum())
    starts = np.cumsum(lengths) - lengths
    positions = np.arange(num_tokens) - np.repeat(starts, lengths)
    sources = np.repeat(offsets, lengths) + positions
    input_ids = tokens.input_ids[sources]
    types = None if tokens.token_type_ids is None else tokens.token_type_ids[sources].astype(np.int64)
    places = attention_bias = None
    if num_tokens < size * max_length:
        places = np.repeat(np.arange(size) * max_length, lengths) + positions
        hidden = np.arange(max_length) >= lengths[:, None]
        attention_bias = np.where(hidden, np.float32(MASK_VALUE), np.float32(0))[:, None, None, :]
    return Packed(
        input_ids=to_device((input_ids if rows is None else rows[input_ids]).astype(np.int64), device),
        token_type_ids=None if types is None else to_device(types, device),
        positions=to_device(positions, device),
        starts=to_device(starts, device),
        places=None if places is None else to_device(places, device),
        attention_bias=None if attention_bias is None else to_device(attention_bias, device),
        labels=to_device(tokens.labels[examples], device),
        size=size,
        max_length=max_length,
    )
