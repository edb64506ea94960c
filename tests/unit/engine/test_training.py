"""Training: the textbook loop's weights, made faster; the same seed the same weights, also after a kill."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.core.layers import Layers
from shallower.engine.batches import make_batch, training_batches
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.engine.optimizer import AdamW
from shallower.engine.training import TrainSettings, check_length, learning_rate_factor, train
from token_sets import make_tokens, write_task

ROOT = Path(__file__).parents[3]
CPU = Compute("cpu", "fp32", 1)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def prepare(folder, family="bert", rows=24, dropout=True, **task):
    """A tiny model, loaded at each call of the returned function, and the tokens of a task."""
    tokens, definition = make_tokens(tiny.make_model(folder, family), rows, **task)
    if not dropout:
        config = read_json(folder / "config.json")
        write_json(folder / "config.json", {key: 0 if "drop" in key else value for key, value in config.items()})

    def load(seed=1):
        return load_for_training(folder, definition, seed, tokens.padding_side)

    return load, tokens


def run(classifier, tokens, folder, seed=1, **settings):
    checkpoints = CheckpointFolder(folder / "checkpoints", {})
    return train(classifier, tokens, TrainSettings.parse(settings), seed, CPU, checkpoints, checkpoint_seconds=60)


def weights(classifier):
    return {name: parameter.detach().clone() for name, parameter in classifier.module.named_parameters()}


def reloaded(classifier, folder):
    """The model as transformers loads it."""
    classifier.save(folder, folder / "reloaded")
    return load_checked(folder / "reloaded")


def assert_equal_weights(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def textbook_training(model, tokens, seed, settings, learning_rates):
    """The loop without any of the library's savings."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, eps=1e-8, weight_decay=0.0, fused=False)
    losses = []
    steps = [
        examples
        for epoch in range(int(settings.epochs))
        for examples in training_batches(np.diff(tokens.offsets), settings.batch_size, seed, epoch)
    ]
    for examples, learning_rate in zip(steps, learning_rates, strict=True):
        batch = make_batch(tokens, examples)
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.zero_grad()
        output = model(**model_inputs(model, batch, "cpu"), labels=torch.from_numpy(batch.labels))
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        losses.append(output.loss.item())
    return losses


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_result_is_that_of_the_textbook_loop(tmp_path, family, regression):
    load, tokens = prepare(tmp_path, family, dropout=False, pair=True, regression=regression)
    settings = {"epochs": 2, "learning_rate": 1e-3, "batch_size": 8, "max_grad_norm": 0.5}
    classifier, expected = load(), reloaded(load(), tmp_path)
    result = run(classifier, tokens, tmp_path, **settings)
    rates = [1e-3 * (6 - step) / 6 for step in range(6)]
    losses = textbook_training(expected, tokens, 1, TrainSettings.parse(settings), rates)
    assert [record["loss"] for record in result.records] == pytest.approx(losses, rel=1e-4)
    assert [record["learning_rate"] for record in result.records] == pytest.approx(rates)
    trained = dict(reloaded(classifier, tmp_path).named_parameters())
    assert trained.keys() == dict(expected.named_parameters()).keys()
    for name, parameter in expected.named_parameters():
        off = (trained[name] - parameter).abs()
        # The same number for all keys changes no attention: what Adam follows there is left by rounding, as it is in a
        # few other places whose gradient is next to nothing, other ones on other processors.
        if name.endswith(("key.bias", "c_attn.bias")):
            assert off.max() <= 4e-3, name
        else:
            assert off.max() <= 1e-3 and (off > 1e-4).float().mean() <= 0.01, name


def test_no_epochs_leave_every_weight_as_it_is(tmp_path):
    load, tokens = prepare(tmp_path)
    classifier = load()
    before = {name: value.clone() for name, value in classifier.module.state_dict().items()}
    result = run(classifier, tokens, tmp_path, epochs=0)
    assert (result.steps, result.tokens, result.records) == (0, 0, [])
    after = classifier.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_words_that_never_occur_keep_their_vectors_exactly(tmp_path):
    load, tokens = prepare(tmp_path, rows=4)
    model = load()
    before = model.module.word_embeddings.weight.detach().clone()
    run(model, tokens, tmp_path, epochs=2)
    after = model.module.word_embeddings.weight
    unused = np.setdiff1d(np.arange(len(before)), tokens.input_ids)
    assert len(unused) > 10
    assert torch.equal(after[unused], before[unused])
    used = np.unique(tokens.input_ids)
    assert (after[used] != before[used]).any(dim=1).all()


