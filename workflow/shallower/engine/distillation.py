"""Distillation: a shallower model learns the answers of its teacher, the full model of the same seed.

Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015; arXiv 1503.02531). The teacher's
answers are computed once, without dropout, and read by all models that learn from it. It also answers texts without
labels, from which a model learns these answers alone.
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

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import write_bytes
from shallower.engine.tokens import TokenSet
from shallower.task_kinds.base import TaskKind


@dataclass(frozen=True)
class Distillation:
    """What a training learns from a teacher.

    Attributes:
        weight: of the teacher's answers in the loss, above 0 and at most 1; the labels have the rest.
        temperature: that the logits of both are divided by, for classes.
        logits: the teacher's, float32 [N, outputs], in the order of the tokens that are trained on.
        labelled: how many of the N examples have a label, the first ones; all where it is None.
    """

    weight: float
    temperature: float
    logits: NDArray[np.float32]
    labelled: int | None = None

    @classmethod
    def of(
        cls, settings: Mapping[str, float], answers: str | Path, tokens: TokenSet, labelled: int | None = None
    ) -> "Distillation":
        """From settings (weight, temperature) and a file of a teacher's answers to the examples of some tokens."""
        return cls(settings["weight"], settings["temperature"], read_answers(answers, tokens), labelled)

    def loss(
        self, kind: TaskKind, logits: torch.Tensor, labels: torch.Tensor, examples: NDArray[np.int64]
    ) -> torch.Tensor:
        """Mean loss of logits [B, outputs] (fp32) of examples (positions in the tokens) with labels [B].

        It is `weight` times the mean loss by the teacher's answers, plus (1 - `weight`) times the sum of the losses by
        labels, divided by B as well: an example without a label has no such loss, and what stands in place of its
        label is not looked at. Over an epoch each answer and each label thus counts the same, whatever else is in its
        batch; divided by their own number, the labels of a batch would count more the fewer they are.
        """
        teacher = torch.from_numpy(self.logits[examples]).to(logits.device)
        distilled = self.weight * kind.distillation_loss(logits, teacher, self.temperature)
        with_label = np.flatnonzero(examples < (len(self.logits) if self.labelled is None else self.labelled))
        if self.weight == 1 or not len(with_label):
            return distilled
        if len(with_label) < len(examples):
            places = torch.from_numpy(with_label).to(logits.device)
            logits, labels = logits[places], labels[places]
        share = (1 - self.weight) * len(with_label) / len(examples)
        return distilled + share * kind.loss(logits, labels)


def write_answers(path: str | Path, tokens: TokenSet, logits: NDArray[np.float32]) -> None:
    """Write a teacher's logits [N, outputs] for the examples of some tokens, with their ids."""
    write_bytes(path, save({"ids": tokens.ids, "logits": np.ascontiguousarray(logits, np.float32)}))


def read_answers(path: str | Path, tokens: TokenSet) -> NDArray[np.float32]:
    """A teacher's logits [N, outputs] for the examples of some tokens, in their order.

    Raises UserError for a damaged file, for the answers to other examples, and for logits that are not finite.
    """
    try:
        found: dict[str, NDArray[Any]] = load_file(path)
        ids, logits = found["ids"], found["logits"]
    except (SafetensorError, OSError, KeyError) as error:
        raise corrupt_file_error(path, f"not a file of a teacher's answers ({error})") from None
    if not np.array_equal(ids, tokens.ids):
        raise UserError(f"{path}: the answers are to other examples than those of the tokens; delete it and run again")
    if not np.isfinite(logits).all():
        raise UserError(f"{path}: a logit is not finite; the teacher diverged, lower train.learning_rate")
    return logits
