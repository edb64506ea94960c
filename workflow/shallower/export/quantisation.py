"""ONNX models in int8, by onnxruntime's dynamic quantisation: weights are rounded once, activations at each request.

What is rounded: the weights of matrix products, to int8 with a scale for each output, and the tables of embeddings, to
uint8 with a scale for each table. Biases, norms and sums stay in fp32. A fine-tuned MiniLM of
90.9 MB comes down to 23.0 MB, or to 58.7 MB without its tables. One scale for a whole matrix would save 0.1 MB more and
changes twice as many answers.

Weights of products use 7 of the 8 bits (`reduce_range`). Processors without VNNI instructions (Intel's before 2019,
AMD's before Zen 4) add products of 8-bit numbers in pairs, in 16 bits, which two large ones exceed: the sum is cut off,
and answers change. 255 * 64 * 2 fits. A delivered model must answer alike wherever it runs, so what this machine has
does not matter (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "When and why do I need
to try U8U8?").
"""

import logging
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import atomic_write
from shallower.export.packages import required

# The types of operators that are quantised: products with weights, and look-ups in tables of embeddings.
PRODUCTS, LOOKUPS = ("MatMul", "Gemm"), ("Gather",)
# Of messages: how many names they list.
MAX_LISTED = 20


@dataclass(frozen=True)
class Operator:
    """An operator with weights: its name, as `shallower.export.onnx_export` gives it, its type and its module."""

    name: str
    kind: str

    @property
    def module(self) -> str:
        """The module that it computes, such as bert.encoder.layer.0.output.dense."""
        return self.name.rpartition("/")[0]

    def is_meant_by(self, name: str) -> bool:
        """Whether a name is that of its type, or of a module that it is in, from any of its parts on."""
        return name == self.kind or f".{name}." in f".{self.module}."


def quantise(onnx_file: str | Path, output: str | Path, exclude_operators: Collection[str] = ()) -> None:
    """Write an ONNX model that `shallower.export.onnx_export` made, with weights in 8 bits.

    `exclude_operators` are left in fp32. Each is a type of operator (MatMul, Gather) or a module, by consecutive parts
    of its name, with all in it: word_embeddings, output.dense, encoder.layer.0. One that the model does not have means
    nothing here (see `check_names`).

    Raises UserError when the file is missing or not an ONNX model, and when onnxruntime or onnx is not installed.
    """
    quantization = required("onnxruntime.quantization")
    preparation = required("onnxruntime.quantization.shape_inference")
    excluded = excluded_nodes(quantisable(onnx_file), exclude_operators)
    with tempfile.TemporaryDirectory(prefix="shallower-") as folder, without_details():
        prepared = Path(folder) / "prepared.onnx"
        # Shapes by ONNX's own inference. onnxruntime's symbolic one does not know all operators that torch exports, and
        # its optimiser would find nothing to do, and goes on with a line in the log when it fails.
        preparation.quant_pre_process(
            str(onnx_file),
            str(prepared),
            skip_symbolic_shape=True,
            skip_optimization=True,
            save_as_external_data=True,
            all_tensors_to_one_file=True,
            external_data_location="prepared.data",
        )
        with atomic_write(output) as part:
            quantization.quantize_dynamic(
                prepared,
                part,
                op_types_to_quantize=["MatMul", *LOOKUPS],
                per_channel=True,
                reduce_range=True,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=excluded,
            )


def quantisable(onnx_file: str | Path) -> list[Operator]:
    """The operators of a model that have weights to quantise. Raises UserError when it is no ONNX model."""
    onnx = required("onnx")
    try:
        graph = onnx.load(onnx_file, load_external_data=False).graph
    except FileNotFoundError:
        raise UserError(f"{onnx_file}: file not found") from None
    except required("google.protobuf.message").DecodeError as error:
        raise corrupt_file_error(onnx_file, f"not an ONNX model ({error})") from None
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    return [
        Operator(node.name, node.op_type)
        for node in graph.node
        if (node.op_type in PRODUCTS and node.input[1] in weights)
        or (node.op_type in LOOKUPS and node.input[0] in weights)
    ]


def check_names(onnx_files: Collection[Path], exclude_operators: Collection[str]) -> None:
    """Raise UserError when a name of operators to leave out means none in any of several models.

    Models of fewer layers do not have those of the full one.
    """
    operators = {operator for file in onnx_files for operator in quantisable(file)} if exclude_operators else set()
    for name in exclude_operators:
        if not any(operator.is_meant_by(name) for operator in operators):
            kinds = sorted({operator.kind for operator in operators})
            # The last parts alone, since layers repeat them.
            modules = sorted({operator.module.rpartition(".")[2] for operator in operators})
            raise UserError(
                f"no operator {name!r} to leave out when quantising (deliver.exclude_operators) in any of "
                f"{len(onnx_files)} models, such as {next(iter(onnx_files))}; there are the types {', '.join(kinds)} "
                f"and the modules {', '.join(modules[:MAX_LISTED])}"
            )


def excluded_nodes(operators: Sequence[Operator], names: Collection[str]) -> list[str]:
    """The names that onnxruntime knows operators by, of those that are meant by any of `names`."""
    meant = [operator for operator in operators if any(operator.is_meant_by(name) for name in names)]
    # onnxruntime makes a MatMul and an Add of each Gemm first.
    return [f"{each.name}_MatMul" if each.kind == "Gemm" else each.name for each in meant]


@contextmanager
def without_details() -> Iterator[None]:
    """Without onnxruntime's lines on the root logger, such as those on each tensor that it leaves as it is."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
