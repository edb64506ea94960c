"""XLNet, which counts positions relatively and puts the [CLS] token last."""

from collections.abc import Mapping
from typing import Any

from shallower.models.family import Family, either
from shallower.models.lineages.shapes import linear, norm


def _xlnet_tensors(config: Mapping[str, Any]) -> dict[str, list[int]]:
    size, inner = either(config, "d_model", "hidden_size"), either(config, "d_inner", "intermediate_size")
    heads = either(config, "n_head", "num_attention_heads")
    head = config.get("d_head", size // heads)
    tensors = {"word_embedding.weight": [config["vocab_size"], size], "mask_emb": [1, 1, size]}
    for layer in range(either(config, "n_layer", "num_hidden_layers")):
        attention, forward = f"layer.{layer}.rel_attn", f"layer.{layer}.ff"
        tensors |= {f"{attention}.{part}": [size, heads, head] for part in "qkvor"}
        tensors |= {f"{attention}.r_{part}_bias": [heads, head] for part in "rsw"}
        tensors |= {f"{attention}.seg_embed": [2, heads, head], **norm(f"{attention}.layer_norm", size)}
        tensors |= norm(f"{forward}.layer_norm", size)
        tensors |= linear(f"{forward}.layer_1", inner, size) | linear(f"{forward}.layer_2", size, inner)
    return tensors


FAMILIES = (
    Family(
        name="xlnet",
        layer_pattern=r"(transformer\.)?layer\.",
        output_matrix="ff.layer_2",
        word_embeddings="word_embedding.weight",
        depth_key="n_layer",
        hidden_key="d_model",
        inner_key="d_inner",
        heads_key="n_head",
        cls_place=-1,
        token_types_key=None,
        output_layer="logits_proj",
        tensor_prefix="transformer",
        tensors=_xlnet_tensors,
        default_padding_id=5,
        attention_matrices=5,  # the fifth is for relative positions
        forward_arguments={"use_mems": False},  # it would keep a memory of the batch that nobody reads
        onnx_mask="float",
        no_vectors="sentence-transformers gives its models no token types, by which they tell the [CLS] token from a "
        "text, so that vectors would not be those that were scored",
    ),
)
