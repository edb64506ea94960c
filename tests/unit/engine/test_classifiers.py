"""Loading and saving classifiers: new heads by seed, nothing else missing or left over."""

import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.models.families import FAMILIES
from shallower.surgery.drop_layers import drop_layers

TASK = {"name": "tiny", "target": "classification", "labels": ["bad", "fair", "good"]}
REGRESSION = {"name": "tiny", "target": "regression", "labels": None}


def same_weights(one, other):
    left, right = one.module.state_dict(), other.module.state_dict()
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
    for layer in (0, 3):
        assert all(map(torch.equal, one.layer_parameters(layer), other.layer_parameters(layer)))
    assert one.config["id2label"] == {0: "bad", 1: "fair", 2: "good"}
    assert one.config["label2id"] == {"bad": 0, "fair": 1, "good": 2}
    assert all(parameter.dtype == torch.float32 for parameter in one.module.parameters())


def test_regression_has_one_output(tmp_path):
    source = tiny.make_model(tmp_path / "source", "bert")
    load_for_training(source, REGRESSION, seed=1).save(source, tmp_path / "saved")
    model = load_checked(tmp_path / "saved")
    assert (model.config.num_labels, model.config.problem_type) == (1, "regression")
    assert model(input_ids=torch.tensor([[2, 6, 3]])).logits.shape == (1, 1)


def output_layer(folder, family, task):
    """Weight and bias of the last layer once a checkpoint is loaded for a task, and what was decided."""
    classifier = load_for_training(folder, task, seed=1)
    classifier.write(folder.with_name("written"))
    tensors = load_file(folder.with_name("written") / "model.safetensors")
    weight = tensors[f"{FAMILIES[family].output_layer}.weight"]
    # Decoders have none.
    bias = tensors.get(f"{FAMILIES[family].output_layer}.bias", torch.zeros(len(weight)))
    return weight, bias, classifier.head


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_new_output_layer_for_several_labels_starts_at_their_log_odds(tmp_path, family):
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]], np.int8)
    task = TASK | {"target": "multi-label"}
    classifier = load_for_training(tiny.make_model(tmp_path / "source", family), task, seed=1)
    classifier.start_output(labels)
    classifier.write(tmp_path)
    if family in tiny.DECODERS:
        assert classifier.output_bias() is None and "its bias starts" not in classifier.head
        return
    bias = load_file(tmp_path / "model.safetensors")[f"{FAMILIES[family].output_layer}.bias"]
    assert bias.exp().tolist() == pytest.approx([3.5 / 1.5, 1.5 / 3.5, 0.5 / 4.5])
    assert "its bias starts" in classifier.head
    # What has learnt the task already goes on from there.
    source = tiny.make_model(tmp_path / "trained", family, labels=3)
    name_outputs(source, task["labels"])
    trained = load_for_training(source, task, seed=1)
    before = trained.output_bias().detach().clone()
    trained.start_output(labels)
    assert torch.equal(trained.output_bias(), before) and "its bias starts" not in trained.head


def name_outputs(folder, names):
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "id2label": dict(enumerate(names))})


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_outputs_of_a_head_follow_their_names(tmp_path, family):
    (tmp_path / "written").mkdir()
    source = tiny.make_model(tmp_path / "source", family, labels=3)
    theirs = load_file(source / "model.safetensors")
    weight = theirs[f"{FAMILIES[family].output_layer}.weight"]
    bias = theirs.get(f"{FAMILIES[family].output_layer}.bias", torch.zeros(3))

    name_outputs(source, ["bad", "fair", "good"])
    kept = output_layer(source, family, TASK)
    assert torch.equal(kept[0], weight) and torch.equal(kept[1], bias)
    assert kept[2] == "the checkpoint's output layer, whose labels are the task's"

    name_outputs(source, ["Good", "bad", "FAIR"])
    moved = output_layer(source, family, TASK)
    assert torch.equal(moved[0], weight[[1, 2, 0]]) and torch.equal(moved[1], bias[[1, 2, 0]])
    assert moved[2].startswith("the checkpoint's output layer, reordered: it has 'Good', 'bad', 'FAIR', the task")

    for names in (["LABEL_0", "LABEL_1", "LABEL_2"], ["entailment", "neutral", "contradiction"]):
        name_outputs(source, names)
        new = output_layer(source, family, TASK)
        assert not torch.equal(new[0], weight) and not new[1].any()
        assert new[0].std() == pytest.approx(0.1, rel=0.3)  # initializer_range
        assert new[2].startswith(f"a new output layer: the checkpoint's is for '{names[0]}'")
        again = output_layer(source, family, TASK)
        assert torch.equal(again[0], new[0])

    another = output_layer(source, family, {**TASK, "labels": ["no", "yes"]})
    assert another[0].shape == (2, 32)
    assert another[2].startswith("a new output layer")


