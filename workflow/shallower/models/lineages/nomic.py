"""Nomic's BERT (nomic-embed-text): rotary positions, a gate, norms behind each part, and no biases beside theirs.

Checkpoints have the names of Nomic's own code, queries, keys and values in one matrix; transformers reads and writes
them so, and computes what that code does for the settings of `COMPUTED`.
"""

from collections.abc import Mapping
from typing import Any

from shallower.models.family import Family
from shallower.models.lineages.shapes import norm

Config = Mapping[str, Any]

# Settings of the own code that transformers does not read, with the only value that it computes.
COMPUTED: dict[str, Any] = {
    "activation_function": "swiglu",
    "causal": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "moe_every_n_layers": 0,
    "num_experts": 0,
    "parallel_block": False,
    "prenorm": False,
    "qkv_proj_bias": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "use_rms_norm": False,
}
# What the own code calls settings that transformers does read, by transformers' names.
FORMER_NAMES = {
    "hidden_size": "n_embd",
    "intermediate_size": "n_inner",
    "layer_norm_eps": "layer_norm_epsilon",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
DEFAULT_THETA, DEFAULT_EPSILON = 1000.0, 1e-12


def _unfit(config: Config) -> str | None:
    """What of a configuration of the own code transformers would read or compute otherwise."""
    for key, value in COMPUTED.items():
        if (found := config.get(key, value)) != value and (found or value):
            return f"{key!r} is {found!r}, and transformers computes {value!r} alone; choose a model with that"
    read = {"layer_norm_eps": DEFAULT_EPSILON, **config}
    for name, former in FORMER_NAMES.items():
        if former in config and read.get(name) != config[former]:
            return (
                f"{former!r} is {config[former]!r}, but transformers reads {name!r}, which is {read.get(name)!r}; "
                "choose a revision that has both"
            )
    rotary = config.get("rope_parameters")
    theta = rotary.get("rope_theta", DEFAULT_THETA) if isinstance(rotary, Mapping) else DEFAULT_THETA
    if (found := config.get("rotary_emb_base", theta)) != theta:
        return (
            f"'rotary_emb_base' is {found!r}, but transformers reads 'rope_theta' of 'rope_parameters', which is "
            f"{theta!r}; choose a revision that has both"
        )
    return None


def _tensors(config: Config) -> dict[str, list[int]]:
    size, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    width = heads * (config.get("head_dim") or size // heads)
    tensors = {
        "embeddings.word_embeddings.weight": [config["vocab_size"], size],
        "embeddings.token_type_embeddings.weight": [config.get("type_vocab_size", 2), size],
        **norm("emb_ln", size),
    }
    for layer in (f"encoder.layers.{number}" for number in range(config["num_hidden_layers"])):
        tensors |= norm(f"{layer}.norm1", size) | norm(f"{layer}.norm2", size)
        tensors |= {
            f"{layer}.attn.Wqkv.weight": [3 * width, size],
            f"{layer}.attn.out_proj.weight": [size, width],
            f"{layer}.mlp.fc11.weight": [inner, size],
            f"{layer}.mlp.fc12.weight": [inner, size],
            f"{layer}.mlp.fc2.weight": [size, inner],
        }
    return tensors


FAMILIES = (
    Family(
        name="nomic_bert",
        # In a file's names; within transformers layers are not below an encoder.
        layer_pattern=r"(nomic_bert\.)?(encoder\.)?layers\.",
        output_matrix="mlp.fc2",
        inner_matrices=3,
        learns_positions=False,
        tensor_prefix="nomic_bert",
        tensors=_tensors,
        former_depth_key="n_layer",
        replaced_code=r"nomic-ai/nomic-bert-2048--(configuration|modeling)_hf_nomic_bert\.NomicBert\w+",
        unfit=_unfit,
    ),
)
