"""Rewritten graphs give the same logits for less work: of what is read, of real tokens, with norms apart."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

import tiny
from shallower.engine.batches import make_batch
from shallower.export.narrowing import narrow_to_read
from shallower.export.onnx_prediction import OnnxModel
from shallower.export.packing import pack_tokens
from shallower.export.quantisation import quantise
from shallower.export.sums import keep_norms_apart
from tiny_decoders import DECODERS


def sizes(graph):
    """From the names of products with weights to the sizes of what they give."""
    return {node.name: [str(size) for size in node.outputs[0].shape] for node in graph if node.op_type == "MatMul"}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_one_batch_of_all_lengths_has_the_logits_of_each_text_alone(exported, tmp_path, monkeypatch, family):
    found = exported(family)
    monkeypatch.setattr(found.exporter, "_rewrites", ())
    found.exporter.export(found.folder, tmp_path / "as-exported.onnx")
    plain, model = OnnxModel(tmp_path / "as-exported.onnx"), OnnxModel(found.onnx)
    examples = np.arange(len(found.tokens.labels))
    alone = np.concatenate([plain.compute(make_batch(found.tokens, np.array([each]))) for each in examples])
    assert model.compute(make_batch(found.tokens, examples)) == pytest.approx(alone, abs=1e-5)
    onnx.checker.check_model(onnx.load(found.onnx), full_check=True)
    before, after = (sizes(ir.load(path).graph).values() for path in (tmp_path / "as-exported.onnx", found.onnx))
    assert not any(size[:2] == ["batch", "1"] for size in before)
    # XLNet has batch and sequence the other way round, and of its products the last one is in the head. DeBERTa's first
    # version spells its norms out in single operators, which are computed for all tokens. Where decoders read depends
    # on the text.
    assert any(size[:2] == ["batch", "1"] for size in after) or family in ("xlnet", "deberta", *DECODERS)


def test_the_last_layer_computes_one_place_and_the_others_no_padding(exported):
    found = sizes(ir.load(exported("bert").onnx).graph)
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
    arrays = {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "token_type_ids": batch.token_type_ids,
    }
    expected = model._session.run(None, arrays)[0]
    wider = {name: np.pad(array, ((0, 0), (0, 9))) for name, array in arrays.items()}
    assert model._session.run(None, wider)[0] == pytest.approx(expected, abs=1e-6)


def test_a_text_of_nothing_but_padding_changes_no_other(exported):
    """Servers fill batches up to a fixed size."""
    found = exported("bert")
    model, batch = OnnxModel(found.onnx), make_batch(found.tokens, np.array([2, 3, 7, 8]))
    more = {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "token_type_ids": batch.token_type_ids,
    }
    expected = model._session.run(None, more)[0]
    filled = {name: np.pad(array, ((1, 1), (0, 0))) for name, array in more.items()}
    assert model._session.run(None, filled)[0][1:-1] == pytest.approx(expected, abs=1e-6)


def graph_of(text):
    """A graph from ONNX's own notation, with the shapes of all values."""
    model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text))
    return ir.from_proto(model)


READ = """<ir_version: 10, opset_import: ["" : 20]>
g (float[batch,sequence,4] x) => (float[batch,4] y%s)
<int64 place = {%d}> {
  a = Gelu(x)
  b = Tanh(a)
  c = Mul(a, b)
  %s
  y = Gather<axis=1>(c, place)
}"""


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize(
    ("also", "node", "cut"), [("", "", "x"), (", float[batch,sequence,4] z", "z = Neg(b)", "a and b")]
)
def test_what_others_need_is_computed_whole(place, also, node, cut):
    model = graph_of(READ % (also, place, node))
    values = {"x": np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)}
    expected = ReferenceEvaluator(ir.to_proto(model)).run(None, values)
    narrow_to_read(model.graph)
    assert " and ".join(sorted(n.inputs[0].name for n in model.graph if n.op_type == "Slice")) == cut
    for result, each in zip(ReferenceEvaluator(ir.to_proto(model)).run(None, values), expected, strict=True):
        assert result == pytest.approx(each, abs=1e-6)


def test_other_graphs_stay_as_they_are():
    text = READ % ("", 2, "")  # neither the first nor the last place
    model = graph_of(text)
    for rewrite in (narrow_to_read, pack_tokens, keep_norms_apart):
        rewrite(model.graph)
    assert ir.to_proto(model).graph.node == ir.to_proto(graph_of(text)).graph.node
