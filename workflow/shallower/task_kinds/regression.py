"""Regression: each text has a number."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shallower.task_kinds.base import TaskKind, shown

if TYPE_CHECKING:
    import torch

# A model whose answers vary less than this share of the labels' standard deviation answers nothing.
COLLAPSED_SPREAD = 0.01
# Values that differ by less than this share of the largest are the same but for rounding.
ROUNDING = 1e-9


class Regression(TaskKind):
    """Labels are finite numbers; logits have a single output, which is the answer."""

    name = "regression"
    has_classes = False
    label_dtype = "float64"
    scored_as = ("regression",)

    def _read(self, value: Any, labels: Sequence[str] | None, stored_names: Sequence[str] | None) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{shown(value)} is not a finite number; a regression or a rating needs one")
        return number

    def split_problems(self, found: Mapping[str, Sequence[float]], labels: Sequence[str] | None) -> Iterator[str]:
        for split, values in found.items():
            if len(present := set(values)) == 1:
                yield f"the {split} split has only the value {min(present)}; nothing can be learnt or scored from one"

    def model_config(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {"id2label": {0: task["name"]}, "label2id": {task["name"]: 0}, "problem_type": "regression"}

    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        from torch.nn import functional

        return functional.mse_loss(logits.squeeze(-1), labels)

    def answers(self, logits: NDArray[Any]) -> NDArray[Any]:
        return logits[:, 0].astype(np.float64)

    def is_collapsed(self, labels: NDArray[Any], answers: NDArray[Any]) -> bool:
        constant = np.ptp(answers) <= ROUNDING * np.abs(answers).max()
        return bool(answers.std() < COLLAPSED_SPREAD * labels.std() or constant)

    def constant_answer(self, labels: NDArray[Any]) -> float:
        return float(labels.mean())

    def linear_model(self, penalty: float, max_iterations: int) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=penalty)
