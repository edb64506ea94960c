"""Scores of all subsets: the full model's are those of a plain forward pass, the others' those of dropped models."""

import json
import shutil

import numpy as np
import pytest
import torch

import tiny
from documented import unexplained_columns
from shallower.analysis.hidden_states import in_order, load_encoder
from shallower.analysis.readouts import make_folds, read_out
from shallower.analysis.single_layers import load_layers
from shallower.analysis.subset_scores import mean_cosine, score_subsets
from shallower.core.errors import UserError
from shallower.core.tables import read_table
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict
from shallower.evaluation.metrics import METRICS
from shallower.models.folder import TOKENIZER_FILES
from shallower.models.stack import Stack
from shallower.surgery.drop_layers import drop_layers
from shallower.surgery.strategies import drop_order
from shallower.task_kinds.registry import task_kind
from token_sets import make_tokens, write_task

CPU = Compute("cpu", "fp32", 1)


def scored(folder, tokens, target="classification", metric="accuracy", with_head=True, budget=4095):
    runner = load_layers(folder, tokens, CPU, with_head)
    found = score_subsets(runner, tokens.labels, task_kind(target), METRICS[metric], budget)
    return found, {row["kept_layers"]: row for row in found.rows}


def test_the_row_of_the_full_model_is_a_plain_forward_pass(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", num_layers=3, labels=2), 24)
    found, rows = scored(tmp_path, tokens)
    assert len(rows) == 7
    assert found.is_complete
    assert (found.cost["layer_evaluations"], found.cost["forward_passes"]) == (7, 2.33)
    full = rows["0 1 2"]
    logits = predict(load_for_prediction(tmp_path), tokens, CPU)
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(tokens.labels)).item()
    assert full["loss"] == pytest.approx(loss, abs=1e-5)
    assert full["score"] == np.mean(logits.argmax(1) == tokens.labels)
    assert full["divergence"] == pytest.approx(0, abs=1e-9)
    assert full["cosine"] == pytest.approx(1, abs=1e-6)
    vectors = in_order(load_encoder(tmp_path), tokens, CPU, lambda vectors: vectors)[-1]
    readout = read_out(vectors, tokens.labels, make_folds(tokens.labels, True), has_classes=True)
    assert full["cls_readout_loss"] == pytest.approx(readout.loss, rel=1e-3)
    assert found.vector == min(("cls", "mean"), key=lambda name: full[f"{name}_readout_loss"])
    for row in rows.values():
        assert row["readout_loss"] == row[f"{found.vector}_readout_loss"]
        assert row["num_layers"] == len(row["kept_layers"].split())


def test_the_row_of_a_subset_is_the_dropped_model(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "distilbert", regression=True), 24, regression=True)
    _, rows = scored(tmp_path, tokens, "regression", "pearson")
    drop_layers(tmp_path, [0, 3], tmp_path / "dropped")
    for name in TOKENIZER_FILES:
        shutil.copy(tmp_path / name, tmp_path / "dropped" / name)
    full, dropped = (predict(load_for_prediction(folder), tokens, CPU) for folder in (tmp_path, tmp_path / "dropped"))
    row = rows["0 3"]
    assert row["loss"] == pytest.approx(np.mean((dropped[:, 0] - tokens.labels) ** 2), rel=1e-4)
    assert row["score"] == pytest.approx(np.corrcoef(dropped[:, 0], tokens.labels)[0, 1], abs=1e-4)
    assert row["divergence"] == pytest.approx(np.mean((dropped - full) ** 2) / 2, rel=1e-3)


def test_albert_has_a_row_for_each_depth(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "albert", labels=2), 20)
    found, rows = scored(tmp_path, tokens)
    assert list(rows) == ["0", "0 1", "0 1 2", "0 1 2 3"]
    assert found.is_complete
    assert found.cost["layer_evaluations"] == 4


def test_a_pretrained_model_has_readouts_only_and_a_small_budget_fewer_subsets(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", num_layers=8), 20)
    found, rows = scored(tmp_path, tokens, with_head=False, budget=130)
    assert not found.is_complete
    assert found.cost["layer_evaluations"] <= 130
    assert {row["num_layers"] for row in rows.values()} == set(range(1, 9))
    assert not {"loss", "score", "divergence"} & set(rows["0 1 2 3 4 5 6 7"])
    assert rows["0 1 2 3 4 5 6 7"]["cosine"] == pytest.approx(1)


@pytest.mark.parametrize(("family", "evaluations"), [("bert", 7), ("albert", 3)])
def test_a_long_search_says_how_far_it_is(tmp_path, monkeypatch, caplog, family, evaluations):
    monkeypatch.setattr("shallower.core.progress.PROGRESS_SECONDS", 0.0)
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, num_layers=3, labels=2), 20)
    with caplog.at_level("INFO", "shallower"):
        scored(tmp_path, tokens)
    said = [record.getMessage() for record in caplog.records if "evaluation" in record.getMessage()]
    assert said == [f"layer evaluation {number} of at most {evaluations}" for number in range(1, evaluations + 1)]


def test_one_class_is_an_error(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", labels=2), 8)
    tokens.labels[:] = 1
    with pytest.raises(UserError, match=r"raise calibration\.examples"):
        scored(tmp_path, tokens)


def test_divergence_and_cosine_by_hand():
    full, other = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.25, 0.75], [0.9, 0.1]])
    expected = (0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75)) / 2
    found = task_kind("classification").divergence(full.astype(np.float32), other.astype(np.float32))
    assert found == pytest.approx(expected, rel=1e-5)
    numbers = np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]])
    assert task_kind("regression").divergence(*numbers) == pytest.approx(1.0)
    assert mean_cosine(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[6.0, 8.0], [0.0, 2.0]])) == pytest.approx(0.5)


@pytest.mark.parametrize("with_head", [True, False])
def test_the_script_writes_what_strategies_choose_by(tmp_path, with_head, step):
    model = tiny.make_model(tmp_path / "model", "bert", labels=2)
    tokens, task = make_tokens(model, 20)
    write_task(tmp_path, tokens, task)
    options = ["--model-dir", model, "--tokens", tmp_path / "tokens.safetensors", "--task", tmp_path / "task.json"]
    options += ["--settings", '{"metrics": ["f1", "accuracy"], "positive_class": 0}', "--layer-evaluations", "15"]
    options += ["--device", "cpu", "--table", tmp_path / "table.csv", "--output", tmp_path / "scores.json"]
    step("score_subsets", *options, *["--with-head"] * with_head, folder=tmp_path)
    scores, table = json.loads((tmp_path / "scores.json").read_text()), read_table(tmp_path / "table.csv")
    assert (scores["metric"], scores["is_complete"], scores["num_examples"]) == ("f1", True, 20)
    assert table["kept_layers"].tolist() == scores["kept_layers"]
    assert unexplained_columns(table.columns, "scores/subsets/*.csv") == []
    assert len(table) == scores["cost"]["layer_evaluations"] == 15
    assert ("loss" in table) == ("loss" in scores) == with_head
    two = table[table["num_layers"] == 2]
    best = two.loc[two["readout_loss"].idxmin(), "kept_layers"]
    dropped = drop_order("subset-readout", Stack(4), 2, scores)
    assert sorted({0, 1, 2, 3} - set(dropped)) == list(map(int, best.split()))
