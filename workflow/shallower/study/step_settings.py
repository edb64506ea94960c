"""What a study may say of single steps; see `shallower.study.settings`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from shallower.study.fields import Distinct, Name, Number, Whole, optional


class Settings(BaseModel):
    """A mapping in which no unknown key is allowed. Texts below keys are their descriptions in the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Tuning(Settings):
    epochs: Annotated[Whole, Field(ge=1, le=10_000_000)] = 3
    """Passes over the training data."""
    batch_size: Annotated[Whole, Field(ge=1, le=65_536)] = 8
    """Examples in each optimizer step."""
    learning_rate: Annotated[Number, Field(gt=0, le=1)] = 5e-5
    """Peak learning rate of AdamW."""
    weight_decay: Annotated[Number, Field(ge=0, le=1)] = 0.0
    """Weight decay of AdamW; biases, but those of XLNet's attention, and layer norms are exempt."""
    warmup_ratio: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Share of the steps over which the learning rate rises from zero before it falls linearly to zero."""
    max_grad_norm: Annotated[Number, Field(gt=0)] = 1.0
    """Gradients are clipped to this norm."""
    class_weights: Literal["none", "balanced"] = "none"
    """
    balanced weights the loss by labels so that all classes count the same, by their numbers among the rows that are
    trained on. For classification the weights are n / (k * n_c), as scikit-learn has them; for multi-label a label of a
    text counts as many times as there are texts without it for each with it.
    """


class Augmentation(Settings):
    copies: Annotated[Whole, Field(ge=1, le=100)]
    """
    How many texts are made from each training example. Those that repeat the example or another of them are left out.
    """
    mask: Annotated[Number, Field(ge=0, lt=1)] = 0.1
    """Probability that a token is replaced by the mask token (the unknown token, where a tokenizer has no other)."""
    segment: Annotated[Number, Field(ge=0, le=1)] = 0.25
    """Probability that a text is cut to a segment of one to five of its tokens."""


class Distillation(Settings):
    weight: Annotated[Number, Field(gt=0, le=1)] = 0.5
    """
    Weight of the teacher's answers in the loss; the labels have the rest. Of sentence embeddings the answers are the
    vectors of texts, and the loss is their squared distance.
    """
    temperature: Annotated[Number, Field(ge=1, le=100)] = 2.0
    """What logits are divided by before they are compared, for classes: the higher, the more unlikely ones count."""
    vectors: Annotated[Number, Field(ge=0, le=100)] = 0.0
    """
    Weight of a further loss: 1 - cosine of the vectors that the heads of the model and of the teacher read, those of
    the [CLS] token after the last layer, or the vectors of sentence embeddings. It is added to the others; with 0 there
    is none.
    """
    augment: Augmentation = optional()
    """
    Texts without labels that are made from the training texts, for the teacher to answer, where a task has no
    unlabelled_file.
    """


class Refining(Tuning):
    epochs: Annotated[Whole, Field(ge=0, le=10_000_000)] = 3
    """
    Passes over the training data, and over the texts of unlabelled_file together with it where there is a teacher. 0
    measures a cut without training, for origins whose models are fine-tuned.
    """
    distill: Distillation = optional()
    """
    The full model of the same seed teaches the shallower one its answers to the training examples, and to the texts of
    the task's unlabelled_file or of augment, which count by these answers alone.
    """


class Training(Tuning):
    epochs: Annotated[Whole, Field(ge=0, le=10_000_000)] = 3
    """
    Passes over the training data. 0 leaves the full model as it is, which is for models that answer without training
    on the task: those of sentence embeddings.
    """
    max_length: Annotated[Whole, Field(ge=4, le=65_536)] = 128
    """Longer inputs are cut to this many tokens."""


class ParameterScores(Settings):
    weights: Literal["output-matrix", "output-matrix-and-bias", "layer"] = "output-matrix"
    """
    Which weights of a layer are meant by its "final weights" (the paper's section 3.3): the matrix that ends its
    feed-forward network, the same with its bias, or all weights of the layer.
    """


class Probe(Settings):
    train_examples: Annotated[Whole, Field(ge=10)] = 5000
    """The largest number of training examples for them."""


class Calibration(Settings):
    examples: Annotated[Whole, Field(ge=10)]
    """
    Number of training examples that choices from data are made on; nothing is trained on them. They are drawn with a
    fixed seed, for classes in proportion, from what train_examples leaves; without train_examples, training does with
    the others.
    """


class Subsets(Settings):
    layer_evaluations: Annotated[Whole, Field(ge=1)] = 4095
    """
    How often the scoring of subsets of layers may run a layer over the calibration examples. The default is enough for
    all subsets of twelve layers; of deeper models the most promising subsets are scored (a beam search).
    """


class Race(Settings):
    shortlist: Annotated[Whole, Field(ge=2, le=64)] = 8
    """How many subsets of layers are in a race."""
    epochs: Annotated[Number, Field(gt=0, le=1000)] = 1
    """Epochs that the last two of a race are refined for; each round before has half as many, for twice the subsets."""


class Evaluate(Settings):
    confidence: Annotated[Number, Field(ge=0.5, le=0.999)] = 0.95
    """Level of the bootstrap intervals."""
    bootstrap_samples: Annotated[Whole, Field(ge=100, le=1_000_000)] = 1000
    """Number of bootstrap samples."""


class Measure(Settings):
    batch_sizes: Annotated[
        list[Annotated[Whole, Field(ge=1, le=65_536)]], Strict(), Field(min_length=1), Distinct()
    ] = [1, 32]
    """Batch sizes whose latency is measured."""
    sequence_length: Annotated[Whole, Field(ge=4, le=65_536)] = 64
    """Random tokens in each measured sequence."""
    task: Name | None = None
    """A task whose validation texts are measured instead: `texts` of them in a pass, in padded batches."""
    repeats: Annotated[Whole, Field(ge=3, le=100_000)] = 20
    """
    Timed forward passes for each depth and batch size, or fewer, but at least 5, where all medians are known to 4 %;
    rounds, where models are delivered.
    """
    texts: Annotated[Whole, Field(ge=1, le=100_000)] = 32
    """
    Validation texts that each form of a model answers in a round, where models are delivered; also those of a pass,
    where those of a `task` are measured.
    """


class WarnAbove(Settings):
    unknown_tokens: Annotated[Number, Field(ge=0, le=100)] = 5
    """Of the tokens of a split's texts, those that the model's vocabulary does not have; of tagged words, those
    without a token."""
    cut_texts: Annotated[Number, Field(ge=0, le=100)] = 20
    """Of a split's texts, those that are cut to train.max_length."""
    common_rows: Annotated[Number, Field(ge=0, le=100)] = 1
    """Of the validation and the test rows, those with the texts of rows that were learnt from or chosen by."""


class Report(Settings):
    tolerances: Annotated[list[Annotated[Number, Field(gt=0, lt=100)]], Strict(), Field(min_length=1), Distinct()] = [
        1,
        2,
        3,
    ]
    """Losses, in per cent of the baseline's score, within which layers count as droppable."""
    warn_above: WarnAbove = Field(default_factory=WarnAbove)
    """
    Shares, in per cent, above which plan and report warn of what may be wrong with the texts. Nothing else depends on
    them.
    """


class Budget(Settings):
    score_kept: Annotated[Number, Field(gt=0, le=100)] = optional()
    """
    Least score, in per cent of the full model's: the interval of a model's score, over validation examples and seeds,
    must not go below it.
    """
    megabytes: Annotated[Number, Field(gt=0)] = optional()
    """Largest size in MB (10^6 bytes) of the model's file or, with deliver, of all files that a variant needs."""
    latency_ms: Annotated[Number, Field(gt=0)] = optional()
    """
    Longest median time in milliseconds of a forward pass, as measure says how to take it, or, with deliver, of a
    variant's answer, tokenizing included.
    """
    batch_size: Annotated[Whole, Field(ge=1)] = optional()
    """The batch size that latency_ms is for, one of measure.batch_sizes; by default the smallest."""
    layers: Annotated[Whole, Field(ge=1)] = optional()
    """Largest number of layers."""
    prefer: Literal["latency", "size"] = optional()
    """
    What decides among the models that meet the limits, where the study delivers them (deliver): latency takes the
    fastest and is the default, size that with the smallest files.
    """


class Deliver(Settings):
    runtimes: Annotated[list[Literal["torch", "onnx", "onnx-int8"]], Strict(), Field(min_length=1), Distinct()] = [
        "torch",
        "onnx",
        "onnx-int8",
    ]
    """
    What runs the model: torch, ONNX Runtime, or ONNX Runtime with the weights of matrices as 8-bit integers. The study
    measures each and recommends one.
    """
    vocabularies: Annotated[list[Literal["full", "trimmed"]], Strict(), Field(min_length=1), Distinct()] = ["full"]
    """
    full is the model's vocabulary; trimmed keeps the tokens that the task's training texts use, and those with which
    any text can be written.
    """
    minimum_count: Annotated[Whole, Field(ge=1)] = 1
    """How often the training texts must use a token for the trimmed vocabulary to keep it."""
    exclude_operators: Annotated[list[Annotated[str, Strict()]], Strict(), Distinct()] = []
    """
    What stays in 32-bit floating point: operators of ONNX, such as Gather, or modules, such as layer.0; for models that
    int8 makes worse.
    """


class Compute(Settings):
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto uses a GPU when there is one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """
    Precision of training; auto is bf16 on a GPU that has it, else fp32. Predictions are always made in fp32, and the
    scores of subsets of layers as auto says.
    """
    threads: Annotated[Whole, Field(ge=1, le=1024)] = 1
    """
    CPU threads of each training or prediction. Fixed rather than all cores, so that the numbers do not depend on how
    many there are, and several runs share the cores.
    """
    runs_per_gpu: Annotated[Whole, Field(ge=1, le=64)] = 1
    """
    How many trainings and predictions share a GPU of this machine at the same time; runs are spread over all GPUs and
    wait for a free slot. Small models leave most of a large GPU idle when alone. Results do not depend on it.
    """
    checkpoint_seconds: Annotated[Number, Field(ge=1)] = 60
    """
    How often a training writes a checkpoint, from which it resumes after a kill or a power cut; less often where
    writing is slow. When asked to stop (Ctrl-C, a time limit), it always writes one. Results do not depend on it.
    """