def test_the_rest_of_a_replaced_head_stays(tmp_path):
    source = tiny.make_model(tmp_path, "roberta", labels=3)
    dense = load_file(source / "model.safetensors")["classifier.dense.weight"]
    assert torch.equal(load_for_training(source, TASK, seed=1).module.head_dense.weight, dense)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("task", [TASK, REGRESSION, {**TASK, "labels": ["LABEL_0", "LABEL_1"]}])
def test_a_head_of_the_pipelines_own_is_kept_between_its_steps(tmp_path, family, task):
    source = tiny.make_model(tmp_path / "source", family)
    tuned = load_for_training(source, task, seed=1)
    assert tuned.head == "a new output layer, as the checkpoint has none"
    tuned.save(source, tmp_path / "tuned")
    drop_layers(tmp_path / "tuned", [0, 2], tmp_path / "dropped")
    again = load_for_training(tmp_path / "dropped", task, seed=2)
    assert again.head == "the checkpoint's output layer, whose labels are the task's"
    again.save(source, tmp_path / "again")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("tuned", "again"))
    outside = [name for name in before if FAMILIES[family].layer_of(name) is None]
    assert FAMILIES[family].output_layer + ".weight" in outside
    assert all(torch.equal(before[name], after[name]) for name in outside)


def test_half_precision_checkpoints_are_trained_in_fp32(tmp_path):
    tiny.make_model(tmp_path, "bert")
    edit_weights(tmp_path, lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()}))
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), "dtype": "float16"})
    model = load_for_training(tmp_path, TASK, seed=1)
    assert all(parameter.dtype == torch.float32 for parameter in model.module.parameters())


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
    write_json(tmp_path / "config.json", FAMILIES[family].shortened_config(config, [0, 1, 2]))
    with pytest.raises(UserError, match="left over"):
        load_for_training(tmp_path, TASK, seed=1)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_is_no_model_is_named(tmp_path, name):
    tiny.make_model(tmp_path, "bert")
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=name):
        load_for_training(tmp_path, TASK, seed=1)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_saved_and_loaded_again(tmp_path, family, bare):
    """What is saved loads as plain from_pretrained loads it, with nothing missing or left over."""
    source = tiny.make_model(tmp_path / "source", family, bare=bare)
    classifier = load_for_training(source, TASK, seed=1)
    classifier.save(source, tmp_path / "saved")
    assert same_weights(classifier, load_for_prediction(tmp_path / "saved"))
    model = load_checked(tmp_path / "saved")
    assert model.config.id2label == {0: "bad", 1: "fair", 2: "good"}
    assert model.config.architectures == [type(model).__name__]
    assert sum(parameter.numel() for parameter in model.parameters()) == classifier.count_parameters()
    files = {path.name for path in (tmp_path / "saved").iterdir()}
    assert files == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert (tmp_path / "saved" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


def test_old_names_of_norms_and_old_buffers_are_read(tmp_path):
    tiny.make_model(tmp_path, "bert")
    new = load_for_training(tmp_path, TASK, seed=1)

    def age(tensors):
        for name in [name for name in tensors if "LayerNorm" in name]:
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name)
        tensors["bert.embeddings.position_ids"] = torch.arange(128)[None]

    edit_weights(tmp_path, age)
    assert same_weights(load_for_training(tmp_path, TASK, seed=1), new)


def test_a_checkpoint_without_a_head_does_not_predict(tmp_path):
    with pytest.raises(UserError, match="classifier"):
        load_for_prediction(tiny.make_model(tmp_path, "bert"))


@pytest.mark.parametrize("family", [family for family in tiny.FAMILIES if family != "albert"])
def test_frozen_layers_are_whole_layers_and_nothing_else(tmp_path, family):
    classifier = load_for_training(tiny.make_model(tmp_path, family), TASK, seed=1)
    classifier.freeze([1, 3])
    frozen = {name for name, parameter in classifier.module.named_parameters() if not parameter.requires_grad}
    names = [name for name, _ in classifier.module.named_parameters()]
    assert frozen == {name for name in names if re.search(r"\b(layers?|h)\.[13]\.", name)}
    assert len(frozen) > 10


def test_one_of_shared_layers_cannot_be_frozen(tmp_path):
    classifier = load_for_training(tiny.make_model(tmp_path, "albert"), TASK, seed=1)
    classifier.freeze([])
    with pytest.raises(UserError, match=r"albert.*leave this model out"):
        classifier.freeze([3])


def test_layers_to_freeze_must_be_in_the_model(tmp_path):
    classifier = load_for_training(tiny.make_model(tmp_path, "bert"), TASK, seed=1)
    with pytest.raises(UserError, match=r"layers \[4, 6\].*which has 4"):
        classifier.freeze([3, 4, 6])
    assert all(parameter.requires_grad for parameter in classifier.module.parameters())


def test_a_broken_file_of_weights_is_named(tmp_path):
    tiny.make_model(tmp_path, "bert", labels=2)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors: not a valid safetensors file"):
        load_for_prediction(tmp_path)
