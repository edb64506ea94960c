"""Nomic's BERT: checkpoints in the form of its own code, which transformers' class replaces, and what it would not.

What holds for all families is tested with the other forms (tests/unit/test_family_variants.py).
"""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoTokenizer

import tiny
from shallower.analysis.hidden_states import load_encoder
from shallower.analysis.parameter_scores import parameter_scores
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.models.encoder_families import expected_tensors
from shallower.models.families import family_of, position_limit
from shallower.models.folder import WEIGHTS
from shallower.models.size import ModelSize
from shallower.sources.models import check_model, fetch_model
from shallower.sources.tensor_checks import check_settings
from shallower.surgery.drop_layers import drop_layers

CODE = "nomic-ai/nomic-bert-2048--"
# nomic-embed-text-v1.5, with transformers' names of settings beside those of Nomic's own code.
PUBLISHED: dict[str, Any] = {
    "model_type": "nomic_bert",
    "architectures": ["NomicBertModel"],
    "auto_map": {
        "AutoConfig": f"{CODE}configuration_hf_nomic_bert.NomicBertConfig",
        "AutoModel": f"{CODE}modeling_hf_nomic_bert.NomicBertModel",
    },
    "activation_function": "swiglu",
    "causal": False,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_epsilon": 1e-12,
    "max_position_embeddings": 2048,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "n_embd": 768,
    "n_head": 12,
    "n_inner": 3072,
    "n_layer": 12,
    "n_positions": 8192,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "prenorm": False,
    "qkv_proj_bias": False,
    "rope_parameters": {"rope_theta": 1000.0, "rope_type": "default"},
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
    "scale_attn_weights": True,
    "type_vocab_size": 2,
    "vocab_size": 30528,
}


def test_the_published_configuration_is_understood():
    family = family_of(PUBLISHED)
    check_settings(PUBLISHED)
    assert position_limit(PUBLISHED) == 2048
    assert ModelSize.of(PUBLISHED).bytes(12) / 4e6 == pytest.approx(137, rel=0.01)
    # Both numbers of layers, so that no reader finds the old one.
    shallow = family.shortened_config(PUBLISHED, [0, 5])
    assert shallow == PUBLISHED | {"num_hidden_layers": 2, "n_layer": 2}
    check_settings(shallow)


def test_tensors_are_those_that_transformers_saves(tmp_path):
    config = {"hidden_size": 24, "num_attention_heads": 2, "head_dim": 16, "intermediate_size": 40, "vocab_size": 50}
    model = AutoModel.from_config(AutoConfig.for_model("nomic_bert", **config, num_hidden_layers=2))
    model.save_pretrained(tmp_path)
    saved = {f"nomic_bert.{key}": list(value.shape) for key, value in load_file(tmp_path / WEIGHTS).items()}
    expected = expected_tensors(read_json(tmp_path / "config.json"))
    assert {key: shape for key, (_, shape) in expected.items()} == saved
    assert all(key.removeprefix("nomic_bert.") in names for key, (names, _) in expected.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auto_map": {"AutoModel": "someone/else--modeling_hf_nomic_bert.NomicBertModel"}}, "own code"),
        ({"auto_map": {"AutoModel": "modeling_hf_nomic_bert.NomicBertModel"}}, "own code"),
        ({"auto_map": {"AutoModel": [f"{CODE}modeling_hf_nomic_bert.NomicBertModel"]}}, "own code"),
        ({"qkv_proj_bias": True}, "'qkv_proj_bias' is True, and transformers computes False alone"),
        ({"activation_function": "gelu"}, "'activation_function' is 'gelu', and transformers computes 'swiglu'"),
        ({"rotary_emb_fraction": 0.5}, "'rotary_emb_fraction' is 0.5"),
        ({"moe_every_n_layers": 2}, "'moe_every_n_layers' is 2"),
        ({"n_layer": 6}, "two numbers of layers"),
        (
            {"hidden_size": None},
            "'n_embd' is 768, but transformers reads 'hidden_size', which is None",
        ),
        ({"n_head": 6}, "'n_head' is 6, but transformers reads 'num_attention_heads', which is 12"),
        ({"layer_norm_epsilon": 1e-5}, "'layer_norm_epsilon' is 1e-05, .* which is 1e-12"),
        ({"rotary_emb_base": 10_000}, "'rotary_emb_base' is 10000, but transformers reads 'rope_theta'"),
    ],
)
def test_what_transformers_would_compute_otherwise_is_refused(changes, message):
    config = PUBLISHED | changes
    with pytest.raises(UserError, match=message):
        family_of(config).num_layers(config)
        check_settings(config)


def test_a_checkpoint_with_the_own_code_is_fetched_without_it_and_is_read_through(tmp_path):
    saved = tiny.make_model(tmp_path / "saved", "nomic_bert", 3, bare=True)
    config = read_json(saved / "config.json")
    write_json(saved / "config.json", config | {"auto_map": PUBLISHED["auto_map"], "n_layer": 3, "n_embd": 32})
    entry = {"name": "m", "source": "local", "directory": str(saved)}
    assert check_model(entry) is None
    fetch_model(entry, source := tmp_path / "source")
    assert read_json(source / "config.json") == config | {"n_layer": 3, "n_embd": 32}
    weights = load_file(source / WEIGHTS)
    scores = parameter_scores(source, "magnitude")
    matrices = [weights[f"encoder.layers.{layer}.mlp.fc2.weight"].double() for layer in range(3)]
    assert scores == pytest.approx([float(matrix.abs().mean()) for matrix in matrices])

    drop_layers(source, [0, 2], dropped := tmp_path / "dropped")
    inputs = AutoTokenizer.from_pretrained(source)("good day", return_tensors="pt")
    full, shallow = load_encoder(source), AutoModel.from_pretrained(dropped).eval()
    with torch.inference_mode():
        states = full(**inputs, output_hidden_states=True).hidden_states
        assert len(states) == 4
        # By hand: the upper layer on what the lowest one gives.
        positions = full.rotary_emb(states[1], torch.arange(states[1].shape[1])[None])
        expected = full.layers[2](states[1], position_embeddings=positions)
        np.testing.assert_allclose(shallow(**inputs).last_hidden_state, expected, rtol=0, atol=1e-5)
