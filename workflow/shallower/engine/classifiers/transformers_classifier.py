"""Classifiers computed by transformers: architectures that the packed encoder does not support."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from shallower.core.files import naming_errors, read_json
from shallower.core.model_classes import NO_HEAD, model_class_of
from shallower.engine.batches import Batch, cls_positions, make_batch
from shallower.engine.classifiers.base import Classifier, Outputs
from shallower.engine.classifiers.compact_embedding import compact_embedding, restore_embedding
from shallower.engine.classifiers.transformers_models import load_pretrained, mean_vectors, model_inputs, read_rows
from shallower.engine.classifiers.xlnet_last_token import compute_cls_token_only
from shallower.engine.devices import to_device
from shallower.engine.dropout import Dropout, DropoutModule, attention_rates, replace_dropout, restore_dropout
from shallower.engine.tokens import TokenSet
from shallower.models.families import FAMILIES
from shallower.models.folder import CONFIG, weights_mismatch_error
from shallower.models.heads import Head
from shallower.models.pooling import embed
from shallower.models.sentence_embedding import ENTRY, SentenceEmbedding

logger = logging.getLogger(__name__)


class TransformersClassifier(Classifier):
    """A model of transformers, trained with less work where the result is the same."""

    module: PreTrainedModel

    def __init__(self, module: PreTrainedModel) -> None:
        self.module = module
        self.config = module.config.to_dict()
        self.embedding = SentenceEmbedding.of(self.config)
        self._dropouts: list[DropoutModule] = []
        self._attention_rates: list[tuple[Any, float]] = []
        self._hooks: list[RemovableHandle] = []

    def begin_training(self, tokens: TokenSet, device: str, train_used_embeddings_only: bool) -> None:
        if train_used_embeddings_only:
            compact_embedding(self.module, np.union1d(tokens.input_ids, tokens.pad_token_id).astype(np.int64))
        self._dropouts = replace_dropout(self.module)
        self._attention_rates = attention_rates(self.module)
        if self.embedding is None and tokens.places is None:
            self._hooks = compute_cls_token_only(self.module, tokens.padding_side)
        self.module.train().to(device)

    def end_training(self) -> None:
        for hook in self._hooks:
            hook.remove()
        restore_dropout(self.module)
        for module, rate in self._attention_rates:
            module.attention_dropout = rate
        self.module.to("cpu")  # type: ignore[arg-type]  # transformers' wrapper of to() loses its types
        restore_embedding(self.module)

    def compute(self, tokens: TokenSet, examples: np.ndarray, dropout: Dropout, with_vectors: bool = False) -> Outputs:
        for module in self._dropouts:
            module.dropout = dropout
        for attention, rate in self._attention_rates:
            attention.attention_dropout = dropout.rate(rate)
        batch = make_batch(tokens, examples)
        device = self.module.device.type
        inputs, labels = model_inputs(self.module, batch, device), to_device(batch.labels, device)
        if self.embedding is not None:
            mask = inputs["attention_mask"].bool() if "attention_mask" in inputs else None
            states = self.module(**inputs).last_hidden_state
            vectors = embed(states, mask, self.embedding.pooling, self.embedding.normalize)
            return Outputs(vectors, labels, vectors if with_vectors else None)
        if not with_vectors:
            return Outputs(read_rows(self.module(**inputs).logits, batch), labels)
        outputs = self.module(**inputs, output_hidden_states=True)
        if batch.places is not None:
            states = outputs.hidden_states[-1]
            return Outputs(read_rows(outputs.logits, batch), labels, read_rows(states, batch))
        return Outputs(outputs.logits, labels, self._vectors_read(outputs.hidden_states[-1], batch, tokens))

    def _vectors_read(self, states: torch.Tensor, batch: Batch, tokens: TokenSet) -> torch.Tensor:
        """The vectors [B, hidden] that the head reads, of the last states [B, L, hidden]."""
        family = FAMILIES[self.module.config.model_type]
        place = family.cls_place
        if family.reads_mean(self.config):
            return mean_vectors(states, batch)
        if place is not None:
            # Of the last layer only the [CLS] token may be there (`compute_cls_token_only`): first and last are the
            # same.
            return states[:, place]
        positions = to_device(cls_positions(batch, tokens), states.device.type)
        return states[torch.arange(len(positions), device=states.device), positions]

    def output_bias(self) -> nn.Parameter | None:
        output_layer = FAMILIES[self.module.config.model_type].output_layer_of(model_class_of(self.config))
        return _linear(self.module, output_layer).bias

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        family = FAMILIES[self.module.config.model_type]
        return [parameter for name, parameter in self.module.named_parameters() if family.layer_of(name) == layer]

    def write(self, folder: Path) -> None:
        if ENTRY in self.config:
            self.module.config.update({ENTRY: self.config[ENTRY]})
        with naming_errors(folder):
            self.module.save_pretrained(folder, max_shard_size="1000GB")


def load_transformers_for_training(
    model_dir: str | Path, model_class: str, task_config: Mapping[str, Any], seed: int, head: Head
) -> TransformersClassifier:
    """`shallower.engine.classifiers.loading.load_for_training` for a model that transformers computes."""
    torch.manual_seed(seed)
    model, report = load_pretrained(
        model_class,
        model_dir,
        num_labels=len(task_config["id2label"]),
        **task_config,
        ignore_mismatched_sizes=True,
    )
    new = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    faults = [
        *(f"{name} is missing" for name in sorted(new) if not _is_head(name, model)),
        *(f"{name} is left over" for name in sorted(report["unexpected_keys"]) if _is_layer(name, model)),
    ]
    if faults:
        raise weights_mismatch_error(model_dir, faults)
    output_layer = FAMILIES[model.config.model_type].output_layer_of(model_class)
    weights = {f"{output_layer}.{name}" for name, _ in _linear(model, output_layer).named_parameters()}
    if head.rows is None and not weights <= new:
        _draw(model, output_layer, seed)
        new |= weights
    elif head.is_reordered:
        _reorder(model, output_layer, head)
    if new:
        logger.info("new weights, drawn from seed %d: %s", seed, ", ".join(sorted(new)))
    return TransformersClassifier(model)


def load_transformers_embedding(model_dir: str | Path) -> TransformersClassifier:
    """A sentence embedding that transformers computes, for training or prediction."""
    return TransformersClassifier(load_checked(model_dir, NO_HEAD).train())


def _draw(model: PreTrainedModel, name: str, seed: int) -> None:
    """Initialise a linear layer at random, as transformers does in all families."""
    layer = _linear(model, name)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.weight.normal_(0, model.config.initializer_range, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()


def _reorder(model: PreTrainedModel, name: str, head: Head) -> None:
    """Put the outputs of a linear layer into the task's order."""
    with torch.no_grad():
        for parameter in _linear(model, name).parameters():
            parameter.copy_(parameter[list(head.rows or ())].clone())


