"""Layer-wise classifiers: linear, deterministic, deaf to rounding noise, better than chance on a fine-tuned model."""

import argparse
import dataclasses
import importlib.util
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

import tiny
from shallower.analysis import probes
from shallower.analysis.probes import choose_examples, fit_probes, probe_answers, write_probes
from shallower.core.errors import UserError
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import Compute
from shallower.engine.training import TrainSettings, train
from shallower.evaluation.metrics import METRICS, score
from token_sets import make_tokens, write_task

SCRIPT = Path(__file__).parents[3] / "workflow" / "scripts" / "probe_layers.py"
CPU = Compute("cpu", "fp32", 1)
RANDOM = np.random.default_rng(7)


def made_up(n=400, hidden=6, classes=3):
    """Vectors at two depths, noise at 0 and labels with noise at 1, on uneven scales."""
    labels = RANDOM.integers(classes, size=n)
    vectors = RANDOM.normal(size=(2, n, hidden))
    vectors[1, :, 2] += 3 * labels
    return (vectors * np.logspace(-2, 2, hidden) + 5).astype(np.float32), labels


def test_probes_are_penalised_logistic_regressions_on_standardised_vectors():
    vectors, labels = made_up()
    answers = probe_answers(fit_probes(vectors, labels, "classification"), vectors)
    assert answers.shape == (2, 400)
    assert answers.dtype == np.int64
    for depth in (0, 1):
        features = StandardScaler().fit_transform(vectors[depth].astype(np.float64))
        expected = LogisticRegression(C=0.01, max_iter=1000).fit(features, labels).predict(features)
        assert (answers[depth] == expected).mean() > 0.99
    assert (answers[0] == labels).mean() < 0.5
    assert (answers[1] == labels).mean() > 0.8


def test_probes_of_values_are_ridge_regressions():
    vectors, _ = made_up()
    values = (vectors[1, :, 0] - 2 * vectors[1, :, 1]).astype(np.float32)
    answers = probe_answers(fit_probes(vectors, values, "regression"), vectors)
    assert answers.dtype == np.float64
    features = StandardScaler().fit_transform(vectors[1].astype(np.float64))
    np.testing.assert_allclose(answers[1], Ridge(alpha=100.0).fit(features, values).predict(features), rtol=1e-6)
    assert score(METRICS["pearson"], values, answers[1]) > 0.99 > score(METRICS["pearson"], values, answers[0])


