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


def test_a_step_of_many_models_needs_no_torch(exported, tmp_path):
    found = exported("bert")
    write_tokens(tmp_path / "tokens.safetensors", found.tokens)
    outputs = [tmp_path / name / "predictions.parquet" for name in ("one", "two")]
    program = (
        "import runpy, sys; sys.modules['torch'] = sys.modules['transformers'] = None; "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    models = [found.onnx, found.onnx]
    arguments = ["--models", *models, "--tokens", tmp_path / "tokens.safetensors", "--outputs", *outputs]
    command = [sys.executable, "-c", program, ROOT / "workflow" / "scripts" / "predict_onnx.py", *arguments]
    subprocess.run(list(map(str, command)), check=True, env={"PYTHONPATH": str(ROOT / "workflow")})
    expected = predict(OnnxModel(found.onnx), found.tokens)
    for output in outputs:
        predictions = read_predictions(output, "classification")
        assert np.array_equal(predictions.ids, found.tokens.ids)
        assert predictions.logits == pytest.approx(expected, abs=1e-6)


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
