"""Fine-tuned models as ONNX files, which need neither torch nor transformers to run.

Models with a head give logits; sentence embeddings give the pooled vector of each text, of length 1 where the model
normalises.

The graph of a model depends on its configuration alone. Tracing it takes most of the time of an export (13 of 15 s for
MiniLM), so models of equal configuration, such as the seeds of an arm, are traced once and get their own weights.
"""

import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel

from shallower.core.files import atomic_write, canonical_json, naming_errors, read_json
from shallower.core.variants import ONNX_DATA
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.export.narrowing import narrow_to_read
from shallower.export.packages import required
from shallower.export.packing import pack_tokens
from shallower.export.sums import keep_norms_apart
from shallower.models.families import check_onnx_export, family_of
from shallower.models.family import Family
from shallower.models.folder import CONFIG, check_model
from shallower.models.pooling import embed
from shallower.models.sentence_embedding import SentenceEmbedding

if TYPE_CHECKING:
    import onnx_ir as ir

# The first version of ONNX's operators with Gelu; onnxruntime has them all since its version 1.17.
OPSET = 20
# A file of ONNX (a protobuf) must stay below 2 GiB. Weights of more than this are kept in a file of their own.
LARGEST_WEIGHTS = 2_000_000_000
# What export looks at: neither 0 nor 1, which it would take for constants, and two sizes that it can tell apart.
BATCH, LENGTH = 2, 8
# The names of outputs: of models with a head, and of those that answer with the vector of a text.
LOGITS, VECTORS = "logits", "sentence_embedding"


# Changes of graphs after which they give the same logits in less time, in this order: what follows may count on less.
REWRITES: "tuple[Callable[[ir.Graph], None], ...]" = (narrow_to_read, pack_tokens, keep_norms_apart)


class OnnxExporter:
    """Writes models as ONNX; traces those of equal configuration once.

    `rewrites` are applied to what torch exports; without any, a graph is as large as the model that it is of.
    """

    def __init__(self, rewrites: "Sequence[Callable[[ir.Graph], None]]" = REWRITES) -> None:
        self._rewrites = rewrites
        self._graphs: dict[str, ir.Model] = {}

    def export(self, model_dir: str | Path, output: str | Path, largest_weights: int = LARGEST_WEIGHTS) -> list[Path]:
        """Write the model in a folder (config.json, model.safetensors) as an ONNX file in fp32.

        Inputs are int64 [batch, length] of any size, named as transformers names them: `input_ids`, `attention_mask` (1
        for a token, 0 for padding) and, of models with several token types, `token_type_ids`. The output is `logits`,
        float32 [batch, outputs], or `sentence_embedding`, float32 [batch, size], of a model that says how the vectors
        of tokens become one. Nodes are called after the modules that they compute, such as
        bert.encoder.layer.0.output.dense/MatMul.

        Weights are in the file itself or, where they have more than `largest_weights` bytes, in a second one next to
        it, with the same name and .data; both must be kept together. Returned are the files that there are.

        Raises UserError when the folder lacks a file, when its weights do not fit its configuration, when its family
        cannot be exported, and when a package is not installed.
        """
        ir, optimizer = required("onnx_ir"), required("onnxscript.optimizer")
        check_model(model_dir)
        config = read_json(Path(model_dir) / CONFIG)
        family = family_of(config)
        check_onnx_export(family)
        # Plain attention: its graph is the smaller one, as sdpa's guards against rows without any token.
        module = load_checked(model_dir, attn_implementation="eager")
        embedding = SentenceEmbedding.of(config)
        answering = module if embedding is None else TextVectors(module, embedding)
        weights = answering.state_dict()
        key = _graph_key(config)
        if key not in self._graphs:
            self._graphs[key] = _trace(module, answering, family)
        graph = self._graphs[key].clone()
        for name, value in graph.graph.initializers.items():
            if value.const_value is None:
                value.const_value = ir.tensor(weights[name].numpy(), name=name)
        with _quiet():
            optimizer.optimize(graph)
            # Packed tokens leave numbers of others where padding is, which a head that reads a mean over places counts.
            counts_padding = embedding is None and family.reads_mean(config)
            for rewrite in () if counts_padding else self._rewrites:
                rewrite(graph.graph)
        _name_nodes(graph)
        return _write(graph, Path(output), largest_weights)


class TextVectors(nn.Module):
    """A model without a head that answers with the vectors of texts."""

    def __init__(self, model: PreTrainedModel, embedding: SentenceEmbedding) -> None:
        super().__init__()
        family = family_of(model.config.to_dict())
        self.name, self.embedding, self.more = model.base_model_prefix, embedding, dict(family.forward_arguments)
        # A constant place: nothing else of the last layer is computed then.
        self.reads_first = embedding.pooling == "cls" and family.cls_place == 0
        # By the name that it has within a model with a head, after which its nodes are called.
        self.add_module(self.name, model)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Vectors [batch, size]."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.get_submodule(self.name)(
            input_ids=input_ids, attention_mask=attention_mask, **types, **self.more
        ).last_hidden_state
        if self.reads_first:
            vectors = states[:, 0]
            return nn.functional.normalize(vectors, dim=-1) if self.embedding.normalize else vectors
        return embed(states, attention_mask.bool(), self.embedding.pooling, self.embedding.normalize)


