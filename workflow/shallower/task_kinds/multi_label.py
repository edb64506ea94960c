"""Multi-label classification: each text belongs to any number of classes, or to none."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shallower.task_kinds.base import LabelColumn, LabelReading, TaskKind
from shallower.task_kinds.class_sets import class_counts
from shallower.task_kinds.classification import class_config, unseen_classes
from shallower.task_kinds.label_sets import set_reading

if TYPE_CHECKING:
    import torch

# Probability above which a class is answered, unless a study says otherwise.
THRESHOLD = 0.5


class MultiLabel(TaskKind):
    """Labels are 0 or 1 for each class; logits have one output a class, each a question of its own."""

    name = "multi-label"
    has_classes = True
    has_class_sets = True
    takes = frozenset({"labels", "label_columns", "threshold", "thresholds", "class_weights"})
    label_type = "list<int8>"
    scored_as = ("multi-label",)
    threshold = THRESHOLD
    unsupported: ClassVar[Mapping[str, str]] = {
        "reproduction": "the paper's tasks have one label each; leave the key out",
    }

    def with_settings(self, settings: Mapping[str, Any]) -> "MultiLabel":
        return self._copy(threshold=settings.get("threshold", THRESHOLD))

    def label_reading(self, columns: Sequence[LabelColumn], labels: Sequence[str] | None) -> LabelReading:
        return set_reading(columns, labels or ())

    def split_problems(self, found: Mapping[str, Sequence[Any]], labels: Sequence[str] | None) -> Iterator[str]:
        arrays = {split: np.asarray(rows, np.int8).reshape(len(rows), -1) for split, rows in found.items()}
        for split, rows in arrays.items():
            if (rows == rows[:1]).all():
                yield f"the {split} split has the same labels in all rows; nothing can be learnt or scored from one"
        yield from unseen_classes(arrays, labels or ())

    def model_config(self, task: Mapping[str, Any]) -> dict[str, Any]:
        return class_config(task["labels"], "multi_label_classification")

    def class_weights(self, labels: NDArray[Any], num_classes: int) -> list[float]:
        """What an example that has a class counts for it, relative to one without: the share of these over its own.

        This is the ratio of scikit-learn's balanced weights for the two. 1 where all or no examples have a class.
        """
        having = class_counts(labels, num_classes)
        lacking = len(labels) - having
        return np.divide(lacking, having, out=np.ones(num_classes), where=(having > 0) & (lacking > 0)).tolist()

    def output_bias(self, labels: NDArray[Any]) -> NDArray[np.float64]:
        """The log-odds of each class, by which the first answers are how frequent it is.

        From zeros, the first steps of a training with many rare classes push all texts' vectors the same way to answer
        them all with no, and then lie on a plateau (Lin et al., Focal Loss, ICCV 2017, section 3.3). With weights of
        the classes it is what answers by frequencies alone would converge to; with balanced ones, zero.
        """
        labels = labels[(labels >= 0).all(axis=1)]
        having = class_counts(labels, labels.shape[1])
        odds = (having + 0.5) / (len(labels) - having + 0.5)  # finite for a class of none or all
        return np.log(odds * (1 if self.weights is None else np.asarray(self.weights)))

    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        import torch
        from torch.nn import functional

        # What is no label must not be taken for one unnoticed.
        targets = torch.where(labels < 0, math.nan, labels.to(logits.dtype))
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)

    def distillation_loss(self, logits: "torch.Tensor", teacher: "torch.Tensor", temperature: float) -> "torch.Tensor":
        """Kullback-Leibler divergence of each class's yes or no from the teacher's softened one, times T squared.

        The mean over classes, as that of the loss by labels.
        """
        from torch.nn import functional

        softened = teacher / temperature
        cross_entropy = functional.binary_cross_entropy_with_logits(logits / temperature, softened.sigmoid())
        entropy = functional.binary_cross_entropy_with_logits(softened, softened.sigmoid())
        return temperature**2 * (cross_entropy - entropy)

    def answers(self, logits: NDArray[Any]) -> NDArray[Any]:
        threshold = np.asarray(self.threshold, np.float64)
        return (logits.astype(np.float64) > np.log(threshold / (1 - threshold))).astype(np.int8)

    def divergence(self, full: NDArray[Any], logits: NDArray[Any]) -> float:
        """Mean over examples of the sum over classes, each a yes or no."""
        from scipy.special import expit

        full, logits = full.astype(np.float64), logits.astype(np.float64)
        yes = expit(full)
        of_yes = np.logaddexp(0, -logits) - np.logaddexp(0, -full)
        of_no = np.logaddexp(0, logits) - np.logaddexp(0, full)
        return float((yes * of_yes + (1 - yes) * of_no).sum(axis=1).mean())

    def is_collapsed(
        self, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64] | None = None
    ) -> bool:
        return bool((answers == answers[0]).all())

    def constant_answer(self, labels: NDArray[Any]) -> NDArray[Any]:
        """The most frequent set of labels."""
        found, counts = np.unique(labels, axis=0, return_counts=True)
        return found[counts.argmax()]

    def linear_model(self, penalty: float, max_iterations: int) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        return OneVsRestClassifier(LogisticRegression(C=1 / penalty, max_iter=max_iterations))

    def probe_problem(self, labels: NDArray[Any]) -> str | None:
        if (labels != labels[:1]).any():
            return None
        return f"all {len(labels)} training examples of the layer-wise classifiers have the same labels"
