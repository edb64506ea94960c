"""What is read from the config.json of well-known checkpoints, as they are published, without their weights.

Facts are the sizes and names of keys in those files, and the parameters that their cards or papers state.
"""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from shallower.models.encoder_families import encoder_config, expected_tensors
from shallower.models.families import family_of, position_limit
from shallower.models.size import ModelSize

BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_ROBERTA = {**BASE, "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-05}
_DEBERTA = {
    "model_type": "deberta-v2",
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "max_position_embeddings": 512,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "layer_norm_eps": 1e-7,
    "max_relative_positions": -1,
    "position_biased_input": False,
    "vocab_size": 128100,
    "type_vocab_size": 0,
}

# Each with the longest text that it takes, and millions of parameters without a head.
PUBLISHED: dict[str, tuple[dict[str, Any], int, float]] = {
    "xlm-roberta-base": (
        {"model_type": "xlm-roberta", "vocab_size": 250002, "bos_token_id": 0, "eos_token_id": 2, **_ROBERTA},
        512,
        278,
    ),
    "camembert-base": (
        {"model_type": "camembert", "vocab_size": 32005, "bos_token_id": 5, "eos_token_id": 6, **_ROBERTA},
        512,
        110,
    ),
    "electra-small-discriminator": (
        {
            "model_type": "electra",
            "vocab_size": 30522,
            "embedding_size": 128,
            "hidden_size": 256,
            "num_hidden_layers": 12,
            "num_attention_heads": 4,
            "intermediate_size": 1024,
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
        },
        512,
        13.5,
    ),
    "electra-base-discriminator": (
        {
            "model_type": "electra",
            "vocab_size": 30522,
            "embedding_size": 768,
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
            **BASE,
        },
        512,
        109,
    ),
    "mpnet-base": (
        {
            "model_type": "mpnet",
            "vocab_size": 30527,
            "max_position_embeddings": 514,
            "relative_attention_num_buckets": 32,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            **BASE,
        },
        512,
        109,
    ),
    "deberta-base": (
        {
            "model_type": "deberta",
            "max_position_embeddings": 512,
            "relative_attention": True,
            "pos_att_type": "c2p|p2c",
            "layer_norm_eps": 1e-7,
            "padding_idx": 0,
            "vocab_size": 50265,
            "type_vocab_size": 0,
            "position_biased_input": False,
            "max_relative_positions": -1,
            **BASE,
        },
        512,
        139,
    ),
    "deberta-v3-small": ({**_DEBERTA, **BASE, "num_hidden_layers": 6}, 512, 44 + 98),
    "deberta-v3-base": ({**_DEBERTA, **BASE}, 512, 86 + 98),
    "deberta-v3-large": (
        {
            **_DEBERTA,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
        512,
        304 + 131,
    ),
    # Its convolution, and buckets without shared keys' matrices.
    "deberta-v2-xlarge": (
        {
            **_DEBERTA,
            "hidden_size": 1536,
            "num_hidden_layers": 24,
            "num_attention_heads": 24,
            "intermediate_size": 6144,
            "attention_head_size": 64,
            "conv_kernel_size": 3,
            "conv_act": "gelu",
        },
        512,
        900,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configurations_are_understood(name: str) -> None:
    config, longest, millions = PUBLISHED[name]
    family = family_of(config)
    assert family.num_layers(config) == config["num_hidden_layers"]
    assert position_limit(config) == longest
    shallow = family.shortened_config(config, range(3))
    assert shallow == config | {"num_hidden_layers": 3}
    assert ModelSize.of(config).bytes(config["num_hidden_layers"]) / 4e6 == pytest.approx(millions, rel=0.025)
    is_packed = not name.startswith(("mpnet", "deberta"))
    assert (encoder_config(config) is not None) == is_packed


@pytest.mark.parametrize("name", PUBLISHED)
def test_tensors_are_those_that_transformers_makes(name: str) -> None:
    """Of three layers, without numbers."""
    config = {**PUBLISHED[name][0], "num_hidden_layers": 3}
    settings = {key: value for key, value in config.items() if key != "model_type"}
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.for_model(config["model_type"], **settings))
    made = {
        f"{model.base_model_prefix}.{key}": list(value.shape)
        for key, value in model.state_dict().items()
        if not key.startswith("pooler.")
    }
    assert made == {key: shape for key, (_, shape) in expected_tensors(config).items()}


def test_attention_to_relative_positions_takes_longer_and_more_matrices() -> None:
    first, third, bert = (
        ModelSize.of(PUBLISHED[name][0] | {"model_type": model_type})
        for name, model_type in (("deberta-base", "deberta"), ("deberta-v3-base", "deberta-v2"), ("mpnet-base", "bert"))
    )
    # Matrices for two kinds of comparison; the third version shares those of contents.
    assert first.layer_parameters - bert.layer_parameters == 2 * 768**2
    assert third.layer_parameters == bert.layer_parameters
    # Each token with two kinds of 2 * 256 buckets, or 2 * 512 positions: a product and a sum for each number.
    assert third.operations(12, 100) - bert.operations(12, 100) == 2 * 100 * 12 * 2 * 512 * 768
    assert first.relative_positions == 2 * third.relative_positions == 2 * 2 * 512
