"""Regression: each text has a number."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shallower.task_kinds.base import MISSING, LabelColumn, LabelReading, TaskKind, is_missing, shown

if TYPE_CHECKING:
    import torch

# A model whose answers vary less than this share of the labels' standard deviation answers nothing.
COLLAPSED_SPREAD = 0.01
# Values that differ by less than this share of the largest are the same but for rounding.
ROUNDING = 1e-9


# As numbers are written; float() also takes 1_000 and digits of other scripts.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def number(value: Any) -> float:
    """A finite number from a field of a file. Raises ValueError with what is wrong, to follow the column's name."""
    if is_missing(value):
        raise ValueError(MISSING)
    try:
        if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value.strip())):
            raise ValueError
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{shown(value)} is not a finite number; a regression or a rating needs one")
    return found


class Regression(TaskKind):
    """Labels are finite numbers; logits have a single output, which is the answer."""

    name = "regression"
    has_classes = False
    label_type = "float64"
    scored_as = ("regression",)

    def label_reading(self, columns: Sequence[LabelColumn], labels: Sequence[str] | None) -> LabelReading:
        return LabelReading("numbers", lambda column: number)

    def split_problems(self, found: Mapping[str, Sequence[Any]], labels: Sequence[str] | None) -> Iterator[str]:
        for split, values in found.items():
            if len(present := set(values)) == 1:
                yield f"the {split} split has only the value {min(present)}; nothing can be learnt or scored from one"

    def model_config(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {"id2label": {0: task["name"]}, "label2id": {task["name"]: 0}, "problem_type": "regression"}

    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        from torch.nn import functional

        return functional.mse_loss(logits.squeeze(-1), labels)

    def distillation_loss(self, logits: "torch.Tensor", teacher: "torch.Tensor", temperature: float) -> "torch.Tensor":
        """Squared error; numbers have no temperature."""
        from torch.nn import functional

        return functional.mse_loss(logits, teacher)

    def answers(self, logits: NDArray[Any]) -> NDArray[Any]:
        return logits[:, 0].astype(np.float64)

    def divergence(self, full: NDArray[Any], logits: NDArray[Any]) -> float:
        """Half the mean squared difference: the divergence of normal distributions of variance 1."""
        return float(((logits.astype(np.float64) - full) ** 2).mean() / 2)

    def is_collapsed(
        self, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64] | None = None
    ) -> bool:
        constant = np.ptp(answers) <= ROUNDING * np.abs(answers).max()
        return bool(answers.std() < COLLAPSED_SPREAD * labels.std() or constant)

    def constant_answer(self, labels: NDArray[Any]) -> float | None:
        return float(labels.mean())

    def linear_model(self, penalty: float, max_iterations: int) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=penalty)
