"""A model's layers one at a time: hidden states of a set of texts in, those after one more layer out.

One interface for both implementations of a model, the packed encoder and transformers. What it gives after some layers
is what a model gives from which the others were dropped (`shallower.surgery.drop_layers`): tests compare both.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from shallower.analysis.hidden_states import TOKEN_BUDGET, load_encoder
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.model_classes import SEQUENCE_CLASSIFICATION, model_class_of
from shallower.engine.batches import Batch, cls_positions, evaluation_batches, make_batch
from shallower.engine.classifiers.loading import is_packed
from shallower.engine.classifiers.packed_batch import Packed, pack
from shallower.engine.classifiers.packed_classifier import load_packed_encoder, load_packed_for_prediction
from shallower.engine.classifiers.packed_encoder import Encoder
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import mean_vectors, model_inputs, read_rows
from shallower.engine.devices import Compute, to_device
from shallower.engine.dropout import Dropout
from shallower.engine.tokens import TokenSet
from shallower.models.families import FAMILIES, family_of
from shallower.models.folder import CONFIG
from shallower.models.pooling import embed
from shallower.models.sentence_embedding import SentenceEmbedding
from shallower.models.stack import Stack

NO_DROPOUT = Dropout()

# Hidden states of all texts, a tensor for each batch.
States = list[torch.Tensor]


# Names of vectors: the [CLS] token's, the mean of all tokens' and, of texts with a label for each word, the word's.
CLS, MEAN, WORD = "cls", "mean", "word"
# What a head makes of those that it reads, next to them.
LOGITS = "logits"


@dataclass(frozen=True)
class Outputs:
    """What a model gives for N texts, or for the words of all texts, in the order of the token set.

    Attributes:
        vectors: float32 [N, hidden] after the last layer, by name: of texts those of "cls" and "mean", of which heads
            read one, of words those of "word".
        logits: float32 [N, outputs]; None where the model has no head, the answered vectors of a sentence embedding.
    """

    vectors: Mapping[str, NDArray[np.float32]]
    logits: NDArray[np.float32] | None


class LayerRunner(ABC):
    """A model of which layers are run one at a time, over all texts of a token set.

    Attributes:
        stack: the layers of the full model.
        shares_layers: whether all layers are one set of weights.
        read: the name of the vectors that the model's head reads, as in `Outputs`.
    """

    read: str
    stack: Stack
    shares_layers: bool

    @property
    def num_layers(self) -> int:
        """Number of layers of the full model."""
        return self.stack.num_layers

    def __init__(self, config: Mapping[str, Any], tokens: TokenSet, compute: Compute) -> None:
        """Raises UserError when there are no texts."""
        if not len(tokens.labels):
            raise UserError("there are no calibration examples; check the task's data")
        family = family_of(config)
        of_text = MEAN if family.reads_mean(config) else CLS
        self.read = of_text if tokens.places is None else WORD
        self.stack, self.shares_layers = family.stack(config), family.shares_layers
        self._tokens, self._compute = tokens, compute
        self._members = evaluation_batches(np.diff(tokens.offsets), TOKEN_BUDGET[compute.device])
        self._order = np.argsort(np.concatenate([tokens.rows(members) for members in self._members]))

    def run(self, layer: int, states: States | None) -> tuple[States, Outputs]:
        """States after a layer, and what a model gives that ends there.

        `states` are those after the layer below it; None stands for the embeddings. States are not to be changed.
        """
        after, found = [], []
        with torch.inference_mode(), self._compute.autocast():
            for number in range(len(self._members)):
                state, outputs = self._run_batch(layer, None if states is None else states[number], number)
                after.append(state)
                found.append({name: output.float() for name, output in outputs.items()})
        joined = {name: self._in_order([outputs[name] for outputs in found]) for name in found[0]}
        logits = joined.pop(LOGITS, None)
        return after, Outputs(joined, logits)

    @abstractmethod
    def _run_batch(
        self, layer: int, states: torch.Tensor | None, number: int
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """States after a layer for one batch; vectors by their names and, with a head, `LOGITS`."""

    def _in_order(self, parts: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        joined: NDArray[np.float32] = torch.cat(list(parts)).cpu().numpy()[self._order]
        return joined


def load_layers(model_dir: str | Path, tokens: TokenSet, compute: Compute, with_head: bool) -> LayerRunner:
    """The layers of a checkpoint, ready to run over the texts of a token set, with its head if it is a fine-tuned one.

    Raises UserError when weights are missing, and when there are no texts.
    """
    config = read_json(Path(model_dir) / CONFIG)
    has_vectors = SentenceEmbedding.of(config) is not None  # and no head, whatever it was trained on
    with_head = with_head and not has_vectors
    if is_packed(config, tokens.padding_side, model_class_of(config) if with_head else SEQUENCE_CLASSIFICATION):
        encoder = load_packed_for_prediction(model_dir).module if with_head else load_packed_encoder(model_dir)
        return PackedLayers(encoder, with_head or has_vectors, config, tokens, compute)
    model = load_checked(model_dir) if with_head else load_encoder(model_dir)
    return TransformersLayers(model, config, tokens, compute)


class PackedLayers(LayerRunner):
    """Layers of the packed encoder. States are [T, hidden], of the tokens of a batch one after another."""

    def __init__(
        self, encoder: Encoder, with_head: bool, config: Mapping[str, Any], tokens: TokenSet, compute: Compute
    ) -> None:
        super().__init__(config, tokens, compute)
        self._encoder, self._with_head = encoder.eval().to(compute.device), with_head
        padding_id = encoder.config.padding_id
        self._batches = [pack(tokens, members, compute.device, padding_id=padding_id) for members in self._members]

    def _run_batch(
        self, layer: int, states: torch.Tensor | None, number: int
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        encoder, batch = self._encoder, self._batches[number]
        before = encoder.embed(batch, NO_DROPOUT) if states is None else states
        after = encoder.apply_layer(encoder.layers[layer], before, batch, NO_DROPOUT)
        if batch.read is None:
            outputs = {CLS: after.index_select(0, batch.starts), MEAN: _packed_means(after, batch)}
        else:
            outputs = {WORD: after.index_select(0, batch.read)}
        return after, outputs | ({LOGITS: encoder.answer(after, batch)} if self._with_head else {})


def _packed_means(states: torch.Tensor, batch: Packed) -> torch.Tensor:
    """Mean [B, hidden] of the states [T, hidden] of each example's tokens."""
    ends = torch.cat([batch.starts[1:], batch.starts.new_tensor([len(states)])])
    lengths = ends - batch.starts
    owner = torch.repeat_interleave(torch.arange(batch.size, device=states.device), lengths)
    sums = states.new_zeros(batch.size, states.shape[-1], dtype=torch.float32).index_add_(0, owner, states.float())
    return sums / lengths[:, None]


