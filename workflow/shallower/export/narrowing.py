"""Graphs that compute of the last layer only what is read: the vectors of the token that the classifier looks at.

A classifier looks at one token of its last layer, [CLS]. Of that layer only keys and values are needed of the others;
all else is computed for each token by itself. A layer of BERT spends two of its twelve matrices on keys and values, so
a model of n layers does the work of n - 5/6. The logits are the same.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from shallower.export.packages import required

if TYPE_CHECKING:
    import onnx_ir as ir

# From a node and the axis of its output of which one place is needed, to the axes of its inputs, by their index, of
# which one place suffices; None when it needs more.
Rule = Callable[["ir.Node", int], Mapping[int, int] | None]


def narrow_to_read(graph: "ir.Graph") -> None:
    """Compute only the first or last place of an axis where a graph looks at no other.

    Looks for `Gather` with a constant place, 0 or -1, and goes back from there, against the direction of the data, for
    as long as each operator needs but this place of its inputs (`RULES`). Where one needs more, or another operator
    needs all, the place is cut out. Shapes of values must be known; graphs without such a Gather stay as they are.
    """
    for node in list(graph):
        place = _place_read(node)
        if place is not None:
            _narrow(graph, node, place)


def _place_read(node: "ir.Node") -> int | None:
    """The constant place, 0 or -1, that a node reads of the middle axis of [batch, sequence, size]."""
    if node.op_type != "Gather" or node.attributes.get_int("axis", 0) != 1:
        return None
    values, index = node.inputs
    if values is None or index is None or values.shape is None or index.const_value is None:
        return None
    number = index.const_value.numpy()
    if len(values.shape) != 3 or isinstance(values.shape[1], int) or number.ndim or int(number) not in (0, -1):
        return None
    return int(number)


def _narrow(graph: "ir.Graph", reader: "ir.Node", place: int) -> None:
    # Uses of values, as (node, index of the input), that need one place of this axis.
    needs: dict[tuple[ir.Node, int], int] = {(reader, 0): 1}
    narrowed: dict[ir.Node, int] = {}
    for node in reversed(list(graph)):
        axes = {needs.get((use.node, use.idx)) for value in node.outputs for use in value.uses()}
        axis = axes.pop() if len(axes) == 1 else None
        if axis is None or len(node.outputs) != 1 or node.outputs[0].is_graph_output() or node.op_type not in RULES:
            continue
        inputs = RULES[node.op_type](node, axis)
        if inputs is not None:
            narrowed[node] = axis
            needs |= {(node, index): of_input for index, of_input in inputs.items()}
    cut: dict[tuple[ir.Value, int], ir.Value] = {}
    for (node, index), axis in needs.items():
        value = node.inputs[index]
        if value is None or value.producer() in narrowed:
            continue
        if (value, axis) not in cut:
            cut[value, axis] = _cut(graph, value, axis, place)
        node.replace_input_with(index, cut[value, axis])
    for node, axis in narrowed.items():
        node.outputs[0].shape = _with_one(node.outputs[0], axis)
        if node.op_type == "Reshape":
            _reshape_to_one(graph, node, axis)


def _cut(graph: "ir.Graph", value: "ir.Value", axis: int, place: int) -> "ir.Value":
    """One place of an axis of a value, the axis kept."""
    ir = required("onnx_ir")
    ends = (place, 1 if place == 0 else sys.maxsize, axis)
    sliced = ir.node("Slice", [value, *(constant(graph, [number]) for number in ends)])
    sliced.outputs[0].type, sliced.outputs[0].shape = value.type, _with_one(value, axis)
    insert_behind(graph, value, sliced)
    return sliced.outputs[0]


def _reshape_to_one(graph: "ir.Graph", node: "ir.Node", axis: int) -> None:
    """Make a Reshape give one place of an axis: its second input says how many."""
    ir = required("onnx_ir")
    before = ir.node("Slice", [node.inputs[1], constant(graph, [0]), constant(graph, [axis])])
    after = ir.node("Slice", [node.inputs[1], constant(graph, [axis + 1]), constant(graph, [sys.maxsize])])
    parts = [before.outputs[0], constant(graph, [1]), after.outputs[0]]
    joined = ir.node("Concat", parts, {"axis": 0})
    graph.insert_before(node, [before, after, joined])
    node.replace_input_with(1, joined.outputs[0])


def constant(graph: "ir.Graph", numbers: list[int]) -> "ir.Value":
    """An initializer of a graph with these numbers, int64 [n]; the same one for the same numbers."""
    ir = required("onnx_ir")
    name = "numbers_" + "_".join(map(str, numbers))
    if name not in graph.initializers:
        tensor = ir.tensor(numbers, dtype=ir.DataType.INT64, name=name)
        graph.register_initializer(ir.Value(name=name, const_value=tensor, shape=tensor.shape, type=_int64()))
    return graph.initializers[name]


def insert_behind(graph: "ir.Graph", value: "ir.Value", *nodes: "ir.Node") -> None:
    """Insert nodes behind the one that a value comes from, or at a graph's beginning if it is an input."""
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], nodes)
    else:
        graph.insert_after(producer, nodes)


