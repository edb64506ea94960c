"""Models loaded again: the same answers as stored, and a loud end when they are not."""

import csv
import dataclasses
import importlib.util
from argparse import Namespace
from pathlib import Path

import pytest

import tiny
from shallower.core.errors import UserError
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict, write_predictions
from shallower.engine.reloading import largest_difference
from shallower.evaluation.predictions import Predictions
from token_sets import make_tokens, write_task

SCRIPT = Path(__file__).parents[3] / "workflow" / "scripts" / "reload_models.py"
CPU = Compute("cpu", "fp32", 1)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_delivered_model_answers_as_stored(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, labels=2), 24, pair=True)
    logits = predict(load_for_prediction(tmp_path, tokens.padding_side), tokens, CPU)
    assert 0 <= largest_difference(tmp_path, tokens, Predictions(tokens.ids, tokens.labels, logits)) < 1e-5


def test_examples_are_matched_by_id(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", labels=2), 24)
    logits = predict(load_for_prediction(tmp_path), tokens, CPU)
    backwards = dataclasses.replace(tokens, ids=tokens.ids[::-1].copy())
    predictions = Predictions(tokens.ids, tokens.labels[::-1], logits[::-1])
    assert largest_difference(tmp_path, backwards, predictions) < 1e-5
    with pytest.raises(UserError, match="other examples"):
        largest_difference(tmp_path, dataclasses.replace(tokens, ids=tokens.ids + 1), predictions)


def test_another_answer_is_an_error(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", labels=2), 24)
    logits = predict(load_for_prediction(tmp_path), tokens, CPU)
    logits[3, 1] += 0.01
    with pytest.raises(UserError, match=r"0\.01 off the stored"):
        largest_difference(tmp_path, tokens, Predictions(tokens.ids, tokens.labels, logits))


def test_the_script_tells_of_each_model(tmp_path):
    folders = [tiny.make_model(tmp_path / str(seed), "bert", labels=2, seed=seed) for seed in (1, 2)]
    for folder in folders:
        tokens, task = make_tokens(folder, 12)
        write_task(tmp_path, tokens, task)
        logits = predict(load_for_prediction(folder), tokens, CPU)
        write_predictions(folder / "predictions.parquet", tokens, logits)
    spec = importlib.util.spec_from_file_location("reload_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(
        Namespace(
            model_dirs=folders,
            tokens=tmp_path / "tokens.safetensors",
            task=tmp_path / "task.json",
            threads=1,
            output=tmp_path / "reloaded.csv",
        )
    )
    with open(tmp_path / "reloaded.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["directory"] for row in rows] == [str(folder) for folder in folders]
    assert [row["examples"] for row in rows] == ["12", "12"]
    assert all(float(row["largest_difference"]) < 1e-5 for row in rows)
