"""ModernBERT: its lowest layer stays, its layers are of two kinds, and its head may read the mean of all tokens."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

import tiny
from shallower.analysis.hidden_states import in_order, load_encoder
from shallower.analysis.latency import measure_costs, random_batches
from shallower.analysis.single_layers import load_layers
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.engine.batches import make_batch
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.engine.dropout import Dropout
from shallower.engine.prediction import predict
from shallower.engine.training import TrainSettings, train
from shallower.export.onnx_export import export_onnx
from shallower.export.onnx_prediction import OnnxModel
from shallower.export.onnx_prediction import predict as predict_onnx
from shallower.models.encoder_families import expected_tensors
from shallower.models.families import family_of, position_limit
from shallower.models.folder import WEIGHTS
from shallower.models.size import ModelSize
from shallower.sources.models import check_model, fetch_model
from shallower.sources.tensor_checks import check_settings
from shallower.surgery.drop_layers import drop_layers
from shallower.surgery.strategies import drop_order
from shallower.surgery.subsets import every_subset, walk
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)
CLOSE = {"rtol": 0, "atol": 2e-5}
NUM_LAYERS = 7
KEPT = [0, 2, 3]
# What configurations of transformers 4 say instead of lists; other angles than by default.
OLDER = {"global_attn_every_n_layers": 2, "global_rope_theta": 80.0, "local_rope_theta": 7.0}


def make(folder: Path, form: str, **settings) -> Path:
    """A checkpoint in shards, whose configuration lists kinds of layers, or states them by older keys."""
    mine = {"classifier_pooling": "cls", "norm_bias": True, "mlp_bias": True} if form == "older" else {}
    if form == "older":
        kinds = ["sliding_attention" if layer % 2 else "full_attention" for layer in range(NUM_LAYERS)]
        angles = {"full_attention": {"rope_type": "default", "rope_theta": 80.0}}
        angles |= {"sliding_attention": {"rope_type": "default", "rope_theta": 7.0}}
        mine |= {"layer_types": kinds, "rope_parameters": angles}
    tiny.make_model(folder, "modernbert", NUM_LAYERS, settings=mine | settings.pop("more", {}), **settings)
    if form == "older":
        config = read_json(folder / "config.json")
        lists = ("layer_types", "rope_parameters")
        write_json(folder / "config.json", {key: value for key, value in config.items() if key not in lists} | OLDER)
    return folder


def logits_of(model: nn.Module, tokens) -> np.ndarray:
    with torch.inference_mode():
        return model(**model_inputs(model, make_batch(tokens, np.arange(len(tokens.labels))), "cpu")).logits.numpy()


def bypassed(folder: Path, kept) -> nn.Module:
    """The full model of transformers, of whose layers only some are left."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    model.model.layers = nn.ModuleList(model.model.layers[layer] for layer in kept)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("form", ["lists", "older"])
def test_from_a_checkpoint_to_an_exported_classifier(tmp_path, form):
    saved = make(tmp_path / "saved", form, labels=2, max_shard_size="20KB")
    entry = {"name": "m", "source": "local", "directory": str(saved)}
    assert check_model(entry) is None
    fetch_model(entry, source := tmp_path / "source")
    config, weights = read_json(source / "config.json"), load_file(source / WEIGHTS)
    theirs = AutoConfig.from_pretrained(source)
    assert list(family_of(config).stack(config).kinds) == theirs.layer_types
    expected = {name: shape for name, (_, shape) in expected_tensors(config).items()}
    assert expected == {name: list(weights[name].shape) for name in expected}
    assert {name.split(".")[0] for name in weights if name not in expected} == {"head", "classifier"}

    drop_layers(source, KEPT, dropped := tmp_path / "dropped")
    shallow, report = AutoModelForSequenceClassification.from_pretrained(dropped, output_loading_info=True)
    assert not any(report[f"{problem}_keys"] for problem in ("missing", "unexpected", "mismatched"))
    assert shallow.config.layer_types == [theirs.layer_types[layer] for layer in KEPT]
    assert shallow.config.rope_parameters == theirs.rope_parameters
    for name, tensor in load_file(dropped / WEIGHTS).items():
        layer = family_of(config).layer_of(name)
        assert torch.equal(tensor, weights[name if layer is None else family_of(config).moved_to(name, KEPT[layer])])

    tokens, task = make_tokens(source, 24, pair=True)
    assert np.diff(tokens.offsets).max() > 2 * theirs.sliding_window
    expected_logits = logits_of(bypassed(source, KEPT), tokens)
    np.testing.assert_allclose(logits_of(shallow.eval(), tokens), expected_logits, **CLOSE)
    np.testing.assert_allclose(predict(load_for_prediction(dropped), tokens, CPU), expected_logits, **CLOSE)
    # A layer of the other kind would show.
    shallow.model.layers[1].attention_type = {"full_attention": "sliding_attention"}.get(
        shallow.config.layer_types[1], "full_attention"
    )
    assert np.abs(logits_of(shallow, tokens) - expected_logits).max() > 1e-3

    runner = load_layers(source, tokens, CPU, with_head=True)
    subsets = every_subset(runner.stack)
    assert len(subsets) == 2 ** (NUM_LAYERS - 1)
    found = dict(walk([(0,), tuple(KEPT), (0, 1, 4, 6)], runner.run))
    for kept, outputs in found.items():
        np.testing.assert_allclose(outputs.logits, logits_of(bypassed(source, kept), tokens), **CLOSE)

    classifier = load_for_training(dropped, task, seed=1)
    settings = TrainSettings.parse({"epochs": 6, "learning_rate": 2e-3, "batch_size": 8})
    records = train(classifier, tokens, settings, 1, CPU, CheckpointFolder(tmp_path / "scratch", {}), 60).records
    losses = [record["loss"] for record in records]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    classifier.save(source, tuned := tmp_path / "tuned")
    by_torch = predict(load_for_prediction(tuned), tokens, CPU)
    export_onnx(tuned, tuned / "model.onnx")
    np.testing.assert_allclose(predict_onnx(OnnxModel(tuned / "model.onnx"), tokens), by_torch, **CLOSE)


