"""DeBERTa, whose attention compares contents with relative positions, too.

Embeddings of relative positions are one table for all layers, each of which has its own matrices for them, or none.
Absolute positions, token types and matrices are there as the configuration says: published models differ.
"""

from collections.abc import Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.models.family import Family
from shallower.models.lineages.shapes import linear, norm


def _position_attention(config: Mapping[str, Any]) -> set[str]:
    """What is compared: "c2p", contents with positions, and "p2c", positions with contents."""
    kinds = config.get("pos_att_type") or []
    if isinstance(kinds, str):  # as published checkpoints have it: "p2c|c2p"
        kinds = [kind.strip() for kind in kinds.lower().split("|")]
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise UserError(f'config.json: \'pos_att_type\' is {kinds!r}; it must be a list such as ["p2c", "c2p"]')
    return set(kinds) if config.get("relative_attention") else set()


def _relative_positions(config: Mapping[str, Any]) -> int:
    """Rows of the table of relative positions."""
    buckets = config.get("position_buckets", -1) if config["model_type"] == "deberta-v2" else -1
    if buckets > 0:
        return 2 * buckets
    furthest = config.get("max_relative_positions", -1)
    return 2 * (furthest if furthest >= 1 else config.get("max_position_embeddings", 512))


def _of_positions(config: Mapping[str, Any]) -> tuple[int, int]:
    kinds = len(_position_attention(config) & {"c2p", "p2c"})
    return 0 if config.get("share_att_key") else kinds, kinds * _relative_positions(config)


def _around_layers(config: Mapping[str, Any], embedding: int) -> dict[str, list[int]]:
    size = config["hidden_size"]
    tensors = {"embeddings.word_embeddings.weight": [config["vocab_size"], embedding]}
    if config.get("position_biased_input", True):
        positions = config.get("max_position_embeddings", 512)
        tensors["embeddings.position_embeddings.weight"] = [positions, embedding]
    if types := config.get("type_vocab_size", 0):
        tensors["embeddings.token_type_embeddings.weight"] = [types, embedding]
    if embedding != size:
        tensors["embeddings.embed_proj.weight"] = [size, embedding]
    tensors |= norm("embeddings.LayerNorm", size)
    if config.get("relative_attention"):
        tensors["encoder.rel_embeddings.weight"] = [_relative_positions(config), size]
    return tensors


def _after_attention(layer: str, size: int, width: int, inner: int) -> dict[str, list[int]]:
    return {
        **linear(f"{layer}.attention.output.dense", size, width),
        **norm(f"{layer}.attention.output.LayerNorm", size),
        **linear(f"{layer}.intermediate.dense", inner, size),
        **linear(f"{layer}.output.dense", size, inner),
        **norm(f"{layer}.output.LayerNorm", size),
    }


def _first_tensors(config: Mapping[str, Any]) -> dict[str, list[int]]:
    size, heads, kinds = config["hidden_size"], config["num_attention_heads"], _position_attention(config)
    tensors = _around_layers(config, FIRST.embedding_size(config))
    for layer in (f"encoder.layer.{index}" for index in range(config["num_hidden_layers"])):
        attention = f"{layer}.attention.self"
        tensors |= {f"{attention}.in_proj.weight": [3 * size, size]}
        tensors |= {f"{attention}.{part}_bias": [size] for part in "qv"}
        if "c2p" in kinds:
            tensors[f"{attention}.pos_proj.weight"] = [size, size]
        if "p2c" in kinds:
            tensors |= linear(f"{attention}.pos_q_proj", size, size)
        if config.get("talking_head"):
            tensors |= {f"{attention}.head_{part}_proj.weight": [heads, heads] for part in ("logits", "weights")}
        tensors |= _after_attention(layer, size, size, config["intermediate_size"])
    return tensors


def _second_tensors(config: Mapping[str, Any]) -> dict[str, list[int]]:
    size, heads = config["hidden_size"], config["num_attention_heads"]
    width = heads * config.get("attention_head_size", size // heads)
    kinds = set() if config.get("share_att_key") else _position_attention(config)
    of_positions = {"c2p": "pos_key_proj", "p2c": "pos_query_proj"}
    matrices = ["query_proj", "key_proj", "value_proj", *(of_positions[kind] for kind in of_positions if kind in kinds)]
    tensors = _around_layers(config, SECOND.embedding_size(config))
    if "layer_norm" in [part.strip() for part in config.get("norm_rel_ebd", "none").lower().split("|")]:
        tensors |= norm("encoder.LayerNorm", size)
    if (width_of_convolution := config.get("conv_kernel_size", 0)) > 0:
        shape = [size, size // config.get("conv_groups", 1), width_of_convolution]
        tensors |= {"encoder.conv.conv.weight": shape, "encoder.conv.conv.bias": [size]}
        tensors |= norm("encoder.conv.LayerNorm", size)
    for layer in (f"encoder.layer.{index}" for index in range(config["num_hidden_layers"])):
        for matrix in matrices:
            tensors |= linear(f"{layer}.attention.self.{matrix}", width, size)
        tensors |= _after_attention(layer, size, width, config["intermediate_size"])
    return tensors


FIRST = Family(
    name="deberta",
    layer_pattern=r"(deberta\.)?encoder\.layer\.",
    output_matrix="output.dense",
    default_token_types=0,
    relative_positions=_of_positions,
    tensor_prefix="deberta",
    tensors=_first_tensors,
    onnx_mask="plain",
)
# Also the third version, whose configurations differ from the second's, but not their code.
SECOND = Family(
    name="deberta-v2",
    layer_pattern=r"(deberta\.)?encoder\.layer\.",
    output_matrix="output.dense",
    default_token_types=0,
    relative_positions=_of_positions,
    tensor_prefix="deberta",
    tensors=_second_tensors,
    after_first_layer="encoder.conv",
    onnx_mask="plain",
)
FAMILIES = (FIRST, SECOND)
