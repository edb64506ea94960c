"""Other forms in which models of a family are published: the same promises as for the first, all in one go.

The first forms are those of `tiny.make_model`, on which each promise has tests of its own.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForSequenceClassification

import tiny
from shallower.analysis.single_layers import load_layers
from shallower.core.files import read_json
from shallower.engine.batches import make_batch
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict
from shallower.engine.training import TrainSettings, train
from shallower.export.onnx_export import export_onnx
from shallower.export.onnx_prediction import OnnxModel
from shallower.export.onnx_prediction import predict as predict_onnx
from shallower.models.encoder_families import expected_tensors
from shallower.models.families import FAMILIES
from shallower.models.folder import WEIGHTS
from shallower.sources.models import check_model, fetch_model
from shallower.surgery.drop_layers import drop_layers
from shallower.surgery.subsets import walk
from tiny_families import TINY
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)
KEPT = [1, 2]
CLOSE = {"rtol": 0, "atol": 2e-5}


FORMS = [
    *(pytest.param(family, form.variant, id=family) for family, form in TINY.items() if form.variant),
    pytest.param("nomic_bert", {}, id="nomic_bert-first"),
]


@pytest.mark.parametrize(("family", "settings"), FORMS)
def test_another_form_keeps_all_promises(tmp_path: Path, family: str, settings: dict[str, Any]) -> None:
    saved = tiny.make_model(tmp_path / "saved", family, 3, labels=3, settings=settings, max_shard_size="20KB")
    entry = {"name": "m", "source": "local", "directory": str(saved)}
    assert check_model(entry) is None
    fetch_model(entry, source := tmp_path / "source")
    config, weights = read_json(source / "config.json"), load_file(source / WEIGHTS)
    assert {name: config[name] for name in settings} == settings
    expected = {name: shape for name, (_, shape) in expected_tensors(config).items()}
    assert expected == {name: list(weights[name].shape) for name in expected}
    of_layers = {name for name in weights if FAMILIES[family].layer_of(name) is not None}
    assert of_layers <= set(expected)

    drop_layers(source, KEPT, dropped := tmp_path / "dropped")
    after = load_file(dropped / WEIGHTS)
    assert len(after) < len(weights)
    for name, tensor in after.items():
        layer = FAMILIES[family].layer_of(name)
        assert torch.equal(tensor, weights[name if layer is None else FAMILIES[family].moved_to(name, KEPT[layer])])

    # The full model of transformers, of whose layers only some are left.
    bypassed = AutoModelForSequenceClassification.from_pretrained(source).eval()
    layers = tiny.layers_of(bypassed)
    kept = nn.ModuleList(layers[layer] for layer in KEPT)
    layers._modules = kept._modules
    tokens, task = make_tokens(source, 24, pair=True)
    expected_logits = logits_of(bypassed, tokens)
    shallow, report = AutoModelForSequenceClassification.from_pretrained(dropped, output_loading_info=True)
    assert not any(report[f"{problem}_keys"] for problem in ("missing", "unexpected", "mismatched"))
    np.testing.assert_allclose(logits_of(shallow.eval(), tokens), expected_logits, **CLOSE)
    np.testing.assert_allclose(predict(load_for_prediction(dropped), tokens, CPU), expected_logits, **CLOSE)
    runner = load_layers(source, tokens, CPU, with_head=True)
    found = dict(walk([(1,), (1, 2), (0,), (0, 2)], runner.run))
    np.testing.assert_allclose(found[1, 2].logits, expected_logits, **CLOSE)

    classifier = load_for_training(dropped, task, seed=1)
    settings = TrainSettings.parse({"epochs": 6, "learning_rate": 2e-3, "batch_size": 8})
    records = train(classifier, tokens, settings, 1, CPU, CheckpointFolder(tmp_path / "scratch", {}), 60).records
    losses = [record["loss"] for record in records]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


@pytest.mark.slow
@pytest.mark.parametrize(("family", "settings"), [form for form in FORMS if not FAMILIES[form.values[0]].no_onnx])
def test_another_form_is_exported(tmp_path: Path, family: str, settings: dict[str, Any]) -> None:
    source = tiny.make_model(tmp_path / "source", family, 2, labels=3, settings=settings)
    tokens, _ = make_tokens(source, 24, pair=True)
    export_onnx(source, tmp_path / "model.onnx")
    by_torch = predict(load_for_prediction(source), tokens, CPU)
    assert np.ptp(by_torch, axis=0).min() > 100 * CLOSE["atol"], "all are answered alike: differences would not show"
    np.testing.assert_allclose(predict_onnx(OnnxModel(tmp_path / "model.onnx"), tokens), by_torch, **CLOSE)


def logits_of(model: nn.Module, tokens) -> np.ndarray:
    """Of all examples in one batch, by transformers itself."""
    with torch.inference_mode():
        return model(**model_inputs(model, make_batch(tokens, np.arange(len(tokens.labels))), "cpu")).logits.numpy()
