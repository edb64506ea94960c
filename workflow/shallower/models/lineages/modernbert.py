"""ModernBERT, and what is made of it (mmBERT, Ettin's encoders): layers take turns between global and local attention.

Positions are rotary, with other angles for either kind of layer; a layer's kind goes with it when others are dropped.
"""

from collections.abc import Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.models.family import Family

GLOBAL, LOCAL = "full_attention", "sliding_attention"
# Every how many layers one is global, where a configuration lists no kinds and does not say it.
EVERY = 3


def _kinds(config: Mapping[str, Any], num_layers: int) -> list[str]:
    """The kinds of layers by the key of configurations that transformers 4 wrote."""
    every = config.get("global_attn_every_n_layers", EVERY)
    if type(every) is not int or every < 1:
        raise UserError(f"config.json: 'global_attn_every_n_layers' is {every!r}; write a whole number, at least 1")
    return [LOCAL if layer % every else GLOBAL for layer in range(num_layers)]


def _tensors(config: Mapping[str, Any]) -> dict[str, list[int]]:
    size, inner = config["hidden_size"], config["intermediate_size"]

    def part(name: str, shape: list[int], bias: str) -> dict[str, list[int]]:
        """A matrix or a norm, with a bias if the configuration says so."""
        return {f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if config.get(bias) else {})

    tensors = {"embeddings.tok_embeddings.weight": [config["vocab_size"], size]}
    tensors |= part("embeddings.norm", [size], "norm_bias") | part("final_norm", [size], "norm_bias")
    for number in range(config["num_hidden_layers"]):
        layer = f"layers.{number}"
        if number:
            tensors |= part(f"{layer}.attn_norm", [size], "norm_bias")
        tensors |= part(f"{layer}.attn.Wqkv", [3 * size, size], "attention_bias")
        tensors |= part(f"{layer}.attn.Wo", [size, size], "attention_bias")
        tensors |= part(f"{layer}.mlp_norm", [size], "norm_bias")
        tensors |= part(f"{layer}.mlp.Wi", [2 * inner, size], "mlp_bias")
        tensors |= part(f"{layer}.mlp.Wo", [size, inner], "mlp_bias")
    return tensors


FAMILIES = (
    Family(
        name="modernbert",
        layer_pattern=r"(model\.)?layers\.",
        output_matrix="mlp.Wo",
        word_embeddings="tok_embeddings.weight",
        inner_matrices=3,
        learns_positions=False,
        per_layer_lists=("layer_types",),
        layer_kinds=_kinds,
        older_kind_keys=("global_attn_every_n_layers",),
        protected={0: "it has no norm before its attention, which the first layer of every modernbert model lacks"},
        optional_tensors=("attn_norm.weight", "attn_norm.bias"),
        final_norm="final_norm",
        pooling_key="classifier_pooling",
        token_types_key=None,
        takes_token_types=False,
        tensor_prefix="model",
        tensors=_tensors,
        default_padding_id=50283,
        onnx_mask="plain",
    ),
)
