"""Vectors of a text's tokens made into one, as the modules Pooling and Normalize of sentence-transformers do."""

import torch


def pool(states: torch.Tensor, mask: torch.Tensor | None, pooling: str) -> torch.Tensor:
    """One vector [B, H] for states [B, L, H]; `mask` [B, L] is true for tokens and false for padding, None without any.

    `pooling` is one of `shallower.models.sentence_embedding.POOLINGS`.
    """
    if mask is None:
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    match pooling:
        case "cls":
            # The first token, on whichever side the padding is.
            # By its shape, which stays free in an export, as what len() gives does not.
            return states[torch.arange(states.shape[0], device=states.device), mask.int().argmax(dim=1)]
        case "max":
            return states.masked_fill(~mask[..., None], float("-inf")).amax(dim=1)
        case "mean" | "mean_sqrt_len_tokens":
            lengths = mask.sum(dim=1, keepdim=True)
            total = (states * mask[..., None]).sum(dim=1)
            return total / (lengths if pooling == "mean" else lengths.sqrt())
    raise ValueError(f"unknown pooling {pooling}")


def embed(states: torch.Tensor, mask: torch.Tensor | None, pooling: str, normalize: bool) -> torch.Tensor:
    """Sentence vectors [B, H] for states [B, L, H] after the last layer, pooled and, if asked for, of length 1."""
    vectors = pool(states, mask, pooling)
    return torch.nn.functional.normalize(vectors, dim=-1) if normalize else vectors
