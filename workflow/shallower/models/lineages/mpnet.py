"""MPNet: BERT's layer, with a bias of attention by relative positions that all layers share."""

from collections.abc import Mapping
from typing import Any

from shallower.models.family import Family
from shallower.models.lineages.shapes import linear, norm


def _tensors(config: Mapping[str, Any]) -> dict[str, list[int]]:
    size, inner = config["hidden_size"], config["intermediate_size"]
    buckets = config.get("relative_attention_num_buckets", 32)
    tensors = {
        "embeddings.word_embeddings.weight": [config["vocab_size"], size],
        "embeddings.position_embeddings.weight": [config.get("max_position_embeddings", 512), size],
        **norm("embeddings.LayerNorm", size),
        "encoder.relative_attention_bias.weight": [buckets, config["num_attention_heads"]],
    }
    for layer in (f"encoder.layer.{index}" for index in range(config["num_hidden_layers"])):
        for matrix in "qkvo":
            tensors |= linear(f"{layer}.attention.attn.{matrix}", size, size)
        tensors |= norm(f"{layer}.attention.LayerNorm", size) | norm(f"{layer}.output.LayerNorm", size)
        tensors |= linear(f"{layer}.intermediate.dense", inner, size) | linear(f"{layer}.output.dense", size, inner)
    return tensors


FAMILIES = (
    Family(
        name="mpnet",
        layer_pattern=r"(mpnet\.)?encoder\.layer\.",
        output_matrix="output.dense",
        output_layer="classifier.out_proj",
        token_types_key=None,
        takes_token_types=False,
        positions_after_padding=True,
        default_padding_id=1,
        fixed_padding=True,
        tensor_prefix="mpnet",
        tensors=_tensors,
    ),
)
