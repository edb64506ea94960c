"""Dynamic quantisation: what is quantised, what is left out by name, and what that changes."""

import numpy as np
import onnx
import pytest

from shallower.core.errors import UserError
from shallower.export.onnx_prediction import OnnxModel, predict
from shallower.export.quantisation import Operator, check_names, excluded_nodes, quantise


def float_weights(path):
    """Numbers of the largest weights that are still floats: matrices and tables, not biases and scales."""
    return sum(int(np.prod(t.dims)) for t in onnx.load(path).graph.initializer if t.data_type == 1 and len(t.dims) > 1)


@pytest.mark.parametrize("family", ["bert", "albert"])
def test_all_weights_are_quantised_and_answers_stay_close(exported, tmp_path, family):
    found = exported(family)
    quantise(found.onnx, tmp_path / "model-int8.onnx")
    assert float_weights(found.onnx) > 10_000
    assert float_weights(tmp_path / "model-int8.onnx") == 0
    logits = predict(OnnxModel(tmp_path / "model-int8.onnx"), found.tokens)
    expected = predict(OnnxModel(found.onnx), found.tokens)
    assert 0 < np.abs(logits - expected).max() < 0.2 * np.ptp(expected)


def test_weights_use_seven_bits(exported, tmp_path):
    found = exported("bert")
    quantise(found.onnx, tmp_path / "model-int8.onnx", ["Gather"])
    tensors = [onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "model-int8.onnx").graph.initializer]
    weights = [tensor for tensor in tensors if tensor.dtype == np.int8 and tensor.ndim == 2]
    assert len(weights) == 2 * 6 + 2
    assert all(np.abs(weight.astype(int)).max() == 64 for weight in weights)


# Of two layers with vectors of 32 and inner ones of 64: the numbers in the matrices that stay as they are.
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("MatMul", 2 * (4 * 32 * 32 + 2 * 32 * 64)),
        ("Gemm", 32 * 32 + 32 * 3),
        ("classifier", 32 * 3),
        ("position_embeddings", 128 * 32),
        ("output.dense", 2 * (32 * 32 + 32 * 64)),
        ("layer.1", 4 * 32 * 32 + 2 * 32 * 64),
    ],
)
def test_operators_are_left_out_by_type_or_module(exported, tmp_path, name, numbers):
    quantise(exported("bert").onnx, tmp_path / "some.onnx", [name])
    assert float_weights(tmp_path / "some.onnx") == numbers


def test_names_mean_whole_parts_of_modules():
    operators = [Operator(f"bert.encoder.layer.{layer}.output.dense/MatMul", "MatMul") for layer in (1, 2, 12)]
    operators.append(Operator("classifier/Gemm", "Gemm"))
    assert excluded_nodes(operators, ["layer.1"]) == ["bert.encoder.layer.1.output.dense/MatMul"]
    assert len(excluded_nodes(operators, ["output.dense", "classifier"])) == 4
    assert excluded_nodes(operators, ["Gemm"]) == ["classifier/Gemm_MatMul"]
    assert excluded_nodes(operators, []) == []


def test_names_that_no_model_has_are_refused_with_those_that_there_are(exported):
    models = [exported("bert").onnx, exported("albert").onnx]
    with pytest.raises(UserError, match=r"'Conv' .*types Gather, Gemm, MatMul and the modules .*classifier, dense"):
        check_names(models, ["Gather", "Conv"])


def test_a_name_need_not_be_that_of_every_model(exported, tmp_path):
    """As of an upper layer, which a shallower model does not have."""
    models = [exported("bert").onnx, exported("albert").onnx]
    check_names(models, ["layer.1"])
    quantise(models[1], tmp_path / "x.onnx", ["layer.1"])
    assert float_weights(tmp_path / "x.onnx") == 0


def test_broken_and_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"model\.onnx: file not found"):
        quantise(tmp_path / "model.onnx", tmp_path / "x.onnx")
    (tmp_path / "model.onnx").write_bytes(b"\xff\xff no model")
    with pytest.raises(UserError, match=r"model\.onnx: not an ONNX model"):
        quantise(tmp_path / "model.onnx", tmp_path / "x.onnx")