def test_weight_decay_pulls_at_matrices_only(tmp_path):
    load, tokens = prepare(tmp_path, rows=4)
    settings = {"epochs": 1, "batch_size": 4, "learning_rate": 0.01}
    plain, decayed, before = load(), load(), load()
    run(plain, tokens, tmp_path, **settings)
    run(decayed, tokens, tmp_path, **settings, weight_decay=0.5)
    for name, parameter in weights(plain).items():
        start = weights(before)[name]
        expected = parameter - 0.01 * 0.5 * start if parameter.ndim > 1 else parameter
        torch.testing.assert_close(weights(decayed)[name], expected, rtol=0, atol=1e-5)


def test_the_seed_decides(tmp_path):
    load, tokens = prepare(tmp_path)

    def trained(seed):
        model = load(seed)
        records = run(model, tokens, tmp_path, seed=seed).records
        return weights(model), [record["loss"] for record in records]

    one, again, other = trained(1), trained(1), trained(2)
    assert_equal_weights(one[0], again[0])
    assert one[1] == again[1]
    assert one[1] != other[1]


def test_the_seed_decides_order_and_dropout_too_not_only_the_head(tmp_path):
    load, tokens = prepare(tmp_path)
    one = run(load(1), tokens, tmp_path, seed=1)
    other = run(load(1), tokens, tmp_path, seed=2)
    assert one.records[0]["loss"] != other.records[0]["loss"]


def test_a_task_that_can_be_learnt_is_learnt(tmp_path):
    load, tokens = prepare(tmp_path, rows=64, dropout=False)
    result = run(load(), tokens, tmp_path, epochs=8, learning_rate=3e-3)
    assert result.records[0]["loss"] > 0.5
    assert result.records[-1]["loss"] < 0.2


def test_totals_and_log(tmp_path):
    load, tokens = prepare(tmp_path, rows=20)
    result = run(load(), tokens, tmp_path, epochs=2, batch_size=8)
    assert (result.steps, result.sessions) == (6, 1)
    assert result.tokens == 2 * len(tokens.input_ids)
    assert [record["step"] for record in result.records] == [1, 2, 3, 4, 5, 6]
    assert [record["epoch"] for record in result.records][-1] == 2
    assert result.records[-1]["tokens"] == result.tokens
    assert 0 < result.records[0]["seconds"] <= result.records[-1]["seconds"] <= result.seconds + 0.001


def test_long_runs_log_means_over_steps(tmp_path, monkeypatch):
    load, tokens = prepare(tmp_path, rows=20)
    every = run(load(), tokens, tmp_path, epochs=2, batch_size=4).records
    monkeypatch.setattr("shallower.engine.training.LOG_LINES", 3)
    means = run(load(), tokens, tmp_path, epochs=2, batch_size=4).records
    losses = [record["loss"] for record in every]
    assert [record["step"] for record in means] == [4, 8, 10]
    assert [record["loss"] for record in means] == pytest.approx(
        [np.mean(losses[:4]), np.mean(losses[4:8]), np.mean(losses[8:])]
    )


def test_a_part_of_an_epoch(tmp_path):
    load, tokens = prepare(tmp_path, rows=32)
    assert run(load(), tokens, tmp_path, epochs=0.5, batch_size=8).steps == 2