class TransformersLayers(LayerRunner):
    """Layers of a model of transformers, which itself computes what comes before and after them.

    The model is left with a single layer at a time, whose input is replaced by the states at hand. Masks, positions and
    the head are thus the model's own, whatever its family. States are what the family's layers take and give.
    """

    def __init__(self, model: PreTrainedModel, config: Mapping[str, Any], tokens: TokenSet, compute: Compute) -> None:
        super().__init__(config, tokens, compute)
        self._model = model.eval()
        self._embedding = SentenceEmbedding.of(config)
        self._model.to(compute.device)
        self._batches = [make_batch(tokens, members) for members in self._members]
        self._parent, self._name, layers = _layer_list(model)
        self._layers = [layers[0]] * self.num_layers if self.shares_layers else list(layers)
        self._after_first = _AfterFirstLayer(model)
        # For families that count layers by their configuration.
        model.config.num_hidden_layers = 1

    def _run_batch(
        self, layer: int, states: torch.Tensor | None, number: int
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        module, batch = self._layers[layer], self._batches[number]
        setattr(self._parent, self._name, nn.ModuleList([module]))
        if self.stack.kinds:
            self._model.config.layer_types = [self.stack.kinds[layer]]
        self._after_first.switch(on=states is None)
        after: list[torch.Tensor] = []
        final: list[torch.Tensor] = []

        def replace_input(_: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            if states is None:
                return None
            return ((states, *args[1:]), keywords) if args else ((), {**keywords, next(iter(keywords)): states})

        hooks = [
            module.register_forward_pre_hook(replace_input, with_kwargs=True),
            module.register_forward_hook(lambda _, inputs, output: after.append(_first(output))),
            self._model.base_model.register_forward_hook(lambda _, inputs, output: final.append(output[0])),
        ]
        try:
            output = self._model(**model_inputs(self._model, batch, self._compute.device))
        finally:
            for hook in hooks:
                hook.remove()
        logits = read_rows(output.logits, batch) if "logits" in output else None
        if self._embedding is not None:
            shown = (
                None if batch.attention_mask is None else to_device(batch.attention_mask, self._compute.device).bool()
            )
            logits = embed(final[-1], shown, self._embedding.pooling, self._embedding.normalize)
        outputs = self._vectors(final[-1], batch)
        state = final[-1] if states is None and self._after_first else after[-1]
        return state, outputs | ({} if logits is None else {LOGITS: logits})

    def _vectors(self, states: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """The vectors of the texts [B, hidden], or of their words [R, hidden], of the last states [B, L, hidden]."""
        if batch.places is not None:
            return {WORD: read_rows(states, batch)}
        positions = to_device(cls_positions(batch, self._tokens), self._compute.device)
        rows = torch.arange(len(positions), device=states.device)
        return {CLS: states[rows, positions], MEAN: mean_vectors(states, batch)}


class _AfterFirstLayer:
    """What a model applies once, behind the first of its layers: the convolution of some models of DeBERTa's.

    It is true where there is such a module. It belongs to the first layer that is run, whichever that is.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        place, _, self._name = FAMILIES[model.config.model_type].after_first_layer.rpartition(".")
        self._parent: nn.Module = model.base_model.get_submodule(place)
        self._module = getattr(self._parent, self._name) if self._name else None

    def __bool__(self) -> bool:
        return self._module is not None

    def switch(self, on: bool) -> None:
        """Let the model apply it, or not."""
        if self:
            setattr(self._parent, self._name, self._module if on else None)


def _first(output: Any) -> torch.Tensor:
    """The hidden states among what a layer gives."""
    states: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return states


def _layer_list(model: PreTrainedModel) -> tuple[nn.Module, str, nn.ModuleList]:
    """The list of a model's layers, its name, and the module that holds it."""
    family = FAMILIES[model.config.model_type]
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and family.is_layer_list(name):
            parent, _, own = name.rpartition(".")
            return model.get_submodule(parent), own, module
    raise UserError(f"the layers of this {family.name} model were not found; its class is {type(model).__name__}")
