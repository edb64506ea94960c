"""On a GPU: a CPU's numbers but for rounding, the same bits every time.

Skipped where torch finds no GPU.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny
from shallower.core.files import read_json, write_json
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.devices import Compute, all_to_device, choose_compute
from shallower.engine.dropout import Dropout
from shallower.engine.prediction import predict
from shallower.engine.tokens import TokenSet
from shallower.engine.training import TrainSettings, train
from token_sets import make_tokens

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use"),
]

CPU = Compute("cpu", "fp32", 1)
FP32 = Compute("cuda", "fp32", 1)
BF16 = Compute("cuda", "bf16", 1)
FAMILIES = pytest.mark.parametrize("family", tiny.FAMILIES)


class BrokenOffError(Exception):
    """The run ends here."""


class BreakingFolder(CheckpointFolder):
    """Breaks a run off right after the checkpoint of its fourth step, once."""

    broken = False

    def save(self, checkpoint):
        super().save(checkpoint)
        if checkpoint.step >= 4 and not self.broken:
            self.broken = True
            raise BrokenOffError


def of_lengths(tokens, lengths):
    """A token set with texts of these lengths, made of the tokens of another."""
    random = np.random.default_rng(0)
    parts = [random.choice(tokens.input_ids, length) for length in lengths]
    for part in parts:
        part[0 if tokens.padding_side == "right" else -1] = tokens.cls_token_id
    return replace(
        tokens,
        input_ids=np.concatenate(parts).astype(np.int32),
        token_type_ids=None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        labels=(np.arange(len(lengths)) % 2).astype(tokens.labels.dtype),
        ids=np.arange(len(lengths)),
    )


def sets(tokens) -> list[TokenSet]:
    """The texts as they are; of all lengths from the shortest to the longest; all of one length; one alone."""
    longest = tiny.MAX_LENGTH
    return [tokens, *(of_lengths(tokens, each) for each in (range(3, longest + 1, 5), [longest] * 4, [3] * 9, [17]))]


def start(folder, family, dropout=True, rows=48, **task):
    tokens, definition = make_tokens(tiny.make_model(folder / "model", family), rows, **task)
    path = folder / "model" / "config.json"
    if not dropout:
        write_json(path, {key: 0 if "dropout" in key else value for key, value in read_json(path).items()})
    return (lambda: load_for_training(folder / "model", definition, 1, tokens.padding_side)), tokens


def trained(load, tokens, compute, checkpoints, seconds=60.0, **settings):
    classifier = load()
    given = TrainSettings.parse({"learning_rate": 1e-3, **settings})
    result = train(classifier, tokens, given, 1, compute, checkpoints, seconds)
    weights = {name: parameter.detach().clone() for name, parameter in classifier.module.named_parameters()}
    assert {weight.device.type for weight in weights.values()} == {"cpu"}
    return weights, [record["loss"] for record in result.records]


def differing(one, other):
    return [name for name in one if not torch.equal(one[name], other[name])]


def test_auto_is_this_gpu_in_bf16():
    compute = choose_compute("auto", "auto", 1)
    assert compute.device == "cuda"
    assert compute.precision == ("bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32")
    assert compute.processor == torch.cuda.get_device_name()


def test_single_precision_is_not_tf32():
    left, right = torch.randn(2, 300, 300, dtype=torch.float64, device="cuda").unbind()
    assert ((left.float() @ right.float()) - left @ right).abs().max() < 1e-4


def test_arrays_arrive_as_they_are():
    arrays = [np.arange(7), np.ones((2, 1, 1, 3), np.float32), np.arange(3, dtype=np.int32), np.arange(2.0)]
    for array, tensor in zip(arrays, all_to_device(arrays, "cuda"), strict=True):
        assert tensor.is_cuda
        assert tensor.cpu().numpy().dtype == array.dtype
        assert np.array_equal(tensor.cpu().numpy(), array)


@FAMILIES
@pytest.mark.parametrize("task", [{}, {"pair": True}, {"regression": True}])
def test_logits_are_those_of_a_cpu(tmp_path, family, task):
    tokens, _ = make_tokens(
        tiny.make_model(tmp_path, family, labels=None if "regression" in task else 2, regression="regression" in task),
        12,
        **task,
    )
    model = load_for_prediction(tmp_path, tokens.padding_side)
    for texts in sets(tokens):
        expected = predict(model, texts, CPU)
        np.testing.assert_allclose(predict(model, texts, FP32), expected, rtol=0, atol=2e-5)
        rounded = predict(model, texts, BF16)
        assert np.abs(rounded - expected).max() < 0.1 * max(1.0, float(np.abs(expected).max()))
        assert np.array_equal(predict(model, texts, BF16), rounded)


@FAMILIES
def test_training_follows_that_on_a_cpu(tmp_path, family):
    load, tokens = start(tmp_path, family, dropout=False, pair=True)
    settings = {"epochs": 4, "learning_rate": 3e-4}  # 24 steps
    weights, losses = trained(load, tokens, CPU, CheckpointFolder(tmp_path / "cpu", {}), **settings)
    others, other_losses = trained(load, tokens, FP32, CheckpointFolder(tmp_path / "fp32", {}), **settings)
    assert other_losses == pytest.approx(losses, rel=1e-3)
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=0, atol=2e-3)
    _, rounded = trained(load, tokens, BF16, CheckpointFolder(tmp_path / "bf16", {}), **settings)
    assert rounded == pytest.approx(losses, abs=0.1)


@FAMILIES
@pytest.mark.parametrize("compute", [FP32, BF16], ids=lambda compute: compute.precision)
@pytest.mark.parametrize("longest", [None, tiny.MAX_LENGTH])
def test_the_same_run_and_a_broken_one_end_with_the_same_bits(tmp_path, monkeypatch, family, compute, longest):
    monkeypatch.setattr("shallower.engine.training.CHECKPOINT_SHARE", float("inf"))
    load, tokens = start(tmp_path, family)
    if longest:
        tokens = of_lengths(tokens, np.random.default_rng(1).integers(3, longest + 1, 80))
    one, losses = trained(load, tokens, compute, CheckpointFolder(tmp_path / "one", {}))
    torch.rand(3, device="cuda")  # what a process drew before must not matter
    again, again_losses = trained(load, tokens, compute, CheckpointFolder(tmp_path / "again", {}))
    assert losses == again_losses
    assert differing(one, again) == []
    folder = BreakingFolder(tmp_path / "broken", {})
    with pytest.raises(BrokenOffError):
        trained(load, tokens, compute, folder, seconds=0)
    resumed, resumed_losses = trained(load, tokens, compute, folder, seconds=0)
    assert differing(one, resumed) == []
    assert resumed_losses == losses


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_frozen_layers_stay_as_they_are(tmp_path, family):
    load, tokens = start(tmp_path, family)

    def load_frozen():
        classifier = load()
        classifier.freeze([0, 3])
        return classifier

    model = load()
    before = dict(model.module.named_parameters())
    parameters = {id(parameter) for layer in (0, 3) for parameter in model.layer_parameters(layer)}
    frozen = {name for name, parameter in before.items() if id(parameter) in parameters}
    after, _ = trained(load_frozen, tokens, BF16, CheckpointFolder(tmp_path / "frozen", {}))
    assert frozen
    assert {name for name in before if torch.equal(before[name], after[name])} >= frozen
    assert differing(before, after)


def test_a_task_is_learnt_in_bf16(tmp_path):
    load, tokens = start(tmp_path, "bert", dropout=False, rows=64)
    _, losses = trained(load, tokens, BF16, CheckpointFolder(tmp_path / "c", {}), epochs=8, learning_rate=3e-3)
    assert losses[-1] < 0.2 < 0.5 < losses[0]


def test_torchs_settings_are_as_before(tmp_path):
    load, tokens = start(tmp_path, "bert", rows=8)
    trained(load, tokens, BF16, CheckpointFolder(tmp_path / "c", {}), epochs=1)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("compute", [FP32, BF16], ids=lambda compute: compute.precision)
def test_dropout_has_the_distribution_of_a_cpus(tmp_path, compute):
    """Mean and spread of the logits over many draws."""
    load, tokens = start(tmp_path, "bert", rows=6)
    path = tmp_path / "model" / "config.json"
    change = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3}
    write_json(path, read_json(path) | change)
    draws = np.tile(np.arange(6), 400)
    logits = []
    for place in (CPU, compute):
        classifier = load()
        classifier.begin_training(tokens, place.device, train_used_embeddings_only=True)
        torch.manual_seed(0)
        with torch.no_grad(), place.autocast():
            logits.append(classifier.forward(tokens, draws, Dropout(1, 2))[0].float().cpu().view(400, -1))
    one, other = logits
    error = (one.var(0) / 400 + other.var(0) / 400).sqrt()
    assert ((one.mean(0) - other.mean(0)).abs() < 5 * error + 0.01).all()
    torch.testing.assert_close(one.std(0), other.std(0), rtol=0.25, atol=0)
