"""Distillation: a shallower model learns the answers of its teacher, the full model of the same seed.

The teacher's answers are computed once, without dropout, and read by all models that learn from it. It also answers
texts without labels, from which a model learns these answers alone. Source: Hinton, Vinyals and Dean, "Distilling the
knowledge in a neural network" (2015; arXiv 1503.02531).

Where a study asks for it, a model also learns the vectors that the teacher's head reads: those of the [CLS] token after
the last layer, before the head's dropout, pooler or dense layer, at the place that the family's entry names. They have
the teacher's size in every shallower model, so that nothing has to be projected, as TinyBERT does. The loss is
1 - cosine, as in DistilBERT (Sanh et al. 2019; arXiv 1910.01108). The squared distance of normalised vectors, as in
"Patient knowledge distillation" (Sun et al. 2019; arXiv 1908.09355), is twice that. The squared distance of the vectors
themselves, as in TinyBERT (Jiao et al. 2020; arXiv 1909.10351), grows with their length, which differs between models;
a cosine does not, so that a weight means the same for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch.nn import functional

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import write_bytes
from shallower.engine.tokens import TokenSet
from shallower.task_kinds.base import TaskKind


@dataclass(frozen=True)
class Answers:
    """A teacher's answers to N examples.

    Attributes:
        logits: float32 [N, outputs].
        vectors: those that the teacher's head reads, at length 1, float16 [N, hidden]; None where nobody asks for them.
    """

    logits: NDArray[np.float32]
    vectors: NDArray[np.float16] | None = None


@dataclass(frozen=True)
class Distillation:
    """What a training learns from a teacher.

    Attributes:
        weight: of the teacher's answers in the loss, above 0 and at most 1; the labels have the rest.
        temperature: that the logits of both are divided by, for classes.
        logits: the teacher's, float32 [N, outputs], in the order of the tokens that are trained on.
        labelled: how many of the N examples have a label, the first ones; all where it is None.
        vector_weight: of the loss by the teacher's vectors, which is added to the others; 0 leaves it out.
        vectors: the teacher's, float16 [N, hidden], where their weight is above 0.
    """

    weight: float
    temperature: float
    logits: NDArray[np.float32]
    labelled: int | None = None
    vector_weight: float = 0.0
    vectors: NDArray[np.float16] | None = None

    @classmethod
    def of(
        cls, settings: Mapping[str, Any], answers: str | Path, tokens: TokenSet, labelled: int | None = None
    ) -> "Distillation":
        """From settings (weight, temperature, [vectors]) and a file of a teacher's answers to the examples of tokens.

        Raises UserError as `read_answers` does, and when the file lacks vectors that the settings ask for.
        """
        found, vector_weight = read_answers(answers, tokens), settings.get("vectors", 0)
        if vector_weight and found.vectors is None:
            raise UserError(f"{answers}: the answers have no vectors, which this run learns; delete it and run again")
        vectors = found.vectors if vector_weight else None
        return cls(settings["weight"], settings["temperature"], found.logits, labelled, vector_weight, vectors)

    @property
    def has_vectors(self) -> bool:
        """Whether the teacher's vectors are learnt, too."""
        return self.vectors is not None

    def loss(
        self,
        kind: TaskKind,
        logits: torch.Tensor,
        labels: torch.Tensor,
        examples: NDArray[np.int64],
        vectors: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean loss of logits [B, outputs] (fp32) of examples (positions in the tokens) with labels [B].

        It is `weight` times the mean loss by the teacher's answers, plus (1 - `weight`) times the sum of the losses by
        labels, divided by B as well: an example without a label has no such loss, and what stands in place of its
        label is not looked at. Over an epoch each answer and each label thus counts the same, whatever else is in its
        batch; divided by their own number, the labels of a batch would count more the fewer they are.

        With the teacher's vectors, `vector_weight` times the `vector_loss` of `vectors` [B, hidden] is added. Raises
        UserError for the answers of a teacher with another number of outputs.
        """
        loss = self._loss_of_logits(kind, logits, labels, examples)
        if self.vectors is None:
            return loss
        if vectors is None:
            raise ValueError("the teacher's vectors are to be learnt, and the model's are not given")
        teacher = torch.from_numpy(self.vectors[examples]).to(vectors.device)
        return loss + self.vector_weight * vector_loss(vectors, teacher)

    def _loss_of_logits(
        self, kind: TaskKind, logits: torch.Tensor, labels: torch.Tensor, examples: NDArray[np.int64]
    ) -> torch.Tensor:
        teacher = torch.from_numpy(self.logits[examples]).to(logits.device)
        if teacher.shape != logits.shape:  # which a squared error would not notice
            outputs = (values.shape[-1] for values in (teacher, logits))
            raise UserError("the teacher has {} outputs, the model {}: both must be of the same task".format(*outputs))
        distilled = self.weight * kind.distillation_loss(logits, teacher, self.temperature)
        with_label = np.flatnonzero(examples < (len(self.logits) if self.labelled is None else self.labelled))
        if self.weight == 1 or not len(with_label):
            return distilled
        if len(with_label) < len(examples):
            places = torch.from_numpy(with_label).to(logits.device)
            logits, labels = logits[places], labels[places]
        share = (1 - self.weight) * len(with_label) / len(examples)
        return distilled + share * kind.loss(logits, labels)


def vector_loss(vectors: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean of 1 - cosine of vectors [B, hidden] and a teacher's, in fp32: from 0, for the same directions, to 2."""
    return (1 - functional.cosine_similarity(vectors.float(), teacher.float(), dim=-1)).mean()


def write_answers(
    path: str | Path, tokens: TokenSet, logits: NDArray[np.float32], vectors: NDArray[np.float32] | None = None
) -> None:
    """Write a teacher's logits [N, outputs] for the examples of some tokens, with their ids and, if given, vectors.

    An example takes 8 bytes and 4 for each logit, with vectors [N, hidden] also 2 for each of their numbers (768 bytes
    with a hidden size of 384). Only directions matter, so vectors are brought to length 1: float16 then cannot
    overflow, and its rounding turns a vector by at most 0.03 degrees.
    """
    arrays: dict[str, NDArray[Any]] = {"ids": tokens.ids, "logits": np.ascontiguousarray(logits, np.float32)}
    if vectors is not None:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        arrays["vectors"] = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float16)
    write_bytes(path, save(arrays))


def read_answers(path: str | Path, tokens: TokenSet) -> Answers:
    """A teacher's answers to the examples of some tokens, in their order.

    Raises UserError for a damaged file, for the answers to other examples, and for numbers that are not finite.
    """
    try:
        found: dict[str, NDArray[Any]] = load_file(path)
        ids, logits = found["ids"], found["logits"]
    except (SafetensorError, OSError, KeyError) as error:
        raise corrupt_file_error(path, f"not a file of a teacher's answers ({error})") from None
    if not np.array_equal(ids, tokens.ids):
        raise UserError(f"{path}: the answers are to other examples than those of the tokens; delete it and run again")
    vectors = found.get("vectors")
    for name, values in (("logit", logits), ("vector", vectors)):
        if values is not None and not np.isfinite(values).all():
            raise UserError(f"{path}: a {name} is not finite; the teacher diverged, lower train.learning_rate")
    return Answers(logits, vectors)
