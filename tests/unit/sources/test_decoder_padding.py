"""Which token pads texts for a decoder: decided once, when the model is fetched, so that plain transformers agrees."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tiny
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.models.folder import WEIGHTS
from shallower.sources.models import check_model, fetch_model

TEXTS = ["the good man", "she had a clear and happy day", "one"]


def saved(folder: Path, family: str, tokenizer: dict[str, Any], **config: Any) -> dict[str, str]:
    """A study's entry of a model whose files say other things of padding; None for what they do not say."""
    tiny.make_model(folder, family, 2, labels=2)
    for name, changes in (("tokenizer_config.json", tokenizer), ("config.json", config)):
        content = read_json(folder / name) | changes
        write_json(folder / name, {key: value for key, value in content.items() if value is not None})
    return {"name": "mine", "source": "local", "directory": str(folder)}


@pytest.mark.parametrize(
    ("family", "tokenizer", "config", "decision"),
    [
        (
            "gpt2",
            {"pad_token": None},
            None,
            "<|endoftext|> (id 0), the token that ends texts, since the model names no",
        ),
        ("llama", {"pad_token": None}, 0, "<unk> (id 0), config.json's pad_token_id"),
        ("llama", {"pad_token": None}, -1, "</s> (id 2), the token that ends texts, .* where pad_token_id was -1"),
        ("llama", {}, None, "</s> (id 2), the tokenizer's padding token; written to config.json, where .* was None"),
        ("smollm3", {}, 3, r"<|finetune_right_pad_id|> \(id 813\), the tokenizer's .* where pad_token_id was 3"),
    ],
)
def test_batches_are_answered_as_texts_alone(
    tmp_path: Path, family: str, tokenizer: dict[str, Any], config: int | None, decision: str
) -> None:
    entry = saved(tmp_path / "saved", family, tokenizer, pad_token_id=config)
    assert check_model(entry) is None
    fetch_model(entry, tmp_path / "out")
    import re

    pattern = re.escape(decision).replace(r"\.\*", ".*").replace(r"\\\(", r"\(").replace(r"\\\)", r"\)")
    assert re.search(pattern, read_json(tmp_path / "out" / "manifest.json")["padding"])
    plain = AutoTokenizer.from_pretrained(tmp_path / "out")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert model.config.pad_token_id == plain.pad_token_id
    with torch.no_grad():
        together = model(**plain(TEXTS, padding=True, return_tensors="pt")).logits
        alone = torch.cat([model(**plain(text, return_tensors="pt")).logits for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_without_any_token_to_pad_with(tmp_path: Path) -> None:
    # A tokenizer of no class of its own, since classes have names for special tokens.
    entry = saved(tmp_path / "saved", "smollm3", {"pad_token": None, "eos_token": None}, pad_token_id=None)
    write_json(tmp_path / "saved/config.json", read_json(tmp_path / "saved/config.json") | {"pad_token_id": None})
    with pytest.raises(UserError, match="the tokenizer has no padding token"):
        fetch_model(entry, tmp_path / "out")


def test_padding_on_the_left_of_learnt_positions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"pads on the left, so that a gpt2 model would count .* padding_side to \"right\""
    ):
        fetch_model(saved(tmp_path / "saved", "gpt2", {"padding_side": "left"}), tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scale_attn_by_inverse_layer_idx": True}, "'scale_attn_by_inverse_layer_idx': each layer divides by its own"),
        ({"add_cross_attention": True}, "'add_cross_attention': its layers read an encoder"),
    ],
)
def test_layers_that_depend_on_their_place_are_refused(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    assert words in str(check_model(saved(tmp_path / "saved", "gpt2", {}, **settings)))


def test_a_token_without_a_place_in_the_vocabulary(tmp_path: Path) -> None:
    """Gemma 3's tokenizer has a token for pictures, which its models for text alone have no vector for."""
    entry = saved(tmp_path / "saved", "gemma3_text", {})
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    tokenizer.add_tokens(["<image_soft_token>"], special_tokens=True)
    tokenizer.save_pretrained(tmp_path / "saved")
    assert check_model(entry) is None
    fetch_model(entry, tmp_path / "out")
    assert (
        len(AutoTokenizer.from_pretrained(tmp_path / "out"))
        == read_json(tmp_path / "out/config.json")["vocab_size"] + 1
    )


@pytest.mark.parametrize(("family", "buffer"), [("gpt2", "attn.bias"), ("llama", "self_attn.rotary_emb.inv_freq")])
def test_buffers_of_old_checkpoints_are_left_out(tmp_path: Path, family: str, buffer: str) -> None:
    """GPT-2's on the hub has the causal mask of each layer, old ones of Llama's the frequencies of positions."""
    entry = saved(tmp_path / "saved", family, {})
    tensors = load_file(tmp_path / "saved" / WEIGHTS)
    prefix = "transformer.h" if family == "gpt2" else "model.layers"
    tensors |= {f"{prefix}.{layer}.{buffer}": torch.ones(4, dtype=torch.uint8) for layer in range(2)}
    save_file(tensors, tmp_path / "saved" / WEIGHTS, {"format": "pt"})
    assert check_model(entry) is None
    fetch_model(entry, tmp_path / "out")
    load_for_prediction(tmp_path / "out")
