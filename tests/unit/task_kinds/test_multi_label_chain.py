"""A multi-label task from a CSV file to scores, through what each step of a study calls."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tiny
from shallower.analysis.hidden_states import in_order, load_encoder
from shallower.analysis.probes import fit_probes, probe_answers, write_probes
from shallower.analysis.single_layers import load_layers
from shallower.analysis.subset_scores import score_subsets
from shallower.analysis.taylor import taylor_importance
from shallower.core.files import read_json, write_json
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.devices import Compute
from shallower.engine.distillation import Distillation, read_answers, write_answers
from shallower.engine.prediction import predict
from shallower.engine.reloading import compare_reloaded
from shallower.engine.tokens import read_tokens, tokenize, with_unlabelled, write_tokens
from shallower.engine.training import TrainSettings, train
from shallower.evaluation.changes import read_changes
from shallower.evaluation.metrics import METRICS, chance_score, score
from shallower.evaluation.predictions import predictions_of, read_predictions, write_predictions
from shallower.evaluation.records import comparison_record, metrics_record
from shallower.evaluation.reference import checked_scores
from shallower.reporting.depth_table import _probe_rows
from shallower.sources.tasks import check_task, fetch_calibration, fetch_task
from shallower.task_kinds.registry import task_kind

CPU = Compute("cpu", "fp32", 1)
NAMES = ["early", "late", "good"]
SETTINGS = {
    "metrics": ["micro_f1", "macro_f1", "subset_accuracy"],
    "confidence": 0.95,
    "bootstrap_samples": 50,
    "threshold": 0.4,
}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """The folder of a task whose texts are good, short and long, as many words say, with its definition."""
    folder = tmp_path_factory.mktemp("multi-label")
    entry = tiny.make_task_files(folder / "data", 120, 40)
    for split in ("train", "validation"):
        path = folder / "data" / f"{split}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", *NAMES])
            for row in rows:
                length = len(row["text"].split())
                writer.writerow([row["text"], int(length < 7), int(length > 8), int(row["label"] == "good")])
    del entry["label"]
    definition = entry | {"target": "multi-label", "label_columns": NAMES, "metrics": SETTINGS["metrics"]}
    definition.pop("labels", None)
    definition |= {"train_examples": 80, "calibration_examples": 30}
    assert check_task(definition) == []
    fetch_task(definition, folder / "task")
    fetch_calibration(definition, 30, folder / "calibration")
    return folder


def test_what_a_task_folder_says(task):
    content, manifest = read_json(task / "task" / "task.json"), read_json(task / "task" / "manifest.json")
    assert (content["target"], content["labels"]) == ("multi-label", NAMES)
    assert manifest["reading"]["labels"] == "0 or 1 in a column for each class"
    rows = pq.read_table(task / "task" / "train.parquet")
    labels = np.stack(rows["label"].to_numpy())
    assert labels.shape == (80, 3)
    assert manifest["classes"]["train"] == dict(zip(NAMES, labels.sum(axis=0).tolist(), strict=True))
    calibration = pq.read_table(task / "calibration" / "calibration.parquet")
    assert not {*calibration["id"].to_pylist()} & {*rows["id"].to_pylist()}


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_training_starts_a_new_output_layer_at_the_labels_frequencies(task, tmp_path, epochs):
    source = tiny.make_model(tmp_path / "source", "bert", num_layers=1)
    table = pq.read_table(task / "task" / "train.parquet")
    tokenizer, size = AutoTokenizer.from_pretrained(source), read_json(source / "config.json")["vocab_size"]
    tokens = tokenize(table, tokenizer, 32, size)
    classifier = load_for_training(source, read_json(task / "task" / "task.json"), seed=1)
    settings = TrainSettings.parse({"epochs": epochs, "learning_rate": 1e-9, "batch_size": 16})
    train(classifier, tokens, settings, 1, CPU, CheckpointFolder(tmp_path / "s", {}), 60)
    shares = tokens.labels.mean(axis=0)
    expected = shares if epochs else [0.5] * 3  # without any training a model stays as it is
    assert classifier.output_bias().sigmoid().tolist() == pytest.approx([*expected], abs=0.01)
    assert ("its bias starts" in classifier.head) == bool(epochs)


def test_from_files_to_scores(task, tmp_path):
    source = tiny.make_model(tmp_path / "source", "bert", num_layers=2)
    tokenizer, size = AutoTokenizer.from_pretrained(source), read_json(source / "config.json")["vocab_size"]
    tokens = {}
    for split in ("train", "validation"):
        table = pq.read_table(task / "task" / f"{split}.parquet")
        write_tokens(tmp_path / split, tokenize(table, tokenizer, 32, size))
        tokens[split] = read_tokens(tmp_path / split)
        np.testing.assert_array_equal(tokens[split].labels, np.stack(table["label"].to_numpy()))
    content = read_json(task / "task" / "task.json")
    classifier = load_for_training(source, content, seed=1)
    assert classifier.config["problem_type"] == "multi_label_classification"
    kind = task_kind("multi-label")
    classifier.kind = classifier.kind.with_weights(kind.class_weights(tokens["train"].labels, 3))
    settings = TrainSettings.parse({"epochs": 20, "learning_rate": 3e-3, "batch_size": 16})
    records = train(classifier, tokens["train"], settings, 1, CPU, CheckpointFolder(tmp_path / "s", {}), 60).records
    assert records[-1]["loss"] < 0.7 * records[0]["loss"]

    run = tmp_path / "run"
    classifier.save(source, run)
    logits = predict(load_for_prediction(run), tokens["validation"], CPU)
    write_predictions(run / "predictions.parquet", tokens["validation"].ids, tokens["validation"].labels, logits)
    stored = read_predictions(run / "predictions.parquet", "multi-label")
    assert compare_reloaded(run, tokens["validation"], stored).largest_difference < 1e-4
    reloaded = AutoModelForSequenceClassification.from_pretrained(run)
    assert reloaded.config.problem_type == "multi_label_classification"
    assert list(reloaded.config.id2label.values()) == NAMES

    answers = predictions_of(stored.logits, "multi-label", SETTINGS)
    expected = (torch.tensor(stored.logits).sigmoid() > 0.4).numpy()
    np.testing.assert_array_equal(answers, expected)
    record, resamples = metrics_record("multi-label", stored.labels, answers, SETTINGS, NAMES)
    by_class = f1_score(stored.labels, expected, average=None, zero_division=0)
    assert [found["f1"] for found in record["classes"]] == pytest.approx(by_class.tolist())
    assert record["classes"][1]["support"] == stored.labels[:, 1].sum()
    assert record["threshold"] == 0.4 and not record["collapsed"] and len(resamples) == 50
    values = {name: record["metrics"][name]["value"] for name in SETTINGS["metrics"]}
    assert values["micro_f1"] == pytest.approx(f1_score(stored.labels, expected, average="micro"))
    assert values["macro_f1"] == pytest.approx(f1_score(stored.labels, expected, average="macro", zero_division=0))
    assert values["subset_accuracy"] == pytest.approx(accuracy_score(stored.labels, expected))
    assert values["subset_accuracy"] > record["metrics"]["subset_accuracy"]["chance"]
    write_json(run / "metrics.json", record)
    assert checked_scores([str(run)])[str(run)] == pytest.approx(values)
    comparison = comparison_record("multi-label", stored.labels, answers[None], answers[None], [1], SETTINGS)
    assert (comparison["kept_percent"], comparison["collapsed_seeds"]) == (pytest.approx(100), [])
    half = tmp_path / "half.parquet"
    changed = stored.logits.copy()
    changed[:10, :2] *= -1
    write_predictions(half, stored.ids, stored.labels, changed)
    differ = (predictions_of(changed, "multi-label", SETTINGS) != answers).any(axis=1).mean()
    assert read_changes(half, run / "predictions.parquet", "multi-label", 20, SETTINGS).changed == differ > 0

    vectors = in_order(load_encoder(run), tokens["train"], CPU, lambda found: found)
    probes = fit_probes(vectors, tokens["train"].labels, "multi-label")
    guesses = probe_answers(probes, vectors)
    features = (vectors[-1] - probes[-1].mean) * probes[-1].scale
    by_class = OneVsRestClassifier(LogisticRegression(C=1 / 100, max_iter=1000)).fit(features, tokens["train"].labels)
    np.testing.assert_array_equal(guesses[-1], by_class.predict(features))
    write_probes(tmp_path / "probes.parquet", tokens["train"], guesses)
    rows = list(_probe_rows(tmp_path / "probes.parquet", METRICS["micro_f1"]))
    assert rows[-1]["value"] == pytest.approx(score(METRICS["micro_f1"], tokens["train"].labels, guesses[-1]))

    scores = taylor_importance(load_for_training(run, content, 0), tokens["train"], CPU)
    assert len(scores) == 2 and min(scores) > 0
    found = score_subsets(
        load_layers(run, tokens["train"], CPU, with_head=True), tokens["train"].labels, kind, METRICS["micro_f1"], 100
    )
    full = next(row for row in found.rows if row["kept_layers"] == "0 1")
    assert full["score"] == pytest.approx(
        score(
            METRICS["micro_f1"],
            tokens["train"].labels,
            kind.answers(predict(load_for_prediction(run), tokens["train"], CPU)),
        )
    )
    assert 0 < full["readout_loss"] < 0.7 and full["divergence"] == pytest.approx(0, abs=1e-9)


def test_a_teachers_answers_and_texts_without_labels(task, tmp_path):
    source = tiny.make_model(tmp_path / "source", "bert", num_layers=2)
    tokenizer, size = AutoTokenizer.from_pretrained(source), read_json(source / "config.json")["vocab_size"]
    table = pq.read_table(task / "task" / "train.parquet")
    labelled = tokenize(table, tokenizer, 32, size)
    both = with_unlabelled(labelled, tokenize(table.drop_columns("label").slice(0, 9), tokenizer, 32, size))
    assert both.labels.shape == (89, 3) and (both.labels[80:] == -1).all()
    logits = np.random.default_rng(0).normal(size=(89, 3)).astype(np.float32)
    write_answers(tmp_path / "answers", both, logits)
    taught = Distillation(0.5, 2.0, read_answers(tmp_path / "answers", both).logits, 80)
    kind, ours = task_kind("multi-label"), torch.randn(4, 3)
    examples = np.array([3, 80, 7, 88])
    found = taught.loss(kind, ours, torch.tensor(both.labels[examples]), examples)
    from_teacher = kind.distillation_loss(ours, torch.tensor(logits[examples]), 2.0)
    from_labels = kind.loss(ours[[0, 2]], torch.tensor(both.labels[[3, 7]]))
    assert found.item() == pytest.approx((0.5 * from_teacher + 0.5 * from_labels / 2).item(), rel=1e-5)


def test_chance_is_the_best_constant_answer():
    random = np.random.default_rng(3)
    labels = (random.random((60, 4)) < [0.6, 0.3, 0.2, 0.05]).astype(np.int8)
    every = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T
    for name in SETTINGS["metrics"]:
        best = max(score(METRICS[name], labels, np.tile(answer, (60, 1)).astype(np.int8)) for answer in every)
        assert chance_score(METRICS[name], labels) == pytest.approx(best)