def _int64() -> "ir.TensorType":
    ir = required("onnx_ir")
    return ir.TensorType(ir.DataType.INT64)


def _with_one(value: "ir.Value", axis: int) -> "ir.Shape":
    """The shape of a value of which one place of an axis is left."""
    return required("onnx_ir").Shape([1 if each == axis else size for each, size in enumerate(value.shape or ())])


def _by_places(node: "ir.Node", axis: int) -> Mapping[int, int] | None:
    """Of operators on each number by itself: inputs are aligned at their last axes, and repeated along axes of 1."""
    rank = len(node.outputs[0].shape or ())
    inputs = {}
    for index, value in enumerate(node.inputs):
        if value is None or value.shape is None:
            return None
        of_input = axis - (rank - len(value.shape))
        if of_input >= 0 and value.shape[of_input] != 1:
            inputs[index] = of_input
    return inputs


def _along_last_axes(node: "ir.Node", axis: int) -> Mapping[int, int] | None:
    """Of softmax and norms, which need all places of the axis that they are given, of norms of those behind it, too."""
    rank = len(node.outputs[0].shape or ())
    return {0: axis} if rank and axis < node.attributes.get_int("axis", -1) % rank else None


def _of_product(node: "ir.Node", axis: int) -> Mapping[int, int] | None:
    """Of a product of matrices: rows are computed each by itself."""
    shapes = [value.shape for value in node.inputs if value is not None]
    if any(shape is None or len(shape) < 2 for shape in shapes) or axis != len(node.outputs[0].shape or ()) - 2:
        return None
    return {0: len(shapes[0] or ()) - 2}


def _of_transpose(node: "ir.Node", axis: int) -> Mapping[int, int] | None:
    return {0: node.attributes["perm"].as_ints()[axis]}


def _of_reshape(node: "ir.Node", axis: int) -> Mapping[int, int] | None:
    """Of a Reshape that changes only axes behind this one."""
    value, result = node.inputs[0], node.outputs[0]
    if value is None or value.shape is None or result.shape is None or len(value.shape) <= axis:
        return None
    same = [str(size) for size in value.shape[: axis + 1]] == [str(size) for size in result.shape[: axis + 1]]
    return {0: axis} if same and None not in value.shape[: axis + 1] else None


ELEMENTWISE = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Sum",
    "Where",
    "Cast",
    "Gelu",
    "Tanh",
    "Erf",
    "Relu",
    "Sigmoid",
    "Sqrt",
    "Pow",
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, _by_places),
    "Softmax": _along_last_axes,
    "LayerNormalization": _along_last_axes,
    "MatMul": _of_product,
    "Transpose": _of_transpose,
    "Reshape": _of_reshape,
}
