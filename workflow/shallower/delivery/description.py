"""What a delivered folder is of: the variant, its numbers and where it comes from, as data for the card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shallower.core.model_classes import SEQUENCE_CLASSIFICATION
from shallower.core.variants import INT8, ONNX, TORCH
from shallower.models.sentence_embedding import SentenceEmbedding
from shallower.sources.glue import GLUE_TASKS, HUB_REPOSITORY


@dataclass(frozen=True)
class Files:
    """The files of a runtime in a delivered folder, and the packages that it needs there."""

    model: str
    packages: tuple[str, ...]
    title: str


# All forms share the tokenizer and the configuration.
RUNTIMES = {
    TORCH: Files("model.safetensors", ("torch", "transformers"), "PyTorch, fp32"),
    ONNX: Files("onnx/model.onnx", ("onnxruntime", "tokenizers", "numpy"), "ONNX Runtime, fp32"),
    INT8: Files("onnx/model-int8.onnx", ("onnxruntime", "tokenizers", "numpy"), "ONNX Runtime, int8"),
}


@dataclass(frozen=True)
class Score:
    """A metric of one form of the model on one split; scores in [-1, 1], shares in per cent.

    Attributes:
        metric: what results.csv calls it, such as "accuracy".
        title: what people call it, such as "F1 of equivalent".
        value: of the delivered run.
        mean: over all seeds of the arm.
        low, high: interval of `mean` over examples and seeds; None where there is none.
        full: the full model's mean over the same seeds.
        kept, kept_low, kept_high: `mean` in per cent of `full`, with its interval; None where there is no percentage.
        confidence: that of the intervals (0 to 1).
        examples, seeds: how many the numbers are of.
        in_groups: how many groups the examples are in, such as " in 100 queries"; "" where each is on its own.
    """

    metric: str
    title: str
    value: float
    mean: float
    full: float
    examples: int
    seeds: int
    confidence: float = 0.95
    low: float | None = None
    high: float | None = None
    kept: float | None = None
    kept_low: float | None = None
    kept_high: float | None = None
    in_groups: str = ""


@dataclass(frozen=True)
class Form:
    """The model as one runtime reads it.

    Attributes:
        runtime: a key of `RUNTIMES`.
        size: bytes of the files of weights, without tokenizer and configuration.
        validation: the score on the validation split; None where it was not measured.
        test: the same on the test split, by which nothing was chosen.
        latency: median milliseconds to answer, by the number of texts at once.
    """

    runtime: str
    size: int
    validation: Score | None = None
    test: Score | None = None
    latency: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FullModel:
    """The model with all its layers, in PyTorch: bytes of its weights, and `latency` as of a form."""

    num_layers: int
    size: int
    latency: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class BaseModel:
    """The pre-trained model that all began with.

    Attributes:
        name: what the study calls it.
        hub: its repository on the Hugging Face hub; None for a model from elsewhere.
        revision: the commit of that repository.
        place: where it is from, in words.
        license: its licence, by SPDX's or the hub's identifier; None where it is not known.
    """

    name: str
    place: str
    hub: str | None = None
    revision: str | None = None
    license: str | None = None


@dataclass(frozen=True)
class Dataset:
    """The labelled texts: the task's name, and its repository on the hub, with a configuration and a commit there."""

    name: str
    hub: str | None = None
    config: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Inputs:
    """How texts become the input of the model.

    Attributes:
        max_length: tokens that an input is cut to.
        padding_side: "right" or "left".
        pad_token: the padding token, with its id and the token type that it gets.
        token_types: whether the model takes token types other than 0 from this tokenizer: `token_type_ids`.
    """

    max_length: int
    pad_token: str
    pad_token_id: int
    pad_token_type_id: int = 0
    padding_side: str = "right"
    token_types: bool = True

    @property
    def names(self) -> list[str]:
        """The model's arguments that the tokenizer makes."""
        return ["input_ids", *["token_type_ids"] * self.token_types, "attention_mask"]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens that the model has, of those of the full model."""

    size: int
    full: int

    @property
    def is_trimmed(self) -> bool:
        """Whether tokens were left out."""
        return self.size < self.full


@dataclass(frozen=True)
class Delivered:
    """One run of a study, as it is delivered.

    Attributes:
        study, model, task, arm, seed: the run.
        kept_layers: layers of the full model that are left, 0-based from the bottom.
        vocabulary: the tokens that are left.
        labels: class names in the order of the outputs; None where outputs are numbers.
        has_pair: whether an input is two texts.
        recommended: the runtime to take.
        forms: those that are delivered, the one for PyTorch among them.
        settings: those of the training, by name.
        limits: sentences on what to mind, in addition to those that hold for all.
        machine: what latencies were measured on, in words.
        threshold: probability above which a class is answered, where each is a question of its own, one for all or one
            for each in their order; else None.
        model_class: transformers' class of the model (see `shallower.core.model_classes`).
        target: the kind of task.
        embedding: how a text becomes a vector, which is the answer; None for models with a head.
    """

    study: str
    model: str
    task: str
    arm: str
    seed: int
    kept_layers: tuple[int, ...]
    full: FullModel
    vocabulary: Vocabulary
    labels: tuple[str, ...] | None
    has_pair: bool
    inputs: Inputs
    recommended: str
    forms: tuple[Form, ...]
    base: BaseModel
    dataset: Dataset
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    machine: str | None = None
    threshold: float | Sequence[float] | None = None
    model_class: str = SEQUENCE_CLASSIFICATION
    target: str = "classification"
    embedding: SentenceEmbedding | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for forms that cannot be delivered together."""
        runtimes = [form.runtime for form in self.forms]
        if TORCH not in runtimes or self.recommended not in runtimes or len(set(runtimes)) < len(runtimes):
            raise ValueError(f"forms {runtimes} without {TORCH!r} or {self.recommended!r}, or with repeats")
        if unknown := set(runtimes) - set(RUNTIMES):
            raise ValueError(f"no runtimes {sorted(unknown)}")

    def form(self, runtime: str) -> Form:
        """The form of a runtime. Raises KeyError where it is not delivered."""
        return {form.runtime: form for form in self.forms}[runtime]

    @property
    def best(self) -> Form:
        """The recommended form."""
        return self.form(self.recommended)


def base_model_of(manifest: Mapping[str, Any]) -> BaseModel:
    """The pre-trained model by the manifest of its folder, with the licence that its own card stated."""
    source, license = manifest["source"], manifest.get("license")
    match source["source"]:
        case "hub":
            repository, revision = source["repository"], source["revision"]
            place = f"the repository {repository} on the Hugging Face hub"
            return BaseModel(manifest["name"], place, repository, revision, license)
        case "package":
            place = f"the folder {source['path']} of the Python package {source['package']} {source['version']}"
        case _:
            place = "a folder of the machine that made it"
    return BaseModel(manifest["name"], place, license=license)


def dataset_of(source: Mapping[str, Any]) -> Dataset:
    """The data set by a task's definition, as the manifest of its folder holds it."""
    match source["source"]:
        case "hub":
            return Dataset(source["name"], source["repository"], revision=source["revision"])
        case "glue" if source["subset"] in GLUE_TASKS:
            return Dataset(source["name"], HUB_REPOSITORY, source["subset"])
        case _:
            return Dataset(source["name"])
