"""Predictions: one row an example in order, whatever shares a batch; wrong models are refused."""

import argparse
import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import tiny
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.core.layers import Layers
from shallower.engine import prediction
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict
from shallower.evaluation.predictions import write_predictions
from token_sets import make_tokens, write_task

SCRIPT = Path(__file__).parents[3] / "workflow" / "scripts" / "predict.py"
CPU = Compute("cpu", "fp32", 1)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_logits_are_each_examples_own(tmp_path, monkeypatch, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, labels=2), 12, pair=True)
    model = load_for_prediction(tmp_path)
    together = predict(model, tokens, CPU)
    assert together.shape == (12, 2)
    assert together.dtype == np.float32
    monkeypatch.setitem(prediction.TOKEN_BUDGET, "cpu", 1)  # one by one, hence without padding
    np.testing.assert_allclose(predict(model, tokens, CPU), together, rtol=0, atol=1e-5)
    start, stop = tokens.offsets[3:5]
    inputs = {"input_ids": torch.from_numpy(tokens.input_ids[start:stop]).long()[None]}
    reference = load_checked(tmp_path)
    if tokens.token_type_ids is not None and tiny.takes_token_types(reference):
        inputs["token_type_ids"] = torch.from_numpy(tokens.token_type_ids[start:stop]).long()[None]
    with torch.no_grad():
        alone = reference(**inputs).logits[0].numpy()
    np.testing.assert_allclose(together[3], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("regression", [False, True])
def test_the_file_has_ids_labels_and_logits(tmp_path, regression):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert"), 5, regression=regression)
    logits = np.arange(5 if regression else 10, dtype=np.float32).reshape(5, -1)
    write_predictions(tmp_path / "predictions.parquet", tokens.ids, tokens.labels, logits)
    table = pq.read_table(tmp_path / "predictions.parquet")
    assert table.column_names == ["id", "label", "logits"]
    assert table.schema.types[:2] == [pa.int64(), pa.float64() if regression else pa.int64()]
    assert table.schema.types[2].value_type == pa.float32()
    assert table["id"].to_pylist() == tokens.ids.tolist()
    assert table["label"].to_pylist() == tokens.labels.tolist()
    assert table["logits"].to_pylist() == logits.tolist()


def run_script(folder, kept_layers):
    spec = importlib.util.spec_from_file_location("predict_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    write_json(folder / "layers.json", Layers(4, tuple(set(range(4)) - set(kept_layers))).as_json())
    script.main(
        argparse.Namespace(
            model_dir=folder,
            tokens=folder / "tokens.safetensors",
            layers=folder / "layers.json",
            threads=1,
            device="cpu",
            precision="auto",
            output=folder / "predictions.parquet",
        )
    )


def test_the_script_predicts_with_a_model_of_the_right_depth(tmp_path):
    tokens, task = make_tokens(tiny.make_model(tmp_path, "distilbert", labels=2), 6)
    write_task(tmp_path, tokens, task)
    run_script(tmp_path, [0, 1, 2, 3])
    logits = np.array(pq.read_table(tmp_path / "predictions.parquet")["logits"].to_pylist(), np.float32)
    np.testing.assert_allclose(logits, predict(load_for_prediction(tmp_path), tokens, CPU), atol=1e-6)


def test_the_script_refuses_another_depth(tmp_path):
    tokens, task = make_tokens(tiny.make_model(tmp_path, "bert", labels=2), 6)
    write_task(tmp_path, tokens, task)
    with pytest.raises(UserError, match="4 layers"):
        run_script(tmp_path, [0, 1, 2])
    assert not (tmp_path / "predictions.parquet").exists()


def test_the_script_refuses_a_config_that_hides_layers(tmp_path):
    tokens, task = make_tokens(tiny.make_model(tmp_path, "bert", labels=2), 6)
    write_task(tmp_path, tokens, task)
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), "num_hidden_layers": 3})
    with pytest.raises(UserError, match="left over"):
        run_script(tmp_path, [0, 1, 2])
