"""Exported models compute what torch computes, for every family and every size of a batch."""

import errno

import numpy as np
import onnx
import onnx_ir
import pytest
import torch

import tiny
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.engine.batches import make_batch
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.export import onnx_export
from shallower.export.onnx_export import OPSET, export_onnx
from shallower.export.onnx_prediction import OnnxModel, predict
from shallower.models.families import FAMILIES


def by_torch(folder, tokens):
    """Logits of transformers' own model, one example at a time, so without padding."""
    model = load_checked(folder)
    with torch.inference_mode():
        batches = [make_batch(tokens, np.array([example])) for example in range(len(tokens.labels))]
        return np.concatenate([model(**model_inputs(model, batch, "cpu")).logits.numpy() for batch in batches])


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_logits_are_those_of_torch_for_every_length_and_size_of_a_batch(exported, family):
    found = exported(family)
    expected = by_torch(found.folder, found.tokens)
    assert np.ptp(expected, axis=0).min() > 1e-2, "all examples are answered alike: differences would not show"
    model = OnnxModel(found.onnx)
    assert predict(model, found.tokens) == pytest.approx(expected, abs=1e-5)
    alone = [model.compute(make_batch(found.tokens, np.array([example]))) for example in range(len(expected))]
    assert np.concatenate(alone) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_inputs_are_called_as_transformers_calls_them(exported, family):
    types = family in ("bert", "xlnet", "albert", "electra")
    graph = onnx.load(exported(family).onnx)
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*graph.graph.input, *graph.graph.output]
    }
    inputs = ["input_ids", "attention_mask", *["token_type_ids"] * types]
    assert shapes == {name: ["batch", "sequence"] for name in inputs} | {"logits": ["batch", 3]}
    assert [(each.domain, each.version) for each in graph.opset_import] == [("", OPSET)]
    onnx.checker.check_model(graph, full_check=True)


def test_nodes_are_called_after_modules_and_nothing_tells_where_they_were_made(exported):
    content = exported("bert").onnx
    names = [node.name for node in onnx.load(content).graph.node]
    assert {"bert.embeddings.word_embeddings/Gather", "bert.encoder.layer.1.output.dense/MatMul"} <= set(names)
    assert len(set(names)) == len(names)
    assert b"site-packages" not in content.read_bytes()


def test_models_of_equal_configuration_are_traced_once(exported, tmp_path, monkeypatch):
    first = exported("bert")
    traced = []
    trace = onnx_export._trace
    monkeypatch.setattr(onnx_export, "_trace", lambda *each: traced.append(each) or trace(*each))
    second = tiny.make_model(tmp_path, "bert", num_layers=2, labels=3, seed=1)
    write_json(second / "config.json", read_json(second / "config.json") | {"id2label": dict(enumerate("abc"))})
    first.exporter.export(second, tmp_path / "model.onnx")
    assert traced == []
    expected = by_torch(second, first.tokens)
    assert np.abs(expected - by_torch(first.folder, first.tokens)).max() > 1e-2
    assert predict(OnnxModel(tmp_path / "model.onnx"), first.tokens) == pytest.approx(expected, abs=1e-5)
    first.exporter.export(first.folder, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == first.onnx.read_bytes()


def test_large_weights_have_a_file_of_their_own(exported, tmp_path):
    found = exported("bert")
    path, data = tmp_path / "deep" / "model.onnx", tmp_path / "deep" / "model.onnx.data"
    found.exporter.export(found.folder, path, largest_weights=1000)
    assert sorted(path.parent.iterdir()) == [path, data]
    assert path.stat().st_size < data.stat().st_size
    (moved := tmp_path / "moved").mkdir()
    for file in (path, data):
        (moved / file.name).write_bytes(file.read_bytes())
    expected = predict(OnnxModel(found.onnx), found.tokens)
    assert predict(OnnxModel(moved / path.name), found.tokens) == pytest.approx(expected, abs=1e-6)
    found.exporter.export(found.folder, path)
    assert sorted(path.parent.iterdir()) == [path]


def test_a_full_disk_is_reported_with_the_file_and_leaves_none(exported, tmp_path, monkeypatch):
    def full(model, path, **settings):
        path.write_bytes(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    found = exported("bert")
    monkeypatch.setattr(onnx_ir, "save", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/model.onnx'"):
        found.exporter.export(found.folder, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_family_that_cannot_be_exported_is_refused_before_its_weights_are_read(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "bert", FAMILIES["bert"].__class__("bert", "x", "y", no_onnx="it has loops"))
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"family bert cannot be exported to ONNX: it has loops; .* roberta, "):
        export_onnx(tmp_path, tmp_path / "model.onnx")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx_ir", None)
    with pytest.raises(UserError, match="package onnx_ir is not installed"):
        export_onnx(tmp_path, tmp_path / "model.onnx")
