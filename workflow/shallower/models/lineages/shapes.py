"""Names and shapes of tensors, and settings, of which several lineages are made."""

from collections.abc import Mapping
from typing import Any


def linear(name: str, outputs: int, inputs: int) -> dict[str, list[int]]:
    return {f"{name}.weight": [outputs, inputs], f"{name}.bias": [outputs]}


def norm(name: str, size: int) -> dict[str, list[int]]:
    return {f"{name}.weight": [size], f"{name}.bias": [size]}


def either(config: Mapping[str, Any], own: str, common: str) -> Any:
    """A setting by a family's own key or the common one, which transformers reads, too."""
    return config[own] if own in config else config[common]
