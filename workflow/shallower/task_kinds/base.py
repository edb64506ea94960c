"""What a kind of task has to say: its labels, its loss, its answers and how these are judged.

Torch and scikit-learn are imported inside the methods that use them, since steps that only read JSON, and the study's
checks, need the rest.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from shallower.core.model_classes import NO_HEAD, SEQUENCE_CLASSIFICATION
from shallower.core.wording import EXAMPLE, Unit

if TYPE_CHECKING:
    import torch

# Longest value that a message quotes, and how many labels it lists.
MAX_CHARACTERS = 200
MAX_LISTED = 20

MISSING = "is missing; fill it or remove the row"

# Of a class that examples to score have.
LACKING = "which the train split lacks"


@dataclass(frozen=True)
class LabelColumn:
    """The labels of one file, as they stand there.

    Attributes:
        place: the file, as messages name it.
        values: the labels, row by row.
        stored_names: class names that the file itself has for its ids, if any.
        names: of the columns, where labels are in one for each class; a value is then a list of what stands in each.
        rows: the row of each value, counted from 1, where a row has several values or none; else values are rows.
    """

    place: str
    values: Sequence[Any]
    stored_names: Sequence[str] | None = None
    names: Sequence[str] = ()
    rows: Sequence[int] | None = None


@dataclass(frozen=True)
class LabelReading:
    """How the labels of a task are read, decided once for all rows of all its files.

    Attributes:
        form: what they are read as, in words: "names", "ids" or "numbers".
        of: for a column, the function that reads one of its values. It raises ValueError with what is wrong, to follow
            the column's name.
    """

    form: str
    of: Callable[[LabelColumn], Callable[[Any], Any]]


class TaskKind(ABC):
    """A kind of text task, and what everything else has to know of it.

    Attributes:
        name: the `target` of a task in a study and in task.json.
        has_classes: whether a task lists the names of its classes in `labels`.
        has_class_sets: whether a text may belong to several of them, or to none.
        weights: of the classes in the loss, as `class_weights` has them; None for none.
        threshold: probability above which a class is answered, where each is a question of its own, one for all or one
            for each; else None.
        label_type: of labels in tables, by Arrow's name: "int64"; "float64", which tokens store as float32; or
            "list<int8>" for several numbers a text, as many for each, or "list<int64>" for a label for each word.
        answers_words: whether a text has a label for each of its words, and a row of predictions for each.
        scored_as: the kinds whose metrics suit this one.
        needs_training: whether the full model has to be trained on the task before it can answer.
        takes: the keys of a task, and of its trainings, that only some kinds take, and this one does.
        unsupported: why something that a study can ask for does not suit the kind, by its name: a key (reproduction,
            oracle, deliver, augment, or one of its tasks), an origin, a strategy or a score of layers.
        model_class: transformers' class of the models that answer it (see `shallower.core.model_classes`).
        row: what a row of predictions is of, and so what `num_examples` counts: an example, or a word of one.
        group: what rows that are drawn and scored together are, such as a query; None where each is on its own.
        constant: in words, what gets the chance level; "" where there is none.
        groups_by_first_text: whether rows with the same first text are such a group.
        has_named_outputs: whether outputs mean what they are called; a checkpoint's only output is kept for a kind
            whose own is not.
        pipeline: the hub's name of what models do; None for that of their class.
        source: the only `source` that data of this kind comes from; None where any has it.
    """

    name: ClassVar[str]
    has_classes: ClassVar[bool]
    has_class_sets: ClassVar[bool] = False
    label_type: ClassVar[str]
    answers_words: ClassVar[bool] = False
    scored_as: ClassVar[tuple[str, ...]]
    needs_training: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = frozenset()
    unsupported: ClassVar[Mapping[str, str]] = {}
    model_class: ClassVar[str] = SEQUENCE_CLASSIFICATION
    row: ClassVar[Unit] = EXAMPLE
    group: ClassVar[Unit | None] = None
    constant: ClassVar[str] = "a constant answer"
    groups_by_first_text: ClassVar[bool] = False
    has_named_outputs: ClassVar[bool] = True
    pipeline: ClassVar[str | None] = None
    source: ClassVar[str | None] = None

    weights: Sequence[float] | None = None
    threshold: float | Sequence[float] | None = None

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """This kind by settings of scoring, of a study or in a metrics.json, where its answers depend on any."""
        return self

    def with_weights(self, weights: Sequence[float]) -> Self:
        """This kind with weights of the classes in its loss."""
        return self._copy(weights=tuple(weights))

    def _copy(self, **attributes: Any) -> Self:
        made = copy(self)
        vars(made).update(attributes)
        return made

    @property
    def drawn(self) -> Unit:
        """What a resample draws: all rows of a group, or one row."""
        return self.group or self.row

    @property
    def collapse(self) -> str:
        """What a model does that is collapsed (`is_collapsed`), in words."""
        return f"gives the same answer to every {self.row.one}"

    @property
    def label_dtype(self) -> str:
        """The type of each number of labels in arrays, by numpy's name."""
        return self.label_type.removeprefix("list<").removesuffix(">")

    @property
    def row_type(self) -> str:
        """The type of a row's label in predictions: that of a text or, where words are answered, of a word."""
        return self.label_dtype if self.answers_words else self.label_type

    def text_problem(self, columns: Sequence[str]) -> str | None:
        """What is wrong with the columns of text that a task names, one or two; None if nothing is."""
        return None

    @property
    def answers_with_vectors(self) -> bool:
        """Whether a model, which has no head, answers a text with its vector, and a pair with the cosine of two.

        The texts of a pair are then tokenized each by itself.
        """
        return self.model_class == NO_HEAD

    @abstractmethod
    def label_reading(self, columns: Sequence[LabelColumn], labels: Sequence[str] | None) -> LabelReading:
        """How the labels of all files of a task are read; `labels` are its class names."""

    @abstractmethod
    def split_problems(self, found: Mapping[str, Sequence[Any]], labels: Sequence[str] | None) -> Iterator[str]:
        """What is wrong with the labels found in the splits "train" and "validation" as a whole."""

    @abstractmethod
    def model_config(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """What config.json of a model says of its task (the content of task.json), under transformers' keys."""

    def class_weights(self, labels: NDArray[Any], num_classes: int) -> list[float]:
        """Balanced weights of the classes by the labels [n, ...] that are trained on.

        Raises ValueError for a kind that takes none (`takes`), which studies are refused for.
        """
        raise ValueError(f"{self.name} takes no class weights")

    def output_bias(self, labels: NDArray[Any]) -> NDArray[np.float64] | None:
        """What the bias [outputs] of a new output layer starts as, by the labels [n, ...] trained on; None for zeros.

        Labels of -1 are those of texts without any.
        """
        return None

    @abstractmethod
    def loss(self, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Mean loss of logits [B, outputs] (fp32) for labels [B, ...]."""

    @abstractmethod
    def distillation_loss(self, logits: "torch.Tensor", teacher: "torch.Tensor", temperature: float) -> "torch.Tensor":
        """Mean loss of logits [B, outputs] (fp32) for a teacher's logits [B, outputs]."""

    @abstractmethod
    def answers(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Answers [n, ...] for logits [n, outputs], in the form of labels."""

    @abstractmethod
    def divergence(self, full: NDArray[Any], logits: NDArray[Any]) -> float:
        """How far answers are from those of the full model, by logits [n, outputs] of both, in nats.

        Mean Kullback-Leibler divergence from what the full model answers.
        """

    @abstractmethod
    def is_collapsed(
        self, labels: NDArray[Any], answers: NDArray[Any], groups: NDArray[np.int64] | None = None
    ) -> bool:
        """Whether a model answers (all but) the same for every example, or for all of a group in `groups` [n]."""

    @abstractmethod
    def constant_answer(self, labels: NDArray[Any]) -> Any:
        """The best answer, in the form of one label, for all examples alike; its score is the chance level.

        None where there is no such level.
        """

    @abstractmethod
    def linear_model(self, penalty: float, max_iterations: int) -> Any:
        """An unfitted scikit-learn model, to learn answers from the vectors of one layer.

        `penalty` is the weight of half the squared coefficients, relative to the loss summed over all examples.
        """

    def notes(self, labels: Sequence[str], found: Sequence[Any]) -> dict[str, Any]:
        """What task.json says beyond what all kinds have; `found` are the labels of the training split."""
        return {}

    def probe_problem(self, labels: NDArray[Any]) -> str | None:
        """Why `linear_model` cannot learn from these labels; None if it can."""
        return None


def is_missing(value: Any) -> bool:
    """Whether a field of a file holds nothing."""
    return (
        value is None
        or (isinstance(value, str) and not value.strip())
        or (isinstance(value, float) and math.isnan(value))
    )


def whole(value: Any) -> Any:
    """A whole number stored as a float, as in columns where some are missing, as an int; other values as they are."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def shown(value: Any) -> str:
    """A value as messages quote it, cut to a reasonable length."""
    text = repr(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"


def listed(labels: Sequence[str]) -> str:
    """Labels as messages list them, the first ones of many."""
    more = f" and {len(labels) - MAX_LISTED} more" if len(labels) > MAX_LISTED else ""
    return ", ".join(map(repr, labels[:MAX_LISTED])) + more
