"""ALBERT, whose layers share one set of weights."""

from collections.abc import Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.models.family import MAX_LAYERS, Family
from shallower.models.lineages.shapes import linear, norm


def _albert_tensors(config: Mapping[str, Any]) -> dict[str, list[int]]:
    size, inner = config["hidden_size"], config["intermediate_size"]
    embedding = FAMILIES[0].embedding_size(config)
    rows = {
        "word": config["vocab_size"],
        "position": config.get("max_position_embeddings", 512),
        "token_type": config.get("type_vocab_size", 2),
    }
    tensors = {f"embeddings.{kind}_embeddings.weight": [number, embedding] for kind, number in rows.items()}
    tensors |= norm("embeddings.LayerNorm", embedding)
    tensors |= linear("encoder.embedding_hidden_mapping_in", size, embedding)
    parts = config.get("inner_group_num", 1)
    if type(parts) is not int or not 1 <= parts <= MAX_LAYERS:
        raise UserError(f"config.json: 'inner_group_num' is {parts!r}; it must be a whole number of at least 1")
    for part in range(parts):
        layer = f"encoder.albert_layer_groups.0.albert_layers.{part}"
        for matrix in ("query", "key", "value", "dense"):
            tensors |= linear(f"{layer}.attention.{matrix}", size, size)
        tensors |= norm(f"{layer}.attention.LayerNorm", size) | norm(f"{layer}.full_layer_layer_norm", size)
        tensors |= linear(f"{layer}.ffn", inner, size) | linear(f"{layer}.ffn_output", size, inner)
    return tensors


FAMILIES = (
    Family(
        name="albert",
        layer_pattern=None,
        output_matrix=None,
        shared_pattern=r"(albert\.)?encoder\.albert_layer_groups\.",
        tensor_prefix="albert",
        default_embedding_size=128,
        tensors=_albert_tensors,
    ),
)