def _linear(model: PreTrainedModel, name: str) -> nn.Linear:
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    return layer


def load_transformers_for_prediction(model_dir: str | Path) -> TransformersClassifier:
    """`shallower.engine.classifiers.loading.load_for_prediction` for a model that transformers computes."""
    return TransformersClassifier(load_checked(model_dir))


def load_checked(model_dir: str | Path, model_class: str | None = None, **settings: Any) -> PreTrainedModel:
    """A fine-tuned model as any user would load it, in fp32 and ready to predict.

    `model_class` is the one that its config.json names, if none is given; `settings` are further ones of
    from_pretrained. A pooler that a model without a head lacks is not missed.

    Raises UserError when a tensor is missing, left over or of another shape than the configuration says.
    """
    model_class = model_class or model_class_of(read_json(Path(model_dir) / CONFIG))
    model, report = load_pretrained(model_class, model_dir, **settings)
    has_head = model_class != NO_HEAD
    faults = [
        *(f"{name} is missing" for name in sorted(report["missing_keys"]) if has_head or not _is_pooler(name, model)),
        *(f"{name} is left over" for name in sorted(report["unexpected_keys"]) if has_head or _is_layer(name, model)),
        *(f"{key} has the wrong shape" for key, *_ in report["mismatched_keys"]),
    ]
    if faults:
        raise weights_mismatch_error(model_dir, faults)
    return model.eval()


def _is_pooler(name: str, model: PreTrainedModel) -> bool:
    """Whether a tensor of a model without a head belongs to its pooler, which nothing reads."""
    return FAMILIES[model.config.model_type].in_pooler(name)


def _is_head(name: str, model: PreTrainedModel) -> bool:
    """Whether a tensor belongs to the head, of which the pooler is a part."""
    prefix = f"{model.base_model_prefix}."
    family = FAMILIES[model.config.model_type]
    return not name.startswith(prefix) or family.in_pooler(name.removeprefix(prefix))


def _is_layer(name: str, model: PreTrainedModel) -> bool:
    """Whether a tensor of a checkpoint belongs to a layer; left over heads of pre-training are expected."""
    return FAMILIES[model.config.model_type].layer_of(name) is not None