def export_onnx(model_dir: str | Path, output: str | Path) -> None:
    """Write one model as ONNX: `OnnxExporter.export`."""
    OnnxExporter().export(model_dir, output)


def _graph_key(config: Mapping[str, Any]) -> str:
    """What a graph depends on: a model's configuration, but for the names of its outputs."""
    number = len(config["id2label"]) if "id2label" in config else config.get("num_labels")
    names = ("id2label", "label2id", "num_labels", "_name_or_path")
    return canonical_json({key: value for key, value in config.items() if key not in names} | {"outputs": number})


def _trace(module: PreTrainedModel, answering: nn.Module, family: Family) -> "ir.Model":
    """The graph of a model as torch exports it, without the values of its weights.

    `answering` is what is exported: the model of transformers itself, or what makes vectors of texts with it.
    """
    inputs = _example(module, family)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
    if family.onnx_mask != "plain":
        mask = {"float": _with_float_mask, "additive": _with_additive_mask}[family.onnx_mask]
        module.register_forward_pre_hook(mask, with_kwargs=True)
    with _quiet(), torch.inference_mode():
        more = dict(family.forward_arguments) if answering is module else {}
        program = torch.onnx.export(
            answering,
            (),
            kwargs=inputs | more,
            input_names=list(inputs),
            output_names=[LOGITS if answering is module else VECTORS],
            dynamic_shapes=dict.fromkeys(inputs, sizes) | dict.fromkeys(more),
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # it would merge weights into others, which could not be replaced by name
            verbose=False,
        )
    assert program is not None
    weights = answering.state_dict()
    graph = program.model.graph
    _name_sizes(graph)
    for name, value in graph.initializers.items():
        if name in weights:
            value.const_value = None
    return program.model


def _name_sizes(graph: "ir.Graph") -> None:
    """Call the sizes of inputs and outputs batch and sequence, where torch has made up names of its own (s18)."""
    names = dict(zip((str(size) for size in graph.inputs[0].shape or ()), ("batch", "sequence"), strict=True))
    for value in [*graph.inputs, *graph.outputs, *(value for node in graph for value in node.outputs)]:
        for axis, size in enumerate(value.shape or ()):
            if not isinstance(size, int) and str(size) in names:
                value.shape[axis] = names[str(size)]  # type: ignore[index]  # there is a shape


def _with_float_mask(module: nn.Module, args: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Arguments of a forward pass, with the attention mask as floats."""
    return args, inputs | {"attention_mask": inputs["attention_mask"].float()}


def _with_additive_mask(module: nn.Module, args: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Arguments of a forward pass, with what attention adds to its scores: 0 for a token, the least float for padding.

    transformers takes such a mask, [batch, 1, 1, sequence], as it is. Its own way to it, for masks of all kinds, takes
    19 operators more.
    """
    mask = inputs["attention_mask"][:, None, None, :].float()
    return args, inputs | {"attention_mask": (1 - mask) * torch.finfo(torch.float32).min}


def _example(module: PreTrainedModel, family: Family) -> dict[str, torch.Tensor]:
    """Inputs to trace a model with: the second text is padded, and both have two parts."""
    ids = torch.ones(BATCH, LENGTH, dtype=torch.int64)
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    mask[1, LENGTH // 2 :] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    number = family.num_token_types(module.config.to_dict())
    if family.takes_token_types and (number is None or number > 1):
        types[:, LENGTH // 2 :] = 1
        inputs["token_type_ids"] = types
    return inputs


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's remarks on packages that it misses and a line for each change of a graph; errors still raise."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("torch.onnx", "onnx_ir", "onnxscript"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _name_nodes(model: "ir.Model") -> None:
    """Call nodes after the modules that they compute, and drop what else torch recorded: stack traces with paths."""
    uses: Counter[str] = Counter()
    for node in model.graph:
        module = _module_of(node)
        name = f"{module}/{node.op_type}" if module else node.op_type
        uses[name] += 1
        node.name = name if uses[name] == 1 else f"{name}_{uses[name]}"
        node.metadata_props.clear()
    for value in [*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()]:
        value.metadata_props.clear()
    for node in model.graph:
        for value in node.outputs:
            value.metadata_props.clear()
    model.graph.metadata_props.clear()


def _module_of(node: "ir.Node") -> str:
    """The innermost module that a node belongs to, as torch recorded it; empty for the model itself."""
    # A list as text: of all modules from the outermost one, "", and in the end of the operation.
    scopes = node.metadata_props.get("pkg.torch.onnx.name_scopes", "[]")
    modules = [scope.strip(" '\"") for scope in scopes.strip("[]").split(",")][:-1]
    return modules[-1] if modules and not modules[-1].startswith("_") else ""


def _write(model: "ir.Model", output: Path, largest_weights: int) -> list[Path]:
    """Write a model, complete or not at all; the file of its weights, where there is one, comes first."""
    ir = required("onnx_ir")
    data = output.with_name(output.name + ONNX_DATA)
    values = [value.const_value for value in model.graph.initializers.values()]
    if sum(value.nbytes for value in values if value is not None) <= largest_weights:
        with atomic_write(output) as part:
            ir.save(model, part, format="protobuf")
        data.unlink(missing_ok=True)
        return [output]
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        naming_errors(output),
        tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder,
    ):
        part = Path(folder) / output.name
        ir.save(model, part, external_data=data.name)
        (Path(folder) / data.name).replace(data)
        part.replace(output)
    return [output, data]
