"""Decoders with a head for classification, which reads the last token that is no padding.

Their layers see the tokens before each token only. A head for language, tied to the embeddings or not, is no part of
the classifier.
"""

from collections.abc import Callable, Mapping
from typing import Any

from shallower.models.family import Family, either
from shallower.models.lineages.shapes import linear, norm

Config = Mapping[str, Any]

GLOBAL, LOCAL = "full_attention", "sliding_attention"

# What decoders have in common: no [CLS] token, no token types, no dense layer in the head, and a cache of keys and
# values that nobody reads where nothing is generated.
COMMON: dict[str, Any] = {
    "cls_place": None,
    "output_layer": "score",
    "no_token_head": "a token is read without those behind it, so that a word would be tagged by half of its context",
    "has_dense_head": False,
    "token_types_key": None,
    "takes_token_types": False,
    "default_padding_id": None,
    "forward_arguments": {"use_cache": False},
    "onnx_mask": "plain",
}
# The same of those that are made as Llama is: rotary positions, norms without a bias, and a gate.
LLAMA: dict[str, Any] = COMMON | {
    "layer_pattern": r"(model\.)?layers\.",
    "output_matrix": "mlp.down_proj",
    "word_embeddings": "embed_tokens.weight",
    "final_norm": "norm",
    "buffers": ("self_attn.rotary_emb.inv_freq",),
    "tensor_prefix": "model",
    "learns_positions": False,
    "inner_matrices": 3,
}


def _gpt2_tensors(config: Config) -> dict[str, list[int]]:
    """GPT-2's matrices are [inputs, outputs]."""
    size = either(config, "n_embd", "hidden_size")
    inner = config.get("n_inner") or 4 * size
    positions = either(config, "n_positions", "max_position_embeddings") or 1024
    tensors = {"wte.weight": [config["vocab_size"], size], "wpe.weight": [positions, size]}
    for layer in range(either(config, "n_layer", "num_hidden_layers")):
        here = f"h.{layer}"
        tensors |= norm(f"{here}.ln_1", size) | norm(f"{here}.ln_2", size)
        for name, inputs, outputs in (
            ("attn.c_attn", size, 3 * size),
            ("attn.c_proj", size, size),
            ("mlp.c_fc", size, inner),
            ("mlp.c_proj", inner, size),
        ):
            tensors |= {f"{here}.{name}.weight": [inputs, outputs], f"{here}.{name}.bias": [outputs]}
    return tensors | norm("ln_f", size)


def _llama_tensors(
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm"),
    norms_heads: bool = False,
    head_size: int | None = None,
    query_bias: bool = False,
) -> Callable[[Config], dict[str, list[int]]]:
    """Tensors of a family made as Llama is.

    `norms` are those of a layer; with `norms_heads` queries and keys have some, too. Heads have `head_size` where a
    configuration does not say it. With `query_bias` queries, keys and values always have a bias.
    """

    def tensors(config: Config) -> dict[str, list[int]]:
        size, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
        head = config.get("head_dim") or head_size or size // heads
        groups = config.get("num_key_value_heads") or heads
        attention_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
        found = {"embed_tokens.weight": [config["vocab_size"], size], "norm.weight": [size]}
        for layer in range(config["num_hidden_layers"]):
            attention, forward = f"layers.{layer}.self_attn", f"layers.{layer}.mlp"
            for name, inputs, outputs, has_bias in (
                (f"{attention}.q_proj", size, heads * head, query_bias or attention_bias),
                (f"{attention}.k_proj", size, groups * head, query_bias or attention_bias),
                (f"{attention}.v_proj", size, groups * head, query_bias or attention_bias),
                (f"{attention}.o_proj", heads * head, size, attention_bias),
                (f"{forward}.gate_proj", size, inner, mlp_bias),
                (f"{forward}.up_proj", size, inner, mlp_bias),
                (f"{forward}.down_proj", inner, size, mlp_bias),
            ):
                matrix = linear(name, outputs, inputs)
                found |= matrix if has_bias else {f"{name}.weight": matrix[f"{name}.weight"]}
            found |= {f"layers.{layer}.{name}.weight": [size] for name in norms}
            if norms_heads:
                found |= {f"{attention}.{part}_norm.weight": [head] for part in "qk"}
        return found

    return tensors