@pytest.mark.parametrize("form", ["lists", "older"])
def test_vectors_are_those_that_the_head_reads(tmp_path, form):
    """transformers' own head, applied to a vector, gives its logits: the mean's in one form, [CLS] in the other."""
    source = make(tmp_path, form, labels=2)
    tokens, _ = make_tokens(source, 9, pair=True)
    classifier = load_for_prediction(source)
    examples = np.arange(9)
    with torch.inference_mode():
        outputs = classifier.compute(tokens, examples, Dropout(), with_vectors=True)
        model = classifier.module
        np.testing.assert_allclose(model.classifier(model.head(outputs.vectors)), outputs.logits, **CLOSE)
        last = in_order(load_encoder(source), tokens, CPU, lambda vectors: vectors)[-1]
        states = model.model(**model_inputs(model, make_batch(tokens, examples), "cpu"), output_hidden_states=True)
    runner = load_layers(source, tokens, CPU, with_head=True)
    read = dict(walk([tuple(range(NUM_LAYERS))], runner.run))[tuple(range(NUM_LAYERS))].vectors[runner.read]
    np.testing.assert_allclose(read, outputs.vectors, **CLOSE)
    assert runner.read == ("cls" if form == "older" else "mean")
    assert last.shape == read.shape and np.isfinite(last).all()
    assert states.last_hidden_state.shape[-1] == last.shape[-1]


def test_a_model_without_its_lowest_layer_is_refused_with_the_reason(tmp_path):
    source = make(tmp_path / "full", "lists")
    with pytest.raises(UserError, match="layer 0 would go, but must stay: it has no norm before its attention"):
        drop_layers(source, [1, 2], tmp_path / "dropped")
    assert not (tmp_path / "dropped").exists()


def test_older_keys_stay_where_they_still_say_the_same(tmp_path):
    config = read_json(make(tmp_path, "older") / "config.json")
    family = family_of(config)
    kept = [layer for layer in range(NUM_LAYERS) if layer not in drop_order("cadence", family.stack(config), 2)]
    assert family.shortened_config(config, kept)["global_attn_every_n_layers"] == 2
    assert "global_attn_every_n_layers" not in family.shortened_config(config, [0, 2, 4])
    for every in (0, "3", True):
        with pytest.raises(UserError, match="'global_attn_every_n_layers' is"):
            family.stack(config | {"global_attn_every_n_layers": every})


def test_its_cost_is_measured_at_every_depth(tmp_path):
    config = read_json(make(tmp_path, "lists") / "config.json")
    costs = measure_costs(config, random_batches(config, [1], 8), 1, CPU)
    assert len({cost["parameters"] for cost in costs}) == NUM_LAYERS


# Sizes of published models: layers, hidden size, inner size, heads, vocabulary; and millions of parameters as their
# authors count them (Warner et al. 2024; Marone et al. 2025 for mmBERT; Weller et al. 2025 for Ettin).
PUBLISHED = {
    "ModernBERT-base": (22, 768, 1152, 12, 50368, 149),
    "ModernBERT-large": (28, 1024, 2624, 16, 50368, 395),
    "mmBERT-small": (22, 384, 1152, 6, 256000, 140),
    "mmBERT-base": (22, 768, 1152, 12, 256000, 307),
    "ettin-encoder-17m": (7, 256, 384, 4, 50368, 17),
    "ettin-encoder-32m": (10, 384, 576, 6, 50368, 32),
    "ettin-encoder-68m": (19, 512, 768, 8, 50368, 68),
    "ettin-encoder-150m": (22, 768, 1152, 12, 50368, 150),
    "ettin-encoder-400m": (28, 1024, 2624, 16, 50368, 400),
    "ettin-encoder-1b": (28, 1792, 3840, 28, 50368, 1028),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configurations(name):
    layers, hidden, inner, heads, vocabulary, millions = PUBLISHED[name]
    config = {
        "model_type": "modernbert",
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "vocab_size": vocabulary,
        "global_attn_every_n_layers": 3,
        "local_attention": 128,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "max_position_embeddings": 8192,
        "position_embedding_type": "sans_pos",
        "classifier_pooling": "mean",
        "reference_compile": None,
    }
    check_settings(config)
    family, size = family_of(config), ModelSize.of(config)
    assert size.bytes(layers) / 4e6 == pytest.approx(millions, rel=0.06)
    assert position_limit(config) == 8192
    kinds = family.stack(config).kinds
    assert list(kinds) == AutoConfig.for_model(**config).layer_types
    # All of them end with a global layer, and lose whole periods of three.
    assert kinds[0] == kinds[-1] == "full_attention"
    kept = [layer for layer in range(layers) if layer not in drop_order("cadence", family.stack(config), 3)]
    shorter = family.shortened_config(config, kept)
    assert AutoConfig.for_model(**json.loads(json.dumps(shorter))).layer_types == list(kinds[:-3])
