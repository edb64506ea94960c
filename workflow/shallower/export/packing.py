"""Graphs that compute nothing for padding, where each token is computed by itself.

A batch is padded to its longest text. Products with weights, which take most of the time, norms and activations are
computed here for the real tokens of all texts, one after the other; only attention sees texts next to each other,
padded. The logits are the same, and of quantised models they depend less on the other texts of a batch.
"""

from typing import TYPE_CHECKING

from shallower.export.narrowing import ELEMENTWISE, constant, insert_behind
from shallower.export.packages import required

if TYPE_CHECKING:
    import onnx_ir as ir

MASK = "attention_mask"
# The names of the first two sizes of what is computed for each token.
PADDED = ["batch", "sequence"]


def pack_tokens(graph: "ir.Graph") -> None:
    """Compute products with weights, and what follows them token by token, without padding.

    Expected are sizes of the names batch and sequence, and the mask of tokens as an input. Values [batch, sequence,
    size] become [tokens, size] before such operators, and the same again behind them, where other operators need
    that. Padding then has the numbers of some token, which attention's mask leaves out. At least one token must be
    real. Graphs without such products stay as they are.
    """
    region: dict[ir.Node, None] = {}  # a set in the graph's order
    of_mask: set[ir.Value] = {value for value in graph.inputs if value.name == MASK}
    for node in graph:
        if _is_of_mask(node, of_mask):
            of_mask |= {*node.outputs}
        elif _is_by_token(node, region, of_mask):
            region[node] = None
    if not region:
        return
    rows, places = _index(graph)
    packed: dict[ir.Value, ir.Value] = {}
    for node in region:
        for index, value in enumerate(node.inputs):
            if value is not None and _is_padded(value) and value.producer() not in region:
                if value not in packed:
                    packed[value] = _pack(graph, value, rows)
                node.replace_input_with(index, packed[value])
    for node in region:
        _unpack_for_others(graph, node, region, places)


def _is_of_mask(node: "ir.Node", of_mask: "set[ir.Value]") -> bool:
    """Whether what a node gives depends on the mask of tokens and on nothing else."""
    inputs = [value for value in node.inputs if value is not None and not value.is_initializer()]
    others = [value.producer() for value in inputs if value not in of_mask]
    # Constants are nodes without inputs.
    return len(others) < len(inputs) and all(other is not None and not other.inputs for other in others)


def _is_by_token(node: "ir.Node", region: "dict[ir.Node, None]", of_mask: "set[ir.Value]") -> bool:
    """Whether a node is a product of tokens with weights, or computes each token of such a product by itself.

    What sets padding apart, as a mean over tokens does, is not: padding has numbers of its own there.
    """
    if any(value in of_mask for value in node.inputs):
        return False
    if len(node.outputs) != 1 or node.outputs[0].is_graph_output() or not _is_padded(node.outputs[0]):
        return False
    if node.op_type == "MatMul":
        matrix = node.inputs[1]
        return _is_padded(node.inputs[0]) and matrix is not None and matrix.is_initializer()
    if not any(value is not None and value.producer() in region for value in node.inputs):
        return False
    if node.op_type == "LayerNormalization":
        return node.attributes.get_int("axis", -1) in (-1, 2) and _is_padded(node.inputs[0])
    # Biases and numbers are the same for all tokens.
    return node.op_type in ELEMENTWISE and all(
        _is_padded(value) or (value is not None and value.shape is not None and len(value.shape) <= 1)
        for value in node.inputs
    )


def _is_padded(value: "ir.Value | None") -> bool:
    """Whether a value is [batch, sequence, size]."""
    if value is None or value.shape is None or len(value.shape) != 3:
        return False
    return list(map(str, value.shape[:2])) == PADDED and isinstance(value.shape[2], int)


def _index(graph: "ir.Graph") -> "tuple[ir.Value, ir.Value]":
    """Where tokens are among all places of a batch, [tokens], and the token of each place, [batch, sequence]."""
    ir = required("onnx_ir")
    mask = next(value for value in graph.inputs if value.name == MASK)
    flat = ir.node("Reshape", [mask, constant(graph, [-1])])
    found = ir.node("NonZero", flat.outputs)
    rows = ir.node("Squeeze", [found.outputs[0], constant(graph, [0])])
    counts = ir.node("CumSum", [flat.outputs[0], constant(graph, [0])])
    last = ir.node("Sub", [counts.outputs[0], constant(graph, [1])])
    # Padding before the first token has that one's numbers, other padding those of the token before it.
    known = ir.node("Max", [last.outputs[0], constant(graph, [0])])
    shape = ir.node("Shape", [mask])
    places = ir.node("Reshape", [known.outputs[0], shape.outputs[0]])
    insert_behind(graph, mask, flat, found, rows, counts, last, known, shape, places)
    return rows.outputs[0], places.outputs[0]


def _pack(graph: "ir.Graph", value: "ir.Value", rows: "ir.Value") -> "ir.Value":
    ir = required("onnx_ir")
    size = _size(value)
    flat = ir.node("Reshape", [value, constant(graph, [-1, size])])
    flat.outputs[0].type, flat.outputs[0].shape = value.type, ir.Shape(["places", size])
    packed = ir.node("Gather", [flat.outputs[0], rows], {"axis": 0})
    packed.outputs[0].type, packed.outputs[0].shape = value.type, ir.Shape(["tokens", size])
    insert_behind(graph, value, flat, packed)
    return packed.outputs[0]


def _unpack_for_others(graph: "ir.Graph", node: "ir.Node", region: "dict[ir.Node, None]", places: "ir.Value") -> None:
    """Say that a node gives [tokens, size], and give [batch, sequence, size] to nodes that know nothing of this."""
    ir = required("onnx_ir")
    value = node.outputs[0]
    size, others = _size(value), [use for use in value.uses() if use.node not in region]
    value.shape = ir.Shape(["tokens", size])
    if others:
        unpacked = ir.node("Gather", [value, places], {"axis": 0})
        unpacked.outputs[0].type, unpacked.outputs[0].shape = value.type, ir.Shape([*PADDED, size])
        graph.insert_after(node, unpacked)
        for use in others:
            use.node.replace_input_with(use.idx, unpacked.outputs[0])


def _size(value: "ir.Value") -> int:
    """The last size of a value that `_is_padded`."""
    assert value.shape is not None
    size = value.shape[-1]
    assert isinstance(size, int)
    return size
