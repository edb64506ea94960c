"""Classifiers computed by the packed encoder, read from and written to checkpoints in transformers' format."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from shallower.core.errors import corrupt_file_error
from shallower.core.files import atomic_write, read_json, write_json
from shallower.core.model_classes import NO_HEAD, SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION, model_class_of
from shallower.engine.classifiers.base import Classifier, Outputs
from shallower.engine.classifiers.packed_batch import pack
from shallower.engine.classifiers.packed_encoder import Encoder
from shallower.engine.dropout import Dropout
from shallower.engine.tokens import TokenSet
from shallower.models.encoder_families import ENCODERS, key_variants
from shallower.models.families import family_of
from shallower.models.folder import CONFIG, WEIGHTS, weights_mismatch_error
from shallower.models.heads import Head
from shallower.models.sentence_embedding import SentenceEmbedding
from shallower.models.weight_files import BUFFERS

logger = logging.getLogger(__name__)

# transformers' default when config.json has no labels.
DEFAULT_LABELS = ("LABEL_0", "LABEL_1")


class PackedClassifier(Classifier):
    """An encoder with the configuration and the names of the checkpoint that it came from."""

    module: Encoder

    def __init__(
        self, module: Encoder, config: Mapping[str, Any], others: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """`others` are tensors of the checkpoint that nothing reads, but that belong to it: a pooler without a head."""
        self.module = module
        self.config = dict(config)
        family, model_class = ENCODERS[config["model_type"]], model_class_of(config)
        # A model without a head is saved without the prefix that distinguishes it from its head.
        self._prefix = f"{family.prefix}." if model_class == NO_HEAD else ""
        self._names = family.modules(len(module.layers), model_class)
        self._others: Mapping[str, torch.Tensor] = others or {}
        self._all_embeddings: torch.Tensor | None = None  # the full matrix, while some rows of it are trained
        self._used_ids: np.ndarray | None = None  # token ids of these rows, ascending
        self._rows: np.ndarray | None = None  # row of each token id

    def begin_training(self, tokens: TokenSet, device: str, train_used_embeddings_only: bool) -> None:
        if train_used_embeddings_only:
            self._used_ids = np.unique(tokens.input_ids).astype(np.int64)
            self._all_embeddings = self.module.word_embeddings.weight.detach()
            self._rows = np.zeros(len(self._all_embeddings), dtype=np.int64)
            self._rows[self._used_ids] = np.arange(len(self._used_ids))
            self.module.word_embeddings.weight = nn.Parameter(self._all_embeddings[self._used_ids])
        self.module.train().to(device)

    def end_training(self) -> None:
        self.module.to("cpu")
        if self._all_embeddings is not None:
            self._all_embeddings[self._used_ids] = self.module.word_embeddings.weight.detach()
            self.module.word_embeddings.weight = nn.Parameter(self._all_embeddings)
            self._all_embeddings = self._used_ids = self._rows = None

    def compute(self, tokens: TokenSet, examples: np.ndarray, dropout: Dropout, with_vectors: bool = False) -> Outputs:
        device = self.module.word_embeddings.weight.device.type
        filled_up = device == "cuda" and torch.is_autocast_enabled("cuda")
        batch = pack(tokens, examples, device, self._rows, self.module.config.padding_id, filled_up)
        logits, vectors = self.module(batch, dropout)
        return Outputs(logits, batch.labels, vectors if with_vectors else None)

    def output_bias(self) -> nn.Parameter:
        return self.module.head_output.bias

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return list(self.module.layers[layer].parameters())

    def write(self, folder: Path) -> None:
        tensors = {name.removeprefix(self._prefix): tensor for name, tensor in self._others.items()}
        for own, parameter in self.module.named_parameters():
            module, _, kind = own.rpartition(".")
            names = self._names[module]
            for name, tensor in zip(names, parameter.detach().cpu().chunk(len(names)), strict=True):
                tensors[f"{name.removeprefix(self._prefix)}.{kind}"] = tensor.contiguous()
        with atomic_write(folder / WEIGHTS) as part:
            save_file(tensors, part, metadata={"format": "pt"})
        write_json(folder / CONFIG, self.config)


def load_packed_for_training(
    model_dir: str | Path, model_class: str, task_config: Mapping[str, Any], seed: int, head: Head
) -> PackedClassifier:
    """`shallower.engine.classifiers.loading.load_for_training` for a model that the encoder computes."""
    config = read_json(Path(model_dir) / CONFIG)
    # The dtype has a new key; the number of labels follows from their names.
    config = {key: value for key, value in config.items() if key not in ("torch_dtype", "_name_or_path", "num_labels")}
    architecture = ENCODERS[config["model_type"]].heads[model_class].architecture
    config |= {"architectures": [architecture], "dtype": "float32", **task_config}
    module, missing, left_over = _build(model_dir, config, model_class)
    if head.rows is None:
        output_layer = family_of(config).output_layer_of(model_class)
        missing |= {f"head_output.{kind}": f"{output_layer}.{kind}" for kind in ("weight", "bias")}
    elif head.is_reordered:
        for own in ("head_output.weight", "head_output.bias"):
            _set(module, own, module.get_parameter(own).detach()[list(head.rows)])
    generator = torch.Generator().manual_seed(seed)
    new = [own for own in missing if own.startswith("head_")]
    for own in new:
        parameter = module.get_parameter(own)
        drawn = torch.zeros(parameter.shape)
        if drawn.ndim > 1:
            drawn.normal_(0, module.config.initializer_range, generator=generator)
        _set(module, own, drawn)
    faults = [f"{name} is missing" for own, name in missing.items() if own not in new]
    layer_of = family_of(config).layer_of
    faults += [f"{name} is left over" for name in left_over if layer_of(name) is not None]
    if faults:
        raise weights_mismatch_error(model_dir, faults)
    if new:
        logger.info("new weights, drawn from seed %d: %s", seed, ", ".join(missing[own] for own in new))
    return PackedClassifier(module, config)


def load_packed_for_prediction(model_dir: str | Path) -> PackedClassifier:
    """`shallower.engine.classifiers.loading.load_for_prediction` for a model that the encoder computes."""
    config = read_json(Path(model_dir) / CONFIG)
    module, missing, left_over = _build(model_dir, config, model_class_of(config))
    faults = [f"{name} is missing" for name in missing.values()]
    faults += [f"{name} is left over" for name in left_over]
    if faults:
        raise weights_mismatch_error(model_dir, faults)
    return PackedClassifier(module, config)


def load_packed_embedding(model_dir: str | Path) -> PackedClassifier:
    """A sentence embedding that the encoder computes, for training or prediction; the checkpoint has all its weights.

    Raises UserError when any is missing, left over or of another shape than the configuration says.
    """
    config = read_json(Path(model_dir) / CONFIG)
    names = ENCODERS[config["model_type"]]
    config = {key: value for key, value in config.items() if key not in ("torch_dtype", "_name_or_path")}
    config |= {"architectures": [names.heads[NO_HEAD].architecture], "dtype": "float32"}
    module, missing, left_over = _build(model_dir, config, NO_HEAD)
    family = family_of(config)
    # Heads of a pre-training are of no use; the pooler is part of what transformers loads, though nothing reads it.
    kept = {name for name in left_over if family.in_pooler(name.removeprefix(f"{names.prefix}."))}
    faults = [f"{name} is missing" for name in missing.values()]
    faults += [f"{name} is left over" for name in left_over if family.layer_of(name) is not None]
    if faults:
        raise weights_mismatch_error(model_dir, faults)
    others = {name: tensor.float() for name, tensor in load_file(Path(model_dir) / WEIGHTS).items() if name in kept}
    return PackedClassifier(module, config, others)


def load_packed_encoder(model_dir: str | Path) -> Encoder:
    """A model that the encoder computes, with the weights of a checkpoint below its head, and none in the head.

    Raises UserError when any of it is missing.
    """
    module, missing, _ = _build(model_dir, read_json(Path(model_dir) / CONFIG), SEQUENCE_CLASSIFICATION)
    if faults := [f"{name} is missing" for own, name in missing.items() if not own.startswith("head_")]:
        raise weights_mismatch_error(model_dir, faults)
    return module


def _build(
    model_dir: str | Path, config: Mapping[str, Any], model_class: str
) -> tuple[Encoder, dict[str, str], list[str]]:
    """An encoder with a checkpoint's weights in fp32; what is missing or of another shape, and what is left over.

    Missing ones are given by the encoder's own name, with the checkpoint's.
    """
    try:
        checkpoint = load_file(Path(model_dir) / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise corrupt_file_error(Path(model_dir) / WEIGHTS, f"not a valid safetensors file ({error})") from None
    names = ENCODERS[config["model_type"]]
    module_names = names.modules(names.settings(config).num_layers, model_class)
    num_labels = len(config.get("id2label") or DEFAULT_LABELS)
    answers_tokens = model_class == TOKEN_CLASSIFICATION
    module = Encoder(names.settings(config), num_labels, answers_tokens, SentenceEmbedding.of(config))
    missing = {}
    for own, parameter in list(module.named_parameters()):
        module_name, _, kind = own.rpartition(".")
        keys = [_find(checkpoint, name, kind, names.prefix) for name in module_names[module_name]]
        found = [key for key in keys if key]
        parts = [checkpoint[key].float() for key in found]
        if len(parts) == len(keys) and (value := _joined(parts, parameter.shape)) is not None:
            _set(module, own, value)
            for key in found:
                del checkpoint[key]
        else:
            lost = next((index for index, key in enumerate(keys) if key is None), 0)
            missing[own] = f"{module_names[module_name][lost]}.{kind}"
    return module, missing, [name for name in checkpoint if not name.endswith(BUFFERS)]


def _find(checkpoint: Mapping[str, torch.Tensor], name: str, kind: str, prefix: str) -> str | None:
    """The key of a tensor, with or without the base model's prefix, by its new or its old name."""
    return next((key for key in key_variants(name, kind, prefix) if key in checkpoint), None)


def _joined(parts: Sequence[torch.Tensor], shape: torch.Size) -> torch.Tensor | None:
    """Parts one after another, as one tensor of a shape; None when they do not fit."""
    size = shape[0] // len(parts)
    if any(part.shape != (size, *shape[1:]) for part in parts):
        return None
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(list(parts))


def _set(module: nn.Module, own: str, value: torch.Tensor) -> None:
    owner, _, kind = own.rpartition(".")
    setattr(module.get_submodule(owner), kind, nn.Parameter(value))
