"""Classification: each text belongs to one of several classes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shallower.task_kinds.base import LabelColumn, LabelReading, TaskKind
from shallower.task_kinds.class_labels import class_reading

if TYPE_CHECKING:
    import torch


class Classification(TaskKind):
    """Labels are indices into the class names; logits have one output a class."""

    name = "classification"
    has_classes = True
    label_type = "int64"
    scored_as = ("classification",)

    def label_reading(self, columns: Sequence[LabelColumn], labels: Sequence[str] | None) -> LabelReading:
        return class_reading(columns, labels or ())

    def split_problems(self, found: Mapping[str, Sequence[float]], labels: Sequence[str] | None) -> Iterator[str]:
        names, classes = list(labels or ()), {split: {int(label) for label in found[split]} for split in found}
        for split, present in classes.items():
            if len(present) == 1:
                yield (
                    f"the {split} split has only the class {names[min(present)]!r}; "
                    "nothing can be learnt or scored from one"
                )
        for split in ("validation", "test"):
            if unseen := classes.get(split, set()) - classes["train"]:
                lacking = ", ".join(repr(names[index]) for index in sorted(unseen))
                yield f"the {split} split has {lacking}, which the train split lacks; add or remove such rows"

    def model_config(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id2label": dict(enumerate(task["labels"])),
            "label2id": {label: index for index, label in enumerate(task["labels"])},
            "problem_type": "single_label_classification",
        }

    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        from torch.nn import functional

        return functional.cross_entropy(logits, labels)

    def distillation_loss(self, logits: "torch.Tensor", teacher: "torch.Tensor", temperature: float) -> "torch.Tensor":
        """Kullback-Leibler divergence from the teacher's softened probabilities, times the squared temperature."""
        from torch.nn import functional

        student, softened = functional.log_softmax(logits / temperature, -1), (teacher / temperature).softmax(-1)
        return temperature**2 * functional.kl_div(student, softened, reduction="batchmean")

    def answers(self, logits: NDArray[Any]) -> NDArray[Any]:
        return logits.argmax(axis=1).astype(np.int64)

    def is_collapsed(
        self, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64] | None = None
    ) -> bool:
        return bool((answers == answers[0]).all())

    def constant_answer(self, labels: NDArray[Any]) -> float:
        return int(np.bincount(labels).argmax())

    def linear_model(self, penalty: float, max_iterations: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=1 / penalty, max_iter=max_iterations)

    def probe_problem(self, labels: NDArray[Any]) -> str | None:
        if len(np.unique(labels)) > 1:
            return None
        return f"all {len(labels)} training examples of the layer-wise classifiers have the label {labels[0]}"