def test_the_same_vectors_give_the_same_answers():
    vectors, labels = made_up()
    first, second = (probe_answers(fit_probes(vectors, labels, "classification"), vectors) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("target", ["classification", "regression"])
def test_rounding_noise_teaches_nothing(target):
    labels = np.array([0, 1, 1, 0, 1] * 20)
    constant = np.linspace(-1, 1, 8)
    # The noise gives the labels away.
    vectors = (constant + 1e-6 * labels[:, None])[None].astype(np.float32)
    answers = probe_answers(fit_probes(vectors, labels, target), vectors)
    np.testing.assert_allclose(answers, 1.0 if target == "classification" else 0.6)


def test_the_examples_to_learn_from_are_drawn_once_and_for_all():
    assert choose_examples(5, 10).tolist() == [0, 1, 2, 3, 4]
    chosen = choose_examples(1000, 100)
    assert len(np.unique(chosen)) == 100
    assert np.array_equal(chosen, np.sort(chosen))
    assert np.array_equal(chosen, choose_examples(1000, 100))
    assert chosen.max() > 900


def test_no_convergence_is_logged_with_the_depth(monkeypatch, caplog):
    monkeypatch.setattr(probes, "MAX_ITERATIONS", 1)
    vectors, labels = made_up()
    with caplog.at_level(logging.WARNING):
        fitted = fit_probes(vectors, labels, "classification")
    assert [record.message for record in caplog.records] == [
        f"the classifier at depth {depth} had not converged after 1 iterations" for depth in (0, 1)
    ]
    assert probe_answers(fitted, vectors).shape == (2, 400)


def test_what_cannot_be_learnt_from_is_an_error():
    vectors, labels = made_up()
    with pytest.raises(UserError, match=r"all 400 training examples .* have the label 2; raise probe"):
        fit_probes(vectors, np.full_like(labels, 2), "classification")
    vectors[1, 3, 2] = np.nan
    with pytest.raises(UserError, match="not finite"):
        fit_probes(vectors, labels, "classification")


@pytest.mark.parametrize("regression", [False, True])
def test_the_file_has_a_row_for_each_depth_and_example(tmp_path, regression):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert"), 4, regression=regression)
    answers = np.arange(12).reshape(3, 4) / (2 if regression else 1)
    write_probes(tmp_path / "new" / "probes.parquet", tokens, answers)
    table = parquet.read_table(tmp_path / "new" / "probes.parquet")
    kind = pa.float64() if regression else pa.int64()
    assert table.schema.names == ["depth", "id", "label", "prediction"]
    assert table.schema.types == [pa.int64(), pa.int64(), kind, kind]
    assert table["depth"].to_pylist() == [0] * 4 + [1] * 4 + [2] * 4
    assert table["id"].to_pylist() == tokens.ids.tolist() * 3
    assert table["label"].to_pylist() == tokens.labels.tolist() * 3
    assert table["prediction"].to_pylist() == answers.ravel().tolist()
    write_probes(tmp_path / "grouped.parquet", dataclasses.replace(tokens, groups=np.array([7, 2, 7, 2])), answers)
    assert parquet.read_table(tmp_path / "grouped.parquet")["group"].to_pylist() == [7, 2, 7, 2] * 3


def finetune(folder, family, regression=False):
    """A tiny fine-tuned model with its tokens and task, and other examples to validate on."""
    tokens, task = make_tokens(tiny.make_model(folder, family, num_layers=2), 200, regression=regression)
    validation, _ = make_tokens(folder, 60, regression=regression, seed=1)
    validation = dataclasses.replace(validation, ids=validation.ids + 1000)
    classifier = load_for_training(folder, task, seed=1)
    settings = TrainSettings.parse({"epochs": 6, "learning_rate": 2e-3, "batch_size": 16})
    train(classifier, tokens, settings, 1, CPU, CheckpointFolder(folder / "checkpoints", {}), 60)
    classifier.save(folder, folder / "tuned")
    write_task(folder / "train", tokens, task)
    write_task(folder / "validation", validation, task)
    return validation


def run_script(folder, train_examples):
    spec = importlib.util.spec_from_file_location("probe_layers_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(
        argparse.Namespace(
            model_dir=folder / "tuned",
            train_tokens=folder / "train" / "tokens.safetensors",
            validation_tokens=folder / "validation" / "tokens.safetensors",
            task=folder / "train" / "task.json",
            train_examples=train_examples,
            threads=1,
            device="cpu",
            output=folder / "probes.parquet",
        )
    )
    return parquet.read_table(folder / "probes.parquet").to_pandas()


@pytest.mark.parametrize("family", tiny.families("bert", "xlnet", "gemma3_text"))
def test_the_last_depth_of_a_fine_tuned_model_knows_and_the_first_does_not(tmp_path, family):
    threads = torch.get_num_threads()
    validation = finetune(tmp_path, family)
    table = run_script(tmp_path, 150)
    torch.set_num_threads(threads)
    assert sorted(table["depth"].unique()) == [0, 1, 2]
    for depth, rows in table.groupby("depth"):
        assert rows["id"].tolist() == validation.ids.tolist(), depth
    right = (table["label"] == table["prediction"]).groupby(table["depth"]).mean()
    # Before the first layer the [CLS] token has seen nothing of its sentence: one answer for all. GPT-2's last token
    # knows its position.
    assert table.loc[table["depth"] == 0, "prediction"].nunique() == (2 if family == "gpt2" else 1)
    assert right[2] > 0.7  # chance is 0.5


def test_values_are_probed_too(tmp_path):
    finetune(tmp_path, "distilbert", regression=True)
    table = run_script(tmp_path, 1000)
    last = table[table["depth"] == 2]
    assert score(METRICS["pearson"], last["label"].to_numpy(), last["prediction"].to_numpy()) > 0.5
    assert table.loc[table["depth"] == 0, "prediction"].std() < 1e-9
