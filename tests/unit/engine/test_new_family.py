"""A family that the library does not have: its entry in the table is all that transformers needs to compute it."""

import numpy as np
import pytest
import torch

import tiny
from shallower.analysis.hidden_states import in_order, load_encoder
from shallower.analysis.latency import measure_costs, random_batches
from shallower.analysis.layer_scores import contribution_scores
from shallower.analysis.parameter_scores import parameter_scores
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.transformers_classifier import TransformersClassifier, load_checked
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict
from shallower.engine.training import TrainSettings, train
from shallower.models.families import FAMILIES, family_of, position_limit
from shallower.models.family import Family
from shallower.models.size import ModelSize
from shallower.surgery.drop_layers import drop_layers
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)
NEW = (
    Family("ernie", r"(ernie\.)?encoder\.layer\.", "output.dense"),
    Family(
        name="data2vec-text",
        layer_pattern=r"(data2vec_text\.)?encoder\.layer\.",
        output_matrix="output.dense",
        output_layer="classifier.out_proj",
        positions_after_padding=True,
        default_padding_id=1,
    ),
)


@pytest.fixture(params=NEW, ids=[family.name for family in NEW])
def family(request, monkeypatch):
    assert request.param.name not in FAMILIES
    monkeypatch.setitem(FAMILIES, request.param.name, request.param)
    return request.param


def test_from_a_checkpoint_to_predictions(tmp_path, family):
    source = tiny.make_model(tmp_path / "source", family.name)
    config = read_json(source / "config.json")
    assert family_of(config).num_layers(config) == 4
    assert position_limit(config) == tiny.MAX_LENGTH

    drop_layers(source, [0, 1, 3], tmp_path / "dropped")
    shallow = read_json(tmp_path / "dropped" / "config.json")
    assert family_of(shallow).num_layers(shallow) == 3
    tokens, task = make_tokens(source, 48)
    classifier = load_for_training(tmp_path / "dropped", task, seed=1, padding_side=tokens.padding_side)
    assert isinstance(classifier, TransformersClassifier)
    classifier.freeze([1])
    settings = TrainSettings.parse({"epochs": 6, "learning_rate": 2e-3, "batch_size": 8})
    records = train(classifier, tokens, settings, 1, CPU, CheckpointFolder(tmp_path / "scratch", {}), 60).records
    losses = [record["loss"] for record in records]
    assert np.mean(losses[-6:]) < np.mean(losses[:6])

    classifier.save(source, tmp_path / "tuned")
    logits = predict(load_for_prediction(tmp_path / "tuned", tokens.padding_side), tokens, CPU)
    model = load_checked(tmp_path / "tuned")
    with torch.inference_mode():
        ids = torch.from_numpy(tokens.input_ids[: tokens.offsets[1]]).long()[None]
        assert model(ids).logits[0].numpy() == pytest.approx(logits[0], abs=1e-4)


def test_what_is_analysed(tmp_path, family):
    source = tiny.make_model(tmp_path, family.name)
    tokens, _ = make_tokens(source, 6)
    vectors = in_order(load_encoder(source), tokens, CPU, lambda vectors: vectors)
    assert vectors.shape == (5, 6, 32)
    assert len(contribution_scores(load_encoder(source), tokens, CPU)) == 4
    assert len(set(parameter_scores(source, "parameter-variance"))) == 4
    config = read_json(source / "config.json")
    costs = measure_costs(config, random_batches(config, [1], 8), 1, CPU)
    assert len({cost["parameters"] for cost in costs}) == 4


def test_its_size_is_estimated(tmp_path, family):
    # Larger than the other tiny models: the estimate leaves out biases and norms.
    tokenizer = tiny.make_tokenizer(family.name)
    config = tiny.make_config(family.name, 6, tokenizer).to_dict() | {"hidden_size": 256, "intermediate_size": 1024}
    real = measure_costs(config, random_batches(config, [1], 8), 1, CPU)[-1]
    assert ModelSize.of(config).bytes(6) == pytest.approx(real["bytes"], rel=0.05)


def test_missing_tensors_are_an_error(tmp_path, family):
    source = tiny.make_model(tmp_path, family.name)
    write_json(source / "config.json", read_json(source / "config.json") | {"num_hidden_layers": 5})
    with pytest.raises(UserError, match=r"layer\.4\..* is missing"):
        load_for_training(source, {"name": "tiny", "target": "classification", "labels": ["a", "b"]}, seed=1)
