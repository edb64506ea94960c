"""Loading and saving classifiers: new heads by seed, nothing else missing or left over."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from shallower.classifier import (
    check_tokenizer,
    count_parameters,
    freeze_layers,
    load_for_prediction,
    load_for_training,
    save,
)
from shallower.errors import UserError
from shallower.files import read_json, write_json

TASK = {"name": "tiny", "target": "classification", "labels": ["bad", "fair", "good"]}
REGRESSION = {"name": "tiny", "target": "regression", "labels": None}


def same_weights(one, other):
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def edit_weights(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_checkpoint_gets_a_new_head_that_depends_on_the_seed(tmp_path, family, bare):
    tiny.make_model(tmp_path, family, bare=bare)
    one, again, other = (load_for_training(tmp_path, TASK, seed) for seed in (1, 1, 2))
    assert same_weights(one, again)
    assert not same_weights(one, other)
    assert torch.equal(one.get_input_embeddings().weight, other.get_input_embeddings().weight)
    assert one.config.id2label == {0: "bad", 1: "fair", 2: "good"}
    assert one.config.label2id == {"bad": 0, "fair": 1, "good": 2}
    assert all(parameter.dtype == torch.float32 for parameter in one.parameters())


def test_regression_has_one_output(tmp_path):
    model = load_for_training(tiny.make_model(tmp_path, "bert"), REGRESSION, seed=1)
    assert (model.config.num_labels, model.config.problem_type) == (1, "regression")
    assert model(input_ids=torch.tensor([[2, 6, 3]])).logits.shape == (1, 1)


def test_a_head_of_the_right_size_is_kept_and_another_replaced(tmp_path):
    tiny.make_model(tmp_path, "bert", labels=3)
    head = load_file(tmp_path / "model.safetensors")["classifier.weight"]
    assert torch.equal(load_for_training(tmp_path, TASK, seed=1).classifier.weight, head)
    two = load_for_training(tmp_path, {**TASK, "labels": ["no", "yes"]}, seed=1)
    assert two.classifier.weight.shape == (2, 32)


def test_half_precision_checkpoints_are_trained_in_fp32(tmp_path):
    tiny.make_model(tmp_path, "bert")
    edit_weights(tmp_path, lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()}))
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), "dtype": "float16"})
    model = load_for_training(tmp_path, TASK, seed=1)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_a_missing_layer_tensor_is_an_error(tmp_path):
    tiny.make_model(tmp_path, "bert")
    edit_weights(tmp_path, lambda tensors: tensors.pop("bert.encoder.layer.2.output.dense.weight"))
    with pytest.raises(UserError, match=r"layer\.2\.output\.dense\.weight is missing"):
        load_for_training(tmp_path, TASK, seed=1)


@pytest.mark.parametrize("family", [family for family in tiny.FAMILIES if family != "albert"])
@pytest.mark.parametrize("bare", [False, True])
def test_left_over_layers_are_an_error(tmp_path, family, bare):
    tiny.make_model(tmp_path, family, bare=bare)
    config = read_json(tmp_path / "config.json")
    depth = {"distilbert": "n_layers", "xlnet": "n_layer"}.get(family, "num_hidden_layers")
    write_json(tmp_path / "config.json", {**config, depth: 3})
    with pytest.raises(UserError, match="left over"):
        load_for_training(tmp_path, TASK, seed=1)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_is_no_model_is_named(tmp_path, name):
    tiny.make_model(tmp_path, "bert")
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=name):
        load_for_training(tmp_path, TASK, seed=1)


def test_saved_and_loaded_again_for_prediction(tmp_path):
    source = tiny.make_model(tmp_path / "source", "roberta")
    model = load_for_training(source, TASK, seed=1)
    save(model, source, tmp_path / "saved")
    loaded = load_for_prediction(tmp_path / "saved")
    assert same_weights(model, loaded)
    assert not loaded.training
    assert loaded.config.id2label == model.config.id2label
    files = {path.name for path in (tmp_path / "saved").iterdir()}
    assert files == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert (tmp_path / "saved" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


def test_a_checkpoint_without_a_head_does_not_predict(tmp_path):
    with pytest.raises(UserError, match="classifier"):
        load_for_prediction(tiny.make_model(tmp_path, "bert"))


def test_a_tokenizer_is_missed_before_the_training(tmp_path):
    shutil.copytree(tiny.make_model(tmp_path / "model", "bert"), tmp_path / "copy")
    check_tokenizer(tmp_path / "copy")
    (tmp_path / "copy" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        check_tokenizer(tmp_path / "copy")


def test_parameters_are_counted(tmp_path):
    tiny.make_model(tmp_path, "bert", labels=3)
    tensors = load_file(tmp_path / "model.safetensors")
    assert count_parameters(load_for_prediction(tmp_path)) == sum(tensor.numel() for tensor in tensors.values())


@pytest.mark.parametrize("family", [family for family in tiny.FAMILIES if family != "albert"])
def test_frozen_layers_are_whole_layers_and_nothing_else(tmp_path, family):
    model = load_for_training(tiny.make_model(tmp_path, family), TASK, seed=1)
    freeze_layers(model, [1, 3])
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    layers = {name for name, _ in model.named_parameters() if ".layer.1." in name or ".layer.3." in name}
    assert frozen == layers
    assert len(frozen) > 10


def test_one_of_shared_layers_cannot_be_frozen(tmp_path):
    model = load_for_training(tiny.make_model(tmp_path, "albert"), TASK, seed=1)
    freeze_layers(model, [])
    with pytest.raises(UserError, match=r"albert.*leave this model out"):
        freeze_layers(model, [3])


def test_layers_to_freeze_must_be_in_the_model(tmp_path):
    model = load_for_training(tiny.make_model(tmp_path, "bert"), TASK, seed=1)
    with pytest.raises(UserError, match=r"layers \[4, 6\].*which has 4"):
        freeze_layers(model, [3, 4, 6])
    assert all(parameter.requires_grad for parameter in model.parameters())
