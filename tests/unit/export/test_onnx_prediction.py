"""Prediction by onnxruntime: errors, and that no torch is needed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.engine.tokens import write_tokens
from shallower.evaluation.predictions import read_predictions
from shallower.export.onnx_prediction import OnnxModel, predict

ROOT = Path(__file__).parents[3]


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from shallower.engine.tokens import read_tokens
from shallower.evaluation.predictions import write_predictions
from shallower.export.onnx_prediction import OnnxModel, predict
tokens = read_tokens(sys.argv[2])
write_predictions(sys.argv[3], tokens.ids, tokens.labels, predict(OnnxModel(sys.argv[1]), tokens))
"""


def test_predictions_need_no_torch(exported, tmp_path):
    found = exported("bert")
    write_tokens(tmp_path / "tokens.safetensors", found.tokens)
    output = tmp_path / "predictions.parquet"
    command = [sys.executable, "-c", WITHOUT_TORCH, found.onnx, tmp_path / "tokens.safetensors", output]
    subprocess.run(list(map(str, command)), check=True, env={"PYTHONPATH": str(ROOT / "workflow")})
    predictions = read_predictions(output, "classification")
    assert np.array_equal(predictions.ids, found.tokens.ids)
    assert predictions.logits == pytest.approx(predict(OnnxModel(found.onnx), found.tokens), abs=1e-6)


def test_files_that_onnxruntime_cannot_load_are_named(exported, tmp_path):
    with pytest.raises(UserError, match=r"model\.onnx: file not found"):
        OnnxModel(tmp_path / "model.onnx")
    content = exported("bert").onnx.read_bytes()
    (tmp_path / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"model\.onnx: onnxruntime cannot load it"):
        OnnxModel(tmp_path / "model.onnx")


def test_a_missing_onnxruntime_is_reported(exported, monkeypatch):
    path = exported("bert").onnx
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="package onnxruntime is not installed"):
        OnnxModel(path)
