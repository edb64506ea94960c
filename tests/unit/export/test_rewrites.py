"""Rewritten graphs compute the same for less work: what is read, real tokens, with norms apart."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from shallower.export.narrowing import narrow_to_read
from shallower.export.packing import pack_tokens
from shallower.export.sums import keep_norms_apart


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
