"""Computing time of a job in seconds, as an upper bound: every text has the greatest length.

A cluster's scheduler ends a job that takes longer than it requested. `minutes` therefore allows for a machine that is
several times slower, and for slow loading from a busy file system. A job that is ended nevertheless is submitted again
with more time, and its training resumes from the last checkpoint.
"""

import math

from shallower.steps.job import Job
from shallower.surgery.subsets import num_evaluations_of_all

# Operations per second. GPU: what a data-centre GPU reaches in bf16 with batches of some thousand tokens (assumed).
# CPU: of one core, in fp32; the median over the trainings of a study of small models in batches of 8.
GPU_RATE = 40e12
CPU_RATE = 50e9
# A GPU waits for its host: the least time of a training step, for each layer (benchmarks/README.md, "On a GPU").
GPU_SECONDS_PER_LAYER = 0.003

# Loading libraries and weights from a shared file system.
START_MINUTES = 10
# How many times slower than these rates a machine may be.
SAFETY = 3
# Loading a model with transformers and comparing its predictions (assumed).
RELOADING_SECONDS = 30
# Tracing and writing a model as ONNX, and rounding its weights (measured with MiniLM on a busy machine, rounded up).
EXPORT_SECONDS = 30
QUANTISING_SECONDS = 10
# Forms of a model in both vocabularies, but for the one that was trained; of each depth what serves, with that one and
# the full model beside them.
VARIANTS_OF_A_MODEL = 5
SERVERS_OF_A_DEPTH = 7
# What a request takes besides the model (assumed).
SERVING_SECONDS = 0.01
# Fitting a linear model to one depth's hidden states, for each example (assumed).
FITTING_SECONDS = 0.005
# Fitting the readouts of a subset of layers, for each calibration example (measured with 2 to 6 classes, rounded up) or
# each of their words (measured with 13 tags: 0.0017).
READOUT_SECONDS = 0.003


def minutes(seconds: float) -> int:
    """Minutes to request for a job of so many seconds of computing."""
    return START_MINUTES + math.ceil(SAFETY * seconds / 60)


def training(job: Job) -> float:
    """The model's operations, training rows (with a teacher texts without labels, too) and epochs."""
    return max(
        _training_seconds(
            job,
            job.taught_examples if "distill" in settings else job.rows["train"],
            settings["epochs"],
            settings["batch_size"],
        )
        for settings in job.trainings
    )


def _training_seconds(job: Job, examples: int, epochs: float, batch_size: int) -> float:
    computing = 3 * epochs * _forward(job, examples, job.max_length)
    steps = epochs * math.ceil(examples / batch_size)
    waiting = steps * job.size.num_layers * GPU_SECONDS_PER_LAYER if job.on_gpu else 0.0
    return max(computing, waiting)


def inference(job: Job) -> float:
    """The model's operations and validation, test or calibration rows."""
    return _forward(job, job.predicted_examples, job.max_length)


def comparison(job: Job) -> float:
    """Twice the model's operations and validation rows."""
    return 2 * inference(job)


def probing(job: Job) -> float:
    """The model's operations and depths, `probe.train_examples` and validation rows."""
    computing = _forward(job, job.probe_examples + job.rows["validation"], job.max_length)
    return computing + (job.size.num_layers + 1) * job.probe_examples * FITTING_SECONDS


def subset_scoring(job: Job) -> float:
    """The model's operations, calibration examples, `subsets.layer_evaluations` or, where it is less, all subsets."""
    subsets = job.size.num_layers if job.size.shares_layers else num_evaluations_of_all(job.size.stack)
    evaluations = min(job.layer_evaluations, subsets)
    one_layer = _forward(job, job.calibration_examples, job.max_length) / job.size.num_layers
    return evaluations * (one_layer + job.readout_rows * READOUT_SECONDS)


def reloading(job: Job) -> float:
    """The number of models."""
    return job.models * RELOADING_SECONDS


def exporting(job: Job) -> float:
    """The number of models."""
    return job.models * EXPORT_SECONDS


def quantising(job: Job) -> float:
    """The number of models."""
    return job.models * QUANTISING_SECONDS


def predicting_variants(job: Job) -> float:
    """The number of models, the model's operations and validation rows."""
    return VARIANTS_OF_A_MODEL * job.models * (inference(job) + RELOADING_SECONDS)


def serving(job: Job) -> float:
    """The number of layers, the model's operations and `measure`: starts, and rounds of texts at each batch size."""
    texts = (job.measure["repeats"] + 1) * len(job.measure["batch_sizes"]) * job.measure["texts"]
    answering = _forward(job, texts, job.max_length) + texts * SERVING_SECONDS
    return (job.size.num_layers + 1) * SERVERS_OF_A_DEPTH * (RELOADING_SECONDS + 2 * answering)


def delivering(job: Job) -> float:
    """Each form answers a few texts in a process of its own."""
    return 3 * RELOADING_SECONDS


def teaching(job: Job) -> float:
    """The model's operations, training rows and texts without labels."""
    return _forward(job, job.taught_examples, job.max_length)


def gradient_scoring(job: Job) -> float:
    """Three times the model's operations, and calibration examples."""
    return 3 * _forward(job, job.calibration_examples, job.max_length)


def racing(job: Job) -> float:
    """The model's operations, training rows and calibration examples, `race.epochs` and `race.shortlist`."""
    # The two of the last round train for `epochs`, those of each round before as long in all.
    rounds = math.ceil(math.log2(job.race["shortlist"]))
    epochs = 2 * rounds * job.race["epochs"]
    batch_size = min(settings["batch_size"] for settings in job.trainings)
    judging = 2 * job.race["shortlist"] * _forward(job, job.calibration_examples, job.max_length)
    return _training_seconds(job, job.rows["train"], epochs, batch_size) + judging


def timing(job: Job) -> float:
    """The model's operations and depths, and `measure`."""
    # Each round times every depth once. Half of that would do for the mean depth; the rest is for rounds to warm up.
    least = job.measure["texts"] if job.measure["task"] else 0
    texts = job.size.num_layers * job.measure["repeats"] * sum(max(size, least) for size in job.measure["batch_sizes"])
    return _forward(job, texts, job.measure["sequence_length"])


def _forward(job: Job, examples: int, tokens: int) -> float:
    """Seconds of a forward pass of the full model over so many examples of so many tokens."""
    rate = GPU_RATE if job.on_gpu else CPU_RATE * job.threads
    return examples * job.size.operations(job.size.num_layers, tokens) / rate