def _by_turns(every: int) -> Callable[[Config, int], list[str]]:
    """Kinds of layers of which each `every`-th attends to all tokens, and the others to those near by."""
    return lambda config, depth: [LOCAL if (layer + 1) % every else GLOBAL for layer in range(depth)]


def _gemma3_kinds(config: Config, depth: int) -> list[str]:
    return _by_turns(config.get("sliding_window_pattern") or 6)(config, depth)


def _qwen_kinds(config: Config, depth: int) -> list[str]:
    """Qwen's layers above `max_window_layers` attend to tokens near by, if the model is told to."""
    slides = config.get("use_sliding_window") and config.get("sliding_window", 4096) is not None
    lowest = config.get("max_window_layers", 28)
    return [LOCAL if slides and layer >= lowest else GLOBAL for layer in range(depth)]


def _no_rope_layers(config: Config, depth: int) -> list[int]:
    """Which layers of SmolLM3 know positions: 1, and 0 for each that does not."""
    interval = config.get("no_rope_layer_interval", 4)
    return [int((layer + 1) % interval != 0) for layer in range(depth)]


def _smollm3_kinds(config: Config, depth: int) -> list[str]:
    slides = config.get("use_sliding_window") and config.get("sliding_window") is not None
    stated = config.get("no_rope_layers")
    knows_positions = _no_rope_layers(config, depth) if stated is None else stated
    return [LOCAL if slides and not knows else GLOBAL for knows in knows_positions]


GEMMA_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)
GEMMA: dict[str, Any] = LLAMA | {"head_size": 256, "default_padding_id": 0}

FAMILIES = (
    Family(
        name="gpt2",
        layer_pattern=r"(transformer\.)?h\.",
        output_matrix="mlp.c_proj",
        word_embeddings="wte.weight",
        depth_key="n_layer",
        hidden_key="n_embd",
        inner_key="n_inner",
        inner_factor=4,
        heads_key="n_head",
        positions_key="n_positions",
        final_norm="ln_f",
        buffers=("attn.bias", "attn.masked_bias"),  # the causal mask
        tensor_prefix="transformer",
        tensors=_gpt2_tensors,
        refused_settings={
            "scale_attn_by_inverse_layer_idx": "each layer divides by its own number, so that it would compute "
            "something else in another place; choose a model without it",
            "add_cross_attention": "its layers read an encoder, too; choose a model without cross-attention",
        },
        **COMMON,
    ),
    Family(name="llama", tensors=_llama_tensors(), **LLAMA),
    Family(
        name="qwen2",
        tensors=_llama_tensors(query_bias=True),
        layer_kinds=_qwen_kinds,
        older_kind_keys=("max_window_layers",),
        **LLAMA,
    ),
    Family(
        name="qwen3",
        tensors=_llama_tensors(norms_heads=True, head_size=128),
        head_size=128,
        layer_kinds=_qwen_kinds,
        older_kind_keys=("max_window_layers",),
        **LLAMA,
    ),
    Family(
        name="gemma2",
        tensors=_llama_tensors(GEMMA_NORMS, head_size=256),
        layer_kinds=_by_turns(2),
        refused_settings={
            "use_bidirectional_attention": "transformers masks what follows a token all the same; choose a gemma3_text "
            "model, of which it does not",
        },
        **GEMMA,
    ),
    Family(
        name="gemma3_text",
        tensors=_llama_tensors(GEMMA_NORMS, norms_heads=True, head_size=256),
        layer_kinds=_gemma3_kinds,
        older_kind_keys=("sliding_window_pattern", "_sliding_window_pattern"),
        unembedded_tokens=("<image_soft_token>",),
        **GEMMA,
    ),
    Family(
        name="smollm3",
        tensors=_llama_tensors(),
        layer_kinds=_smollm3_kinds,
        per_layer_lists=("no_rope_layers",),
        derived_lists={"no_rope_layers": _no_rope_layers},
        **LLAMA | {"default_padding_id": 128_004},
    ),
)
