"""The configurations of well-known decoders, as far as sizes and kinds of layers go: parsed, measured, shortened.

Facts of the files config.json on the hub. What transformers makes of each, without numbers, is the measure.
"""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from shallower.models.encoder_families import expected_tensors
from shallower.models.families import family_of, position_limit
from shallower.models.size import ModelSize
from shallower.steps import memory
from shallower.steps.job import Job

GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50_257}


def llama(model_type: str, sizes: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """Sizes: vectors, inner layer, layers, heads, heads of keys and values, words, positions."""
    keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    names = (*keys, "vocab_size", "max_position_embeddings")
    return {"model_type": model_type, **dict(zip(names, sizes, strict=True)), **more}


# With the number of parameters below the head that writes texts, which is tied to the embeddings in all of them.
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "gpt2": (GPT2, 124_439_808),
    "SmolLM2-135M": (llama("llama", (576, 1536, 30, 9, 3, 49_152, 8192)), 134_515_008),
    "SmolLM3-3B": (llama("smollm3", (2048, 11_008, 36, 16, 4, 128_256, 65_536)), 3_075_098_624),
    "Qwen2.5-0.5B": (
        llama(
            "qwen2",
            (896, 4864, 24, 14, 2, 151_936, 32_768),
            max_window_layers=24,
            sliding_window=32_768,
            use_sliding_window=False,
        ),
        494_032_768,
    ),
    "Qwen3-0.6B": (
        llama(
            "qwen3",
            (1024, 3072, 28, 16, 8, 151_936, 40_960),
            head_dim=128,
            max_window_layers=28,
            sliding_window=None,
            use_sliding_window=False,
        ),
        596_049_920,
    ),
    "Llama-3.2-1B": (llama("llama", (2048, 8192, 16, 32, 8, 128_256, 131_072), head_dim=64), 1_235_814_400),
    "gemma-2-2b": (
        llama("gemma2", (2304, 9216, 26, 8, 4, 256_000, 8192), head_dim=256, sliding_window=4096),
        2_614_341_888,
    ),
    "gemma-3-270m": (
        llama(
            "gemma3_text",
            (640, 2048, 18, 4, 1, 262_144, 32_768),
            head_dim=256,
            sliding_window=512,
            layer_types=3 * [*5 * ["sliding_attention"], "full_attention"],
        ),
        268_098_176,
    ),
    "gemma-3-1b": (
        llama(
            "gemma3_text",
            (1152, 6912, 26, 4, 1, 262_144, 32_768),
            head_dim=256,
            sliding_window=512,
            sliding_window_pattern=6,
        ),
        999_885_952,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_transformers_makes_of_it(name: str) -> None:
    config, parameters = PUBLISHED[name]
    settings = AutoConfig.for_model(**config, num_labels=2)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(settings)
    tensors = {name: list(tensor.shape) for name, tensor in model.named_parameters()}
    head = tensors.pop("score.weight")
    assert {name: shape for name, (_, shape) in expected_tensors(config).items()} == tensors
    own = sum(parameter.numel() for parameter in model.base_model.parameters())
    assert (own, head) == (parameters, [2, ModelSize.of(config).hidden_size])

    size, family = ModelSize.of(config), family_of(config)
    assert size.bytes(size.num_layers) == pytest.approx(4 * parameters, rel=0.01)
    assert position_limit(config) == settings.max_position_embeddings
    # The kinds that transformers derives where config.json does not list them.
    assert list(family.stack(config).kinds) == list(getattr(settings, "layer_types", []))
    kept = [0, 1, size.num_layers - 1]
    shortened = AutoConfig.for_model(**family.shortened_config(config, kept))
    assert shortened.num_hidden_layers == 3
    for key in ("layer_types", "no_rope_layers"):
        if hasattr(settings, key):
            assert getattr(shortened, key) == [getattr(settings, key)[layer] for layer in kept]


@pytest.mark.parametrize(
    ("name", "billions"), [("gpt2", 2.9), ("SmolLM2-135M", 3.6), ("gemma-3-270m", 5.5), ("Llama-3.2-1B", 23)]
)
def test_memory_of_training_is_that_of_weights_and_activations(name: str, billions: float) -> None:
    """By hand: 16 bytes a parameter, half a gigabyte or so for the process, and what layers keep of 8 texts."""
    settings = [{"batch_size": 8, "epochs": 1}]
    job = Job(size=ModelSize.of(PUBLISHED[name][0]), rows={"train": 1000}, max_length=64, trainings=settings)
    assert memory.training(job) == pytest.approx(1000 * billions, rel=0.1)
