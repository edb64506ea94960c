"""A kind of task that the library does not have, from a CSV file to scores: one adapter, registered, and no more."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer

import tiny
from shallower.analysis.hidden_states import in_order, load_encoder
from shallower.analysis.probes import fit_probes, probe_answers
from shallower.core.files import read_json, write_json
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict
from shallower.engine.reloading import compare_reloaded
from shallower.engine.tokens import tokenize
from shallower.engine.training import TrainSettings, train
from shallower.evaluation.metrics import metric_names
from shallower.evaluation.predictions import predictions_of, read_predictions, write_predictions
from shallower.evaluation.records import comparison_record, metrics_record
from shallower.evaluation.reference import checked_scores
from shallower.sources.tasks import check_task, fetch_task
from shallower.task_kinds.classification import Classification
from shallower.task_kinds.registry import TASK_KINDS

CPU = Compute("cpu", "fp32", 1)
SETTINGS = {"metrics": ["spearmanr", "accuracy"], "confidence": 0.95, "bootstrap_samples": 50}


class Ordinal(Classification):
    """Classes in an order. The head has one output for each step up the order: is the label above it?"""

    name = "ordinal"
    scored_as = ("classification", "regression")

    def model_config(self, task):
        steps = [f"above {label}" for label in task["labels"][:-1]]
        return {
            "id2label": dict(enumerate(steps)),
            "label2id": {step: index for index, step in enumerate(steps)},
            "problem_type": "multi_label_classification",
        }

    def distillation_loss(self, logits, teacher, temperature):
        return torch.nn.functional.mse_loss(logits / temperature, teacher / temperature)

    def loss(self, logits, labels):
        above = labels[:, None] > torch.arange(logits.shape[1])
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, above.float())

    def answers(self, logits):
        return (logits > 0).sum(axis=1)

    def constant_answer(self, labels):
        return int(np.median(labels))

    def linear_model(self, penalty, max_iterations):
        return LogisticRegression(C=1 / penalty, max_iter=max_iterations)


@pytest.fixture
def definition(tmp_path, monkeypatch):
    """The entry of such a task in a study, with its files: how many of five words are good."""
    monkeypatch.setitem(TASK_KINDS, "ordinal", Ordinal())
    names = ["poor", "fair", "good"]
    entry = tiny.make_task_files(tmp_path / "data", 96, 24, regression=True)
    for split in ("train", "validation"):
        path = tmp_path / "data" / f"{split}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(row | {"label": names[int(float(row["label"])) // 2]} for row in rows)
    return entry | {"target": "ordinal", "labels": names, "metrics": SETTINGS["metrics"]}


def test_from_a_csv_file_to_scores(tmp_path, definition):
    assert check_task(definition) == []
    fetch_task(definition, tmp_path / "task")
    task = read_json(tmp_path / "task" / "task.json")
    assert (task["target"], task["labels"]) == ("ordinal", ["poor", "fair", "good"])

    source = tiny.make_model(tmp_path / "source", "bert", num_layers=2)
    tokenizer, size = AutoTokenizer.from_pretrained(source), read_json(source / "config.json")["vocab_size"]
    tokens = {
        split: tokenize(pq.read_table(tmp_path / "task" / f"{split}.parquet"), tokenizer, 32, size)
        for split in ("train", "validation")
    }
    classifier = load_for_training(source, task, seed=1)
    settings = TrainSettings.parse({"epochs": 12, "learning_rate": 2e-3, "batch_size": 16})
    checkpoints = CheckpointFolder(tmp_path / "scratch", {})
    records = train(classifier, tokens["train"], settings, 1, CPU, checkpoints, 60, "ordinal").records
    assert records[-1]["loss"] < 0.9 * records[0]["loss"]

    run = tmp_path / "run"
    classifier.save(source, run)
    logits = predict(load_for_prediction(run), tokens["validation"], CPU)
    assert logits.shape == (24, 2)
    write_predictions(run / "predictions.parquet", tokens["validation"].ids, tokens["validation"].labels, logits)
    stored = read_predictions(run / "predictions.parquet", "ordinal")
    assert compare_reloaded(run, tokens["validation"], stored).largest_difference < 1e-4

    answers = predictions_of(stored.logits, "ordinal")
    record, _ = metrics_record("ordinal", stored.labels, answers, SETTINGS)
    assert record["metrics"]["accuracy"]["value"] == np.mean(answers == stored.labels)
    assert record["metrics"]["spearmanr"]["value"] > 0.5 > record["metrics"]["spearmanr"]["chance"]
    assert not record["collapsed"]
    write_json(run / "metrics.json", record)
    assert checked_scores([str(run)])[str(run)] == pytest.approx(
        {name: record["metrics"][name]["value"] for name in SETTINGS["metrics"]}
    )
    comparison = comparison_record("ordinal", stored.labels, answers[None], answers[None], [1], SETTINGS)
    assert comparison["kept_percent"] == pytest.approx(100)

    vectors = in_order(load_encoder(run), tokens["train"], CPU, lambda vectors: vectors)
    guesses = probe_answers(fit_probes(vectors, tokens["train"].labels, "ordinal"), vectors)
    assert np.mean(guesses[-1] == tokens["train"].labels) > 0.6


def test_it_has_the_metrics_of_both_kinds(definition):
    assert {"accuracy", "spearmanr"} <= set(metric_names("ordinal"))
    assert "spearmanr" not in metric_names("classification")


def test_a_wrong_label_is_refused_with_its_row(tmp_path, definition):
    path = tmp_path / "data" / "train.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("fair", "middling", 1), encoding="utf-8")
    (problem,) = check_task(definition)
    assert "'middling' is none of the labels 'poor', 'fair', 'good'" in problem
