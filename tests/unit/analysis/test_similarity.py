"""Pre-trained against fine-tuned: 1 where nothing changed, less from the depth of a change on."""

import argparse
import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from shallower.analysis.hidden_states import in_order, load_encoder
from shallower.analysis.similarity import similarity_by_depth
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.devices import Compute
from token_sets import make_tokens, write_task

SCRIPT = Path(__file__).parents[3] / "workflow" / "scripts" / "compare_states.py"
CPU = Compute("cpu", "fp32", 1)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_model_is_like_itself_at_every_depth(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 10)
    cosines = similarity_by_depth(load_encoder(tmp_path), load_encoder(tmp_path), tokens, CPU)
    assert cosines == pytest.approx([1.0] * 5, abs=1e-9)


def test_each_depth_is_compared_with_the_same_depth(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path / "a", "bert"), 9)
    tiny.make_model(tmp_path / "b", "bert", seed=5)
    models = [load_encoder(tmp_path / name) for name in "ab"]
    ours, theirs = (in_order(model, tokens, CPU, lambda vectors: vectors) for model in models)
    lengths = np.linalg.norm(ours, axis=2) * np.linalg.norm(theirs, axis=2)
    expected = ((ours * theirs).sum(axis=2) / lengths).mean(axis=1)
    assert similarity_by_depth(*models, tokens, CPU) == pytest.approx(expected.tolist(), abs=1e-5)
    assert np.abs(expected).max() < 0.9


@pytest.mark.parametrize(("family", "layer"), [("bert", "encoder.layer.2."), ("xlnet", "layer.2.")])
def test_a_change_shows_from_its_depth_on(tmp_path, family, layer):
    tokens, _ = make_tokens(tiny.make_model(tmp_path / "before", family, bare=True), 9)
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    tensors = load_file(tmp_path / "after" / "model.safetensors")
    changed = {name: 1.5 * tensor if name.startswith(layer) else tensor for name, tensor in tensors.items()}
    save_file(changed, tmp_path / "after" / "model.safetensors", {"format": "pt"})
    cosines = similarity_by_depth(load_encoder(tmp_path / "after"), load_encoder(tmp_path / "before"), tokens, CPU)
    assert cosines[:3] == pytest.approx([1.0] * 3, abs=1e-9)
    assert max(cosines[3:]) < 0.9999


def test_models_of_two_depths_are_an_error(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path / "a", "bert"), 3)
    tiny.make_model(tmp_path / "b", "bert", num_layers=3)
    with pytest.raises(UserError, match=r"4 layers .* 3 layers"):
        similarity_by_depth(load_encoder(tmp_path / "a"), load_encoder(tmp_path / "b"), tokens, CPU)


def test_the_script_says_what_was_compared(tmp_path):
    # A fine-tuned model has a head and the base model's prefix; the other may have neither.
    tokens, task = make_tokens(tiny.make_model(tmp_path / "tuned", "roberta", labels=2), 6)
    tiny.make_model(tmp_path / "original", "roberta", bare=True)
    write_task(tmp_path, tokens, task)
    spec = importlib.util.spec_from_file_location("compare_states_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    threads = torch.get_num_threads()
    script.main(
        argparse.Namespace(
            model_dir=tmp_path / "tuned",
            pretrained_dir=tmp_path / "original",
            tokens=tmp_path / "tokens.safetensors",
            threads=1,
            device="cpu",
            output=tmp_path / "similarity.json",
        )
    )
    torch.set_num_threads(threads)
    record = read_json(tmp_path / "similarity.json")
    cosines = record.pop("cosine")
    assert record == {
        "model": str(tmp_path / "tuned"),
        "pretrained": str(tmp_path / "original"),
        "num_examples": 6,
    }
    assert len(cosines) == 5
    assert all(-1 <= cosine <= 1 for cosine in cosines)