def test_learning_rate_rises_then_falls():
    factors = [learning_rate_factor(step, 10, 2) for step in range(10)]
    assert factors == pytest.approx([0, 0.5, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    assert learning_rate_factor(0, 5, 0) == 1


@pytest.mark.parametrize("rows", [1, 9])
def test_a_last_batch_of_one_example_is_fine(tmp_path, rows):
    load, tokens = prepare(tmp_path, rows=rows, regression=True)
    assert run(load(), tokens, tmp_path, epochs=1).tokens == len(tokens.input_ids)


@pytest.mark.parametrize("family", ["bert", "xlnet"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_frozen_layers_stay_exactly_as_they_are_and_the_others_learn(tmp_path, family, weight_decay):
    load, tokens = prepare(tmp_path, family, rows=16)
    model, before = load(), weights(load())
    model.freeze([0, 3])
    run(model, tokens, tmp_path, learning_rate=1e-3, weight_decay=weight_decay)
    after = weights(model)
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if re.search(r"layers?\.[03]\.", name)} <= same
    assert not [name for name in same if re.search(r"layers?\.[12]\..*(output|intermediate|layer_[12])\.weight", name)]
    assert "head_output.weight" not in same
    assert "logits_proj.weight" not in same


def test_the_optimizer_has_no_frozen_layers(tmp_path):
    load, _ = prepare(tmp_path)
    classifier = load()
    classifier.freeze([1])
    optimizer = AdamW(classifier.module.parameters(), 0.1)
    size = sum(parameter.numel() for parameters, _ in optimizer.groups for parameter in parameters)
    layer = sum(parameter.numel() for parameter in classifier.layer_parameters(1))
    assert size == classifier.count_parameters() - layer


def test_a_run_with_frozen_layers_resumes_to_the_same_end(tmp_path, monkeypatch):
    monkeypatch.setattr("shallower.engine.training.CHECKPOINT_SHARE", float("inf"))
    monkeypatch.setattr(BreakingFolder, "breaks", 1)
    load, tokens = prepare(tmp_path)
    settings = TrainSettings(epochs=2)

    def trained(checkpoints):
        model = load()
        model.freeze([2, 3])
        train(model, tokens, settings, 1, CPU, checkpoints, checkpoint_seconds=0)
        return weights(model)

    unbroken = trained(CheckpointFolder(tmp_path / "unbroken", {}))
    with pytest.raises(PowerCutError):
        trained(BreakingFolder(tmp_path / "broken", {}))
    assert_equal_weights(trained(BreakingFolder(tmp_path / "broken", {})), unbroken)


def test_the_layers_to_freeze_come_from_the_file_of_this_model(tmp_path):
    spec = importlib.util.spec_from_file_location("finetune_script", ROOT / "workflow" / "scripts" / "finetune.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    write_json(tmp_path / "config.json", {"model_type": "bert", "num_hidden_layers": 6})
    write_json(tmp_path / "layers.json", Layers(6, (5, 4)).as_json())
    assert script.layers_to_freeze(tmp_path / "layers.json", tmp_path / "config.json") == [4, 5]
    assert script.layers_to_freeze(None, tmp_path / "config.json") == []
    write_json(tmp_path / "layers.json", Layers(12, (11, 10)).as_json())
    with pytest.raises(UserError, match="has 6 layers instead of 12"):
        script.layers_to_freeze(tmp_path / "layers.json", tmp_path / "config.json")


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    load, tokens = prepare(tmp_path)
    model = load()
    with torch.no_grad():
        model.module.head_output.bias[0] = float("nan")
    with pytest.raises(UserError, match=r"step 1 of 9.*learning_rate"):
        run(model, tokens, tmp_path)


def test_bad_settings_are_reported_at_once():
    with pytest.raises(UserError) as error:
        TrainSettings.parse({"epochs": -1, "batch_size": 2.5, "learning_rate": "5e-5", "warmup_ratio": 1, "lr": 1})
    for culprit in ("epochs", "batch_size", "learning_rate", "warmup_ratio", "'lr'"):
        assert culprit in str(error.value)


def test_defaults_are_the_papers():
    assert vars(TrainSettings.parse({})) == {
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 5e-5,
        "weight_decay": 0.0,
        "warmup_ratio": 0.0,
        "max_grad_norm": 1.0,
    }


def test_xlnet_takes_inputs_of_any_length():
    check_length(tiny.make_config("xlnet", 2, tiny.make_tokenizer("xlnet")).to_dict(), 10_000)


@pytest.mark.parametrize(("family", "known"), [("bert", 128), ("roberta", 128), ("distilbert", 128)])
def test_inputs_beyond_the_models_positions_are_refused(family, known):
    config = tiny.make_config(family, 2, tiny.make_tokenizer(family)).to_dict()
    check_length(config, known)
    with pytest.raises(UserError, match=f"at most {known}"):
        check_length(config, known + 1)


class PowerCutError(Exception):
    """The run ends here, whatever it was about."""


class BreakingFolder(CheckpointFolder):
    """Breaks the run off right after a checkpoint, a given number of times."""

    breaks = 2

    def save(self, checkpoint):
        super().save(checkpoint)
        if checkpoint.step >= 3 and self.breaks:
            BreakingFolder.breaks -= 1
            raise PowerCutError


@pytest.mark.parametrize(("family", "weight_decay"), [("bert", 0.0), ("xlnet", 0.0), ("albert", 0.1)])
def test_a_broken_run_goes_on_to_exactly_the_same_end(tmp_path, monkeypatch, family, weight_decay):
    monkeypatch.setattr("shallower.engine.training.LOG_LINES", 4)
    monkeypatch.setattr("shallower.engine.training.CHECKPOINT_SHARE", float("inf"))
    monkeypatch.setattr(BreakingFolder, "breaks", 2)
    load, tokens = prepare(tmp_path, family)
    settings = TrainSettings(epochs=4, learning_rate=1e-3, weight_decay=weight_decay)
    model = load()
    unbroken = train(model, tokens, settings, 1, CPU, CheckpointFolder(tmp_path / "unbroken", {}), 60)
    sessions = 0
    while True:
        sessions += 1
        other = load()
        torch.rand(sessions)  # what a process drew before must not matter
        try:
            resumed = train(
                other,
                tokens,
                settings,
                1,
                CPU,
                BreakingFolder(tmp_path / "broken", {}),
                checkpoint_seconds=0,
            )
            break
        except PowerCutError:
            continue
    assert sessions == resumed.sessions == 3
    assert_equal_weights(weights(other), weights(model))
    numbers = ("step", "epoch", "loss", "gradient_norm", "learning_rate", "tokens")
    assert [[record[n] for n in numbers] for record in resumed.records] == [
        [record[n] for n in numbers] for record in unbroken.records
    ]
    assert resumed.tokens == unbroken.tokens


def finetune_options(folder, output, scratch):
    settings = {"epochs": 12, "learning_rate": 1e-4}
    return [
        *("--model-dir", folder / "model", "--tokenizer-dir", folder / "model"),
        *("--tokens", folder / "tokens.safetensors", "--task", folder / "task.json"),
        *("--settings", json.dumps(settings), "--seed", "1", "--threads", "1", "--device", "cpu"),
        *("--scratch", scratch, "--checkpoint-seconds", "0.01", "--output-dir", output),
        *("--freeze-layers", folder / "layers.json"),
    ]


def test_a_killed_finetuning_resumes_to_the_same_weights(tmp_path, step, warm_python):
    tokens, task = make_tokens(tiny.make_model(tmp_path / "model", "bert"), 64)
    write_task(tmp_path, tokens, task)
    write_json(tmp_path / "layers.json", Layers(4, (3, 2)).as_json())
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    scratch = tmp_path / "scratch"
    options = finetune_options(tmp_path, tmp_path / "killed", scratch)
    command = [*warm_python, ROOT / "workflow/scripts/finetune.py", *options]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    while not list(scratch.glob("*/step-*")):
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed").exists()
    assert list(scratch.glob("*/step-*"))

    step("finetune", *options, folder=tmp_path)
    step("finetune", *finetune_options(tmp_path, tmp_path / "unbroken", tmp_path / "other"), folder=tmp_path)
    killed, unbroken = (read_json(tmp_path / name / "manifest.json") for name in ("killed", "unbroken"))
    assert (killed["resumed"], unbroken["resumed"]) == (1, 0)
    assert killed["frozen_layers"] == unbroken["frozen_layers"] == [2, 3]
    weights_file = tmp_path / "killed" / "model.safetensors"
    assert sha256_of(weights_file) == killed["sha256"]["model.safetensors"]
    assert killed["sha256"] == unbroken["sha256"]
    assert not [path for path in scratch.iterdir() if path.is_dir()]
    assert killed["tokens"] == unbroken["tokens"] == 12 * len(tokens.input_ids)
    assert killed["model_bytes"] == weights_file.stat().st_size
