"""Exported models compute what torch computes, for less work, for every family and every size of a batch."""

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
from shallower.export.quantisation import quantise
from shallower.models.families import FAMILIES
from tiny_decoders import DECODERS

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# The others are built as one of these.
QUICK = ("bert", "mpnet", "deberta-v2", "gpt2")


def by_torch(folder, tokens):
    """Logits of transformers' own model, one example at a time, so without padding."""
    model = load_checked(folder)
    with torch.inference_mode():
        batches = [make_batch(tokens, np.array([example])) for example in range(len(tokens.labels))]
        return np.concatenate([model(**model_inputs(model, batch, "cpu")).logits.numpy() for batch in batches])


@pytest.mark.parametrize("family", tiny.families(*QUICK))
def test_logits_are_those_of_torch_for_every_length_and_size_of_a_batch(exported, family):
    found = exported(family)
    expected = by_torch(found.folder, found.tokens)
    assert np.ptp(expected, axis=0).min() > 1e-2, "all examples are answered alike: differences would not show"
    model = OnnxModel(found.onnx)
    assert predict(model, found.tokens) == pytest.approx(expected, abs=1e-5)
    alone = [model.compute(make_batch(found.tokens, np.array([example]))) for example in range(len(expected))]
    assert np.concatenate(alone) == pytest.approx(expected, abs=1e-5)


def sizes(graph):
    """From the names of products with weights to the sizes of what they give."""
    return {node.name: [str(size) for size in node.outputs[0].shape] for node in graph if node.op_type == "MatMul"}


@pytest.mark.parametrize("family", tiny.families(*QUICK))
def test_one_batch_of_all_lengths_has_the_logits_of_each_text_alone(exported, tmp_path, monkeypatch, family):
    found = exported(family)
    monkeypatch.setattr(found.exporter, "_rewrites", ())
    found.exporter.export(found.folder, tmp_path / "as-exported.onnx")
    plain, model = OnnxModel(tmp_path / "as-exported.onnx"), OnnxModel(found.onnx)
    examples = np.arange(len(found.tokens.labels))
    alone = np.concatenate([plain.compute(make_batch(found.tokens, np.array([each]))) for each in examples])
    assert model.compute(make_batch(found.tokens, examples)) == pytest.approx(alone, abs=1e-5)
    onnx.checker.check_model(onnx.load(found.onnx), full_check=True)
    before, after = (sizes(onnx_ir.load(path).graph).values() for path in (tmp_path / "as-exported.onnx", found.onnx))
    assert not any(size[:2] == ["batch", "1"] for size in before)
    # XLNet has batch and sequence the other way round, and of its products the last one is in the head. DeBERTa's first
    # version spells its norms out in single operators, which are computed for all tokens. Where decoders read depends
    # on the text.
    assert any(size[:2] == ["batch", "1"] for size in after) or family in ("xlnet", "deberta", *DECODERS)


def test_the_last_layer_computes_one_place_and_the_others_no_padding(exported):
    found = sizes(onnx_ir.load(exported("bert").onnx).graph)
    of_layer = "bert.encoder.layer.{}.{}/MatMul".format
    for name, size in (("attention.output.dense", "32"), ("intermediate.dense", "64"), ("output.dense", "32")):
        assert found[of_layer(0, name)] == ["tokens", size]
        assert found[of_layer(1, name)] == ["batch", "1", size]
    assert found[of_layer(1, "attention.self.query")] == ["batch", "1", "32"]
    assert found[of_layer(1, "attention.self.key")] == ["tokens", "32"]


def test_answers_in_8_bits_do_not_depend_on_how_far_a_batch_is_padded(exported, tmp_path):
    found = exported("bert")
    quantise(found.onnx, tmp_path / "model-int8.onnx")
    model, batch = OnnxModel(tmp_path / "model-int8.onnx"), make_batch(found.tokens, np.array([2, 3, 7, 8]))
    arrays = {each: getattr(batch, each) for each in INPUTS}
    expected = model._session.run(None, arrays)[0]
    wider = {name: np.pad(array, ((0, 0), (0, 9))) for name, array in arrays.items()}
    assert model._session.run(None, wider)[0] == pytest.approx(expected, abs=1e-6)


def test_a_text_of_nothing_but_padding_changes_no_other(exported):
    """Servers fill batches up to a fixed size."""
    found = exported("bert")
    model, batch = OnnxModel(found.onnx), make_batch(found.tokens, np.array([2, 3, 7, 8]))
    more = {each: getattr(batch, each) for each in INPUTS}
    expected = model._session.run(None, more)[0]
    filled = {name: np.pad(array, ((1, 1), (0, 0))) for name, array in more.items()}
    assert model._session.run(None, filled)[0][1:-1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("family", tiny.families(*QUICK))
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
