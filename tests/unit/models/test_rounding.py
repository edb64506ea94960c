"""Weights kept in bfloat16: rounded as torch does it, and loaded by plain from_pretrained."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

import tiny
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.models.rounding import round_weights


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_model_loads_as_before_with_rounded_weights(tmp_path, family):
    folder = tiny.make_model(tmp_path / family, family, labels=2)
    before, size = load_file(folder / "model.safetensors"), (folder / "model.safetensors").stat().st_size
    round_weights(folder)
    assert (folder / "model.safetensors").stat().st_size < 0.6 * size
    after = load_file(folder / "model.safetensors")
    assert set(after) == set(before)
    assert all(torch.equal(after[name], tensor.bfloat16()) for name, tensor in before.items())
    model, report = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(report["missing_keys"]) and not any(report["unexpected_keys"])
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    loaded = model.state_dict()
    assert all(torch.equal(loaded[name], tensor.bfloat16().float()) for name, tensor in before.items())


def test_tensors_of_other_types_stay(tmp_path):
    tensors = {"w": np.ones((2, 3), np.float32), "positions": np.arange(4), "half": np.ones(2, np.float16)}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    round_weights(tmp_path)
    types = {name: tensor.dtype for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    assert types == {"w": torch.bfloat16, "positions": torch.int64, "half": torch.float16}
    assert read_json(tmp_path / "config.json") == {"model_type": "bert", "dtype": "float32"}


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    save_file({"w": np.array([1.0, np.nan], np.float32)}, tmp_path / "model.safetensors")
    write_json(tmp_path / "config.json", {})
    before = sha256_of(tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="w has values that are not finite"):
        round_weights(tmp_path)
    assert sha256_of(tmp_path / "model.safetensors") == before
    assert not list(tmp_path.glob("*.part"))
