"""Sequence classifiers for training and prediction: one interface for both implementations."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from shallower.core.errors import UserError
from shallower.engine.dropout import Dropout
from shallower.engine.tokens import TokenSet
from shallower.models.families import family_of
from shallower.models.sentence_embedding import SentenceEmbedding, complete_folder
from shallower.task_kinds.base import TaskKind


@dataclass(frozen=True)
class Outputs:
    """What a classifier computes for B examples, on its device.

    Attributes:
        logits: [B, labels], or of labels of words [R, labels]: a row for each word of the examples.
        labels: in the same rows, [B, ...].
        vectors: in the same rows [B, hidden], where they were asked for: of the [CLS] token after the last layer, the
            one place that the head reads (`cls_place` of the family), or of each word's first token, before the head's
            own dropout, pooler or dense layer.
    """

    logits: torch.Tensor
    labels: torch.Tensor
    vectors: torch.Tensor | None = None


class Classifier(ABC):
    """A model with a classification head in fp32 (for regression, of one output), and how to compute it.

    Attributes:
        module: holds the parameters; their names depend on the implementation.
        config: content of its config.json.
        kind: the kind of task that it is trained on; a classifier that only predicts has none.
        head: what became of the checkpoint's own output layer, in words; None when it only predicts.
        has_new_output: whether its output layer is a new one, which has learnt nothing.
    """

    module: nn.Module
    config: dict[str, Any]
    kind: TaskKind
    head: str | None = None
    has_new_output: bool = False

    @abstractmethod
    def begin_training(self, tokens: TokenSet, device: str, train_used_embeddings_only: bool) -> None:
        """Prepare for training steps on these tokens.

        With `train_used_embeddings_only` the embeddings of tokens that never occur are not optimized, which is right
        only where the optimizer would not change them.
        """

    @abstractmethod
    def end_training(self) -> None:
        """Undo what `begin_training` prepared, keep what was learnt, and move the model to the CPU."""

    @abstractmethod
    def compute(self, tokens: TokenSet, examples: np.ndarray, dropout: Dropout, with_vectors: bool = False) -> Outputs:
        """Logits and labels of examples (positions in the token set) and, if asked for, their [CLS] tokens' vectors."""

    def forward(self, tokens: TokenSet, examples: np.ndarray, dropout: Dropout) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [B, labels] and labels [B, ...] of examples (positions in the token set), on the model's device."""
        outputs = self.compute(tokens, examples, dropout)
        return outputs.logits, outputs.labels

    @abstractmethod
    def output_bias(self) -> nn.Parameter | None:
        """The bias [labels] of the output layer; None where it has none, as those of decoders."""

    def start_output(self, labels: np.ndarray) -> None:
        """Start the bias of a new output layer by the labels [n, ...] that it is to learn, where its kind has a way."""
        start = self.kind.output_bias(labels) if self.has_new_output else None
        if start is None or (bias := self.output_bias()) is None:
            return
        with torch.no_grad():
            bias.copy_(torch.from_numpy(start))
        self.head = f"{self.head}; its bias starts as what fits the training labels best whatever the text"

    @abstractmethod
    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        """The parameters of a layer (0-based from the bottom)."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write config.json and all weights, as one model.safetensors, into an existing folder."""

    def begin_prediction(self, device: str) -> None:
        """Prepare to compute logits without gradients."""
        self.module.eval().to(device)

    def freeze(self, layers: Sequence[int]) -> None:
        """Exclude layers (0-based from the bottom) from the training: their weights do not change.

        Their dropout stays on (as in the authors' code; preprint, caption of Table 5). Raises UserError for layers
        that the model does not have, and when all its layers share one set of weights.
        """
        family = family_of(self.config)
        num_layers = family.num_layers(self.config)
        if outside := sorted(set(layers) - set(range(num_layers))):
            raise UserError(f"layers {outside} to freeze are not in the model, which has {num_layers}")
        if layers and family.shares_layers:
            raise UserError(
                f"the layers of {family.name} are one set of weights, so that some cannot be frozen and others "
                "trained; leave this model out of the origin finetuned-frozen"
            )
        for layer in layers:
            for parameter in self.layer_parameters(layer):
                parameter.requires_grad_(False)

    def set_max_length(self, max_length: int) -> None:
        """Of a sentence embedding: the tokens that it is trained and scored with, to which its user's texts are cut."""
        if (embedding := SentenceEmbedding.of(self.config)) is not None:
            self.config = replace(embedding, max_length=max_length).within(self.config)

    def count_parameters(self) -> int:
        """The number of parameters, shared ones counted once."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    def save(self, tokenizer_dir: str | Path, output_dir: str | Path) -> None:
        """Write model.safetensors and config.json, and add the tokenizer's files and, if any, those of pooling."""
        output_dir = Path(output_dir)
        output_dir.mkdir(parents=True, exist_ok=True)
        self.write(output_dir)
        complete_folder(tokenizer_dir, output_dir)
