"""Scores of layers by their weights, against the weights of the model that transformers loads."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import tiny
from shallower.analysis.parameter_scores import METHODS, READINGS, parameter_scores
from shallower.core.errors import UserError
from shallower.core.files import sha256_of
from shallower.models.folder import WEIGHTS

PROJECT = Path(__file__).parents[3]

NUM_LAYERS = 3
LAYERED = [family for family in tiny.FAMILIES if family != "albert"]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    """A classifier of each family."""
    folder = tmp_path_factory.mktemp("models")
    return {family: tiny.make_model(folder / family, family, NUM_LAYERS, labels=3) for family in tiny.FAMILIES}


def layers_and_matrices(folder: Path, family: str) -> tuple[list[torch.nn.Module], list[torch.nn.Linear]]:
    """Layers of the loaded model and the linear map that each ends with, found as attributes."""
    base = transformers.AutoModel.from_pretrained(folder)
    layers = tiny.layers_of(base)
    match family:
        case "xlnet":
            return list(layers), [layer.ff.layer_2 for layer in layers]
        case "distilbert":
            return list(layers), [layer.ffn.lin2 for layer in layers]
        case "gpt2":
            return list(layers), [layer.mlp.c_proj for layer in layers]
        case "gemma3_text":
            return list(layers), [layer.mlp.down_proj for layer in layers]
        case _:
            return list(layers), [layer.output.dense for layer in layers]


def pooled(parameters) -> np.ndarray:
    return np.concatenate([parameter.detach().numpy().ravel() for parameter in parameters]).astype(np.float64)


@pytest.mark.parametrize("family", LAYERED)
def test_scores_are_those_of_the_loaded_models_weights(family, models):
    layers, matrices = layers_and_matrices(models[family], family)
    weights = {
        "output-matrix": [pooled([matrix.weight]) for matrix in matrices],
        "output-matrix-and-bias": [pooled(matrix.parameters()) for matrix in matrices],
        "layer": [pooled(layer.parameters()) for layer in layers],
    }
    assert weights.keys() == READINGS.keys()
    for reading, of_layers in weights.items():
        magnitudes = [np.mean(np.abs(values)) for values in of_layers]
        variances = [np.mean(values**2) - np.mean(values) ** 2 for values in of_layers]
        assert len(set(magnitudes)) == NUM_LAYERS, "the layers must differ"
        assert parameter_scores(models[family], "parameter-aggregation", reading) == pytest.approx(magnitudes)
        assert parameter_scores(models[family], "parameter-variance", reading) == pytest.approx(variances)


@pytest.mark.parametrize("variant", [{"bare": True}, {"max_shard_size": "20KB", "labels": 3}], ids=["bare", "shards"])
def test_checkpoints_without_prefix_or_in_shards(variant, tmp_path):
    folder = tiny.make_model(tmp_path, "bert", NUM_LAYERS, **variant)
    _, matrices = layers_and_matrices(folder, "bert")

    assert (folder / WEIGHTS).exists() == ("bare" in variant)
    expected = [pooled([matrix.weight]).var() for matrix in matrices]
    assert parameter_scores(folder, "parameter-variance") == pytest.approx(expected)


def copy_of(source: Path, target: Path, change) -> Path:
    """The model with each tensor changed."""
    target.mkdir()
    (target / "config.json").write_text((source / "config.json").read_text())
    tensors = {name: change(name, tensor) for name, tensor in load_file(source / WEIGHTS).items()}
    save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})
    return target


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_are_scored_as_the_numbers_that_they_hold(dtype, models, tmp_path):
    folder = copy_of(models["roberta"], tmp_path / "model", lambda name, tensor: tensor.to(dtype))
    _, matrices = layers_and_matrices(models["roberta"], "roberta")

    rounded = [matrix.weight.detach().to(dtype).double().numpy() for matrix in matrices]
    expected = [values.var() for values in rounded]
    assert parameter_scores(folder, "parameter-variance") == pytest.approx(expected, rel=1e-12)


def test_layers_that_share_their_weights_cannot_be_distinguished(models):
    with pytest.raises(UserError, match=r"albert are one set of weights.*leave the parameter strategies out"):
        parameter_scores(models["albert"], "parameter-variance")


def test_weights_that_are_not_finite_are_refused(models, tmp_path):
    name_of_bad = "bert.encoder.layer.1.output.dense.weight"
    folder = copy_of(models["bert"], tmp_path / "model", lambda name, tensor: tensor / (name != name_of_bad))

    with pytest.raises(UserError, match=r"model: the weights of layers \[1\] are not finite"):
        parameter_scores(folder, "parameter-aggregation")


def test_weights_of_another_kind_are_refused(models, tmp_path):
    folder = copy_of(models["bert"], tmp_path / "model", lambda name, tensor: tensor.to(torch.int8))

    with pytest.raises(UserError, match=r"output\.dense\.weight is of type I8"):
        parameter_scores(folder, "parameter-aggregation")


def test_weights_of_another_depth_than_stated_are_refused(models, tmp_path):
    folder = copy_of(models["bert"], tmp_path / "model", lambda name, tensor: tensor)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))

    with pytest.raises(UserError, match=r"states 2 layers .* hold layers \[2\] too"):
        parameter_scores(folder, "parameter-variance")


# --- score_parameters.py ---


@pytest.mark.parametrize("method", METHODS)
def test_script_writes_scores_without_a_deep_learning_library(method, models, tmp_path):
    options = ["--model-dir", models["xlnet"], "--method", method, "--weights", "layer", "--output", "scores.json"]
    script = PROJECT / "workflow/scripts/score_parameters.py"
    code = (
        f"import runpy, sys; sys.argv[0] = {str(script)!r}; runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, *map(str, options)],
        env={"PYTHONPATH": str(PROJECT / "workflow")},
        cwd=tmp_path,
        check=True,
    )

    assert json.loads((tmp_path / "scores.json").read_text()) == {
        "method": method,
        "weights": "layer",
        "scores": parameter_scores(models["xlnet"], method, "layer"),
        "model": str(models["xlnet"]),
        "sha256": {"model.safetensors": sha256_of(models["xlnet"] / "model.safetensors")},
    }
