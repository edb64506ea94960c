"""Classification: each text belongs to one of several classes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shallower.task_kinds.base import LACKING, LabelColumn, LabelReading, TaskKind
from shallower.task_kinds.class_labels import class_reading
from shallower.task_kinds.class_sets import class_counts, classes_of

if TYPE_CHECKING:
    import torch


class Classification(TaskKind):
    """Labels are indices into the class names; logits have one output a class."""

    name = "classification"
    has_classes = True
    takes = frozenset({"labels", "positive_class", "label_ranges", "class_weights"})
    label_type = "int64"
    scored_as = ("classification",)

    def label_reading(self, columns: Sequence[LabelColumn], labels: Sequence[str] | None) -> LabelReading:
        return class_reading(columns, labels or ())

    def split_problems(self, found: Mapping[str, Sequence[Any]], labels: Sequence[str] | None) -> Iterator[str]:
        names, arrays = list(labels or ()), {split: np.asarray(found[split], np.int64) for split in found}
        for split, rows in arrays.items():
            if len(present := classes_of(rows)) == 1:
                yield (
                    f"the {split} split has only the class {names[min(present)]!r}; "
                    "nothing can be learnt or scored from one"
                )
        yield from unseen_classes(arrays, names)

    def model_config(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return class_config(task["labels"], "single_label_classification")

    def class_weights(self, labels: NDArray[Any], num_classes: int) -> list[float]:
        """n / (k n_c), of n examples, k classes that they have and n_c examples of a class; 1 for a class without any.

        These are scikit-learn's balanced weights, whose mean over all examples is 1.
        """
        counts = class_counts(labels, num_classes)
        balanced = len(labels) / ((counts > 0).sum() * np.maximum(counts, 1))
        return np.where(counts > 0, balanced, 1.0).tolist()

    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Cross-entropy. With weights of classes, their sum is divided by B, so that an example counts the same in
        whatever batch it is.
        """
        from torch.nn import functional

        if self.weights is None:
            return functional.cross_entropy(logits, labels)
        weights = logits.new_tensor(self.weights)
        return functional.cross_entropy(logits, labels, weight=weights, reduction="sum") / len(labels)

    def distillation_loss(self, logits: "torch.Tensor", teacher: "torch.Tensor", temperature: float) -> "torch.Tensor":
        """Kullback-Leibler divergence from the teacher's softened probabilities, times the squared temperature."""
        from torch.nn import functional

        student, softened = functional.log_softmax(logits / temperature, -1), (teacher / temperature).softmax(-1)
        return temperature**2 * functional.kl_div(student, softened, reduction="batchmean")

    def answers(self, logits: NDArray[Any]) -> NDArray[Any]:
        return logits.argmax(axis=1).astype(np.int64)

    def divergence(self, full: NDArray[Any], logits: NDArray[Any]) -> float:
        from scipy.special import log_softmax, softmax

        ours, theirs = log_softmax(logits.astype(np.float64), axis=1), log_softmax(full.astype(np.float64), axis=1)
        return float((softmax(full.astype(np.float64), axis=1) * (theirs - ours)).sum(axis=1).mean())

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


def unseen_classes(labels: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Iterator[str]:
    """Problems of splits with classes that the split "train" lacks; `labels` are those of each split."""
    known = classes_of(labels["train"])
    for split in ("validation", "test"):
        if split in labels and (unseen := classes_of(labels[split]) - known):
            lacking = ", ".join(repr(names[index]) for index in sorted(unseen))
            yield f"the {split} split has {lacking}, {LACKING}; add or remove such rows"


def class_config(names: Sequence[str], problem_type: str) -> dict[str, Any]:
    """What config.json of a model says of its classes."""
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {label: index for index, label in enumerate(names)},
        "problem_type": problem_type,
    }
