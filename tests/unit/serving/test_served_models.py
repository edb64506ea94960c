"""Served models: what they need, and that their processes' code answers as transformers does."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny
from shallower.core.errors import UserError
from shallower.serving import server
from shallower.serving.served_models import ServedModel, files_of, on_gpu, server_settings, size_bytes

PAIRS = [("good bird . and", "bad dog"), ("small tree", "the old red house was very cold .")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for family in tiny.FAMILIES:
        tiny.make_model(folder / family, family, num_layers=2, labels=3)
    return folder


def torch_variant(folder: Path, **more) -> ServedModel:
    return ServedModel("full", "torch", folder, folder / "tokenizer.json", 12, **more)


@pytest.mark.parametrize("family", [family for family in tiny.FAMILIES if family != "xlnet"])
@pytest.mark.parametrize("texts", [[first for first, _ in PAIRS], PAIRS], ids=["texts", "pairs"])
def test_torch_answers_as_transformers_does(models, family, texts):
    """But for XLNet, whose side of padding is not in its tokenizer's files; its times are the same."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = models / family
    settings = json.loads(json.dumps(server_settings(torch_variant(folder), 1, texts[0])))
    answer = server.torch_runtime(settings)(1)
    logits = answer(json.loads(json.dumps(texts)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    columns = list(zip(*texts, strict=True)) if texts is PAIRS else [texts]
    how = {"truncation": True, "max_length": 12, "padding": True, "return_tensors": "pt"}
    # ALBERT's tokenizer returns token types only if asked, as training asks it.
    encoded = tokenizer(*map(list, columns), **how, return_token_type_ids=True)
    if not tiny.takes_token_types(model):
        encoded.pop("token_type_ids", None)
    with torch.no_grad():
        expected = model(**encoded).logits.numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    server.checked(logits, 2, axes=2)


def test_a_tagger_answers_each_token(tmp_path):
    from shallower.engine.classifiers.loading import load_for_training

    source = tiny.make_model(tmp_path / "source", "bert", num_layers=1)
    task = {"name": "tags", "target": "tokens", "labels": ["O", "B-a", "I-a"]}
    load_for_training(source, task, seed=1).save(source, tmp_path / "tagger")
    variant = torch_variant(tmp_path / "tagger")
    settings = server_settings(variant, 1, "good bird")
    logits = server.torch_runtime(settings)(1)(["good bird", "a dog"])
    assert logits.shape == (2, 4, 3)
    server.checked(logits, 2, axes=3)
    with pytest.raises(ValueError, match="shape"):
        server.checked(logits, 2, axes=2)


def test_bf16_answers_nearly_the_same(models):
    texts = [first for first, _ in PAIRS]
    answers = [
        server.torch_runtime(server_settings(torch_variant(models / "bert", precision=precision), 1, "a"))(1)(texts)
        for precision in ("fp32", "bf16")
    ]
    assert answers[1].dtype == np.float32
    np.testing.assert_allclose(*answers, atol=0.1)
    assert not np.array_equal(*answers)


def test_onnx_runtime_gets_what_the_model_takes(models, tmp_path):
    """A model that adds up the ids of real tokens: padding and truncation show in its answers."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, int64 = onnx.helper, onnx.TensorProto.INT64
    ids, mask = (
        helper.make_tensor_value_info(name, int64, ["batch", "length"]) for name in ("input_ids", "attention_mask")
    )
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["input_ids", "attention_mask"], ["product"]),
            helper.make_node("ReduceSum", ["product", "axes"], ["sum"], keepdims=1),
            helper.make_node("Cast", ["sum"], ["logits"], to=onnx.TensorProto.FLOAT),
        ],
        "sum",
        [ids, mask],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor("axes", int64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    variant = ServedModel("onnx", "onnx", tmp_path / "model.onnx", models / "bert" / "tokenizer.json", 6)
    texts = ["good bird", "the old red house was very cold ."]
    logits = server.onnx_runtime(server_settings(variant, 1, texts[0]))(1)(texts)
    vocabulary = json.loads((models / "bert" / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = [["[CLS]", "good", "bird", "[SEP]"], ["[CLS]", "the", "old", "red", "house", "[SEP]"]]
    expected = [[sum(vocabulary[token] for token in of_text)] for of_text in tokens]
    np.testing.assert_allclose(logits, expected)
    assert [file.name for file in files_of(variant)] == ["model.onnx", "tokenizer.json", "config.json"]
    (tmp_path / "model.onnx.data").write_bytes(bytes(1000))
    assert size_bytes(variant) == 1000 + sum(
        path.stat().st_size
        for path in (tmp_path / "model.onnx", models / "bert" / "tokenizer.json", models / "bert" / "config.json")
    )


def test_size_is_of_what_is_needed(models):
    folder = models / "bert"
    needed = ("model.safetensors", "tokenizer.json", "config.json")
    assert size_bytes(torch_variant(folder)) == sum((folder / name).stat().st_size for name in needed)


def test_answers_of_a_teacher_beside_the_weights_are_not_counted(models, tmp_path):
    folder = shutil.copytree(models / "bert", tmp_path / "bert")
    size = size_bytes(torch_variant(folder))
    (folder / "teacher.safetensors").write_bytes(b"0" * 1000)
    assert size_bytes(torch_variant(folder)) == size


def test_each_torch_variant_has_two_on_a_gpu(models):
    onnx = ServedModel("int8", "onnx-int8", models, models, 12)
    found = on_gpu([torch_variant(models / "bert"), onnx])
    assert [(variant.name, variant.device, variant.precision) for variant in found] == [
        ("full, GPU fp32", "cuda", "fp32"),
        ("full, GPU bf16", "cuda", "bf16"),
    ]


def test_a_tokenizer_that_cannot_pad_is_refused(models, tmp_path):
    for name in ("tokenizer.json", "config.json"):
        (tmp_path / name).write_bytes((models / "bert" / name).read_bytes())
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer_config\.json: no pad_token"):
        server_settings(torch_variant(tmp_path), 1, "a")


def test_the_serving_module_loads_no_package_by_itself():
    import subprocess

    code = (
        "import sys, shallower.serving.server\n"
        "print({'numpy', 'torch', 'tokenizers', 'onnxruntime', 'safetensors'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            "PYTHONPATH": str(Path(server.__file__).parents[2]),
        },
    )
    assert found.stdout == "set()\n"
