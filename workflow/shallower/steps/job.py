"""A job: what the memory and the time of a step depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shallower.core.layout import TEST, UNLABELLED
from shallower.core.limits import READOUT_WORDS
from shallower.models.size import BASE_CONFIG, ModelSize


@dataclass(frozen=True)
class Job:
    """A step at work on certain files. Attributes that a step does not depend on can be left out.

    Attributes:
        size: size of the model.
        max_length: number of tokens that the task's inputs are cut to.
        trainings: settings (`epochs`, `batch_size`) of each training that the job may be.
        rows: number of the task's examples, by split; with `unlabelled`, texts without labels; maybe with `test`.
        calibration_examples: number of the task's examples for choices from data.
        words_each: number of words of an example that have a label each; 0 where examples have the labels.
        layer_evaluations: how often a scoring of subsets of layers may run a layer.
        race: how subsets of layers are raced: `shortlist`, `epochs`.
        probe_examples: number of examples that a probe is fitted on.
        measure: how speed is measured; `sequence_length` is that of the longest texts of a `task`, where there is one.
        models: number of models that are loaded, one after the other.
        text_bytes: size of the task's texts.
        copies: number of texts that are made from each of them.
        teaches_vectors: whether a teacher's vectors are learnt, too.
        outputs: number of logits for each example.
        threads: number of CPU threads.
        on_gpu: whether the model is on a GPU.
    """

    size: ModelSize = field(default_factory=lambda: ModelSize.of(BASE_CONFIG))
    max_length: int = 0
    trainings: Sequence[Mapping[str, Any]] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    calibration_examples: int = 0
    words_each: int = 0
    layer_evaluations: int = 0
    race: Mapping[str, Any] = field(default_factory=dict)
    probe_examples: int = 0
    measure: Mapping[str, Any] = field(default_factory=dict)
    models: int = 1
    text_bytes: int = 0
    copies: int = 0
    teaches_vectors: bool = False
    outputs: int = 1
    threads: int = 1
    on_gpu: bool = False

    @property
    def predicted_examples(self) -> int:
        """Number of examples of the largest split that models, or their layers, are scored on."""
        return max(self.rows.get("validation", 0), self.rows.get(TEST, 0), self.calibration_examples)

    @property
    def readout_rows(self) -> int:
        """Number of calibration examples, or of their words, that readouts are fitted on."""
        words = min(READOUT_WORDS, self.words_each * self.calibration_examples)
        return words if self.words_each else self.calibration_examples

    @property
    def taught_examples(self) -> int:
        """Number of examples that a teacher answers: those to train on, and those without labels."""
        return self.rows.get("train", 0) + self.rows.get(UNLABELLED, 0)
