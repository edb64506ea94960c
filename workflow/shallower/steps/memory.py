"""Memory that a job needs, in MB (10^6 bytes).

Each formula adds up the process with its libraries, the copies of the weights that it holds at once, and what layers
keep for a batch. The constants are defined here only; they were chosen above what finished studies had used
(benchmarks/check_resources.py). The number of threads makes no measurable difference.
"""

from dataclasses import replace

from shallower.core.limits import CPU_TOKENS, GRADIENT_TOKENS, TEXT_BYTES
from shallower.models.size import ModelSize
from shallower.serving.served_models import models_at_once
from shallower.steps.job import Job

MB = 1e6

# Python with torch and transformers, and what the memory allocator keeps for itself: more in training, where batches
# differ in length.
PROCESS = 540
TRAINING_PROCESS = 620
# The same with scikit-learn.
PROBING_PROCESS = 640
# With a GPU: the same with CUDA's libraries and buffers in host memory (assumed).
GPU_PROCESS = 5000
# Python without torch.
SMALL_PROCESS = 150
# Python with a tokenizer.
TOKENIZER_PROCESS = 450

# Training holds weights, gradients and two moments; loading holds the file and the tensors.
TRAINING_COPIES = 4
LOADING_COPIES = 2
# Numbers that a layer keeps for each token: multiples of its hidden size and, for each head, of the text's length.
HIDDEN_ACTIVATIONS = 25
# Of the former, those of the feed-forward network; with a gate these are multiples of the gate's size instead.
FORWARD_ACTIVATIONS = 8
GATED_ACTIVATIONS = 4
ATTENTION_ACTIVATIONS = 3
# The same where attention compares with relative positions, for each of them: multiples of the hidden size for a text,
# and of the heads for each token (a DeBERTa of six layers had 1.3).
POSITION_ACTIVATIONS = 1.5
# Copies of a task's texts while they are tokenized; bytes of a token, in the tokenizer's pieces and joined; bytes that
# a tokenizer takes for each byte of what it is given at once.
TEXT_COPIES = 2
TOKEN_BYTES = 15
# Tokens of a byte of text, and further ones of an example, at most; natural text has one for three bytes.
TOKENS_PER_BYTE = 0.5
SPECIAL_TOKENS = 4
TOKENIZER_BYTES = 130
# Python with torch, transformers and ONNX's packages while a graph is traced; with onnx and onnxruntime.
EXPORT_PROCESS = 1000
QUANTISING_PROCESS = 400
# Copies of the weights in what is read, traced or prepared, and written (counted in the code).
EXPORT_COPIES = 5
# Of processes that serve at the same time: what each takes besides weights by torch and by ONNX Runtime, and what they
# share, the libraries.
TORCH_SERVER, ONNX_SERVER, SERVING_LIBRARIES = 300, 60, 500
# Forms of a model in each vocabulary: by torch, and by ONNX Runtime in two precisions. On a GPU torch has these, too.
TORCH_FORMS, ONNX_FORMS, GPU_PRECISIONS = 1, 2, 2
# Python with pyarrow and pandas, and one form that answers by ONNX Runtime.
DELIVERING_PROCESS = 350
# Python with scipy, and what resamples take at once.
SCORING_PROCESS = 330
# Copies of the logits of all examples where they are computed, and where they are read and scored.
PREDICTED_COPIES = 5
SCORED_COPIES = 8
# Bytes of a number of a teacher's vectors, as they are stored.
HALF_BYTES = 2
# Bytes of each token while texts are made from it, and of each token and text that is made (counted in the code).
AUGMENTED_TOKEN_BYTES = 80
MADE_TOKEN_BYTES = 10
MADE_TEXT_BYTES = 120


def training(job: Job) -> int:
    """Weights, gradients and moments, a teacher's answers and, on a CPU, the activations of the largest batch."""
    size = job.size
    weights = size.bytes(size.num_layers)
    is_taught = any("distill" in settings for settings in job.trainings)
    vectors = HALF_BYTES * size.hidden_size * job.teaches_vectors
    answers = LOADING_COPIES * job.taught_examples * (4 * job.outputs + vectors) * is_taught
    if job.on_gpu:
        return round(GPU_PROCESS + (LOADING_COPIES * weights + answers) / MB)
    batch_size = max(settings["batch_size"] for settings in job.trainings)
    activations = size.num_layers * _layer_bytes(size, batch_size * job.max_length, job.max_length)
    return round(TRAINING_PROCESS + (TRAINING_COPIES * weights + activations + answers) / MB)


def inference(job: Job, models: int = 1) -> int:
    """Weights, the examples' logits and, on a CPU, hidden states at all depths."""
    size = job.size
    weights = LOADING_COPIES * size.bytes(size.num_layers)
    logits = PREDICTED_COPIES * _logit_bytes(job)
    if job.on_gpu:
        return round(GPU_PROCESS + (models * weights + logits) / MB)
    tokens = max(CPU_TOKENS, job.max_length)
    states = 4 * (size.num_layers + 1) * tokens * size.hidden_size
    computing = models * (weights + states + _layer_bytes(size, tokens, job.max_length))
    return round(PROCESS + (computing + logits) / MB)


def comparison(job: Job) -> int:
    """Weights and, on a CPU, hidden states of two models."""
    return inference(job, models=2)


def probing(job: Job) -> int:
    """Weights, and the examples' hidden states at all depths."""
    vectors = 4 * (job.size.num_layers + 1) * job.probe_examples * job.size.hidden_size
    one_depth = 2 * 8 * job.probe_examples * job.size.hidden_size  # as float64, before and after it is standardised
    return PROBING_PROCESS - PROCESS + round((2 * vectors + one_depth) / MB) + inference(job)


def subset_scoring(job: Job) -> int:
    """Weights and, of all calibration examples, the states after each layer."""
    size = job.size
    states = 4 * (size.num_layers + 1) * job.calibration_examples * job.max_length * size.hidden_size
    # As float64: vectors of two kinds, before and after they are standardised, and their squares.
    readout = 8 * size.hidden_size * (4 * job.readout_rows + 4 * size.hidden_size)
    on_host = 0 if job.on_gpu else states
    return PROBING_PROCESS - PROCESS + round((on_host + readout) / MB) + inference(job)


def teaching(job: Job) -> int:
    """Weights, the answers to training examples and texts without labels and, on a CPU, hidden states at all depths."""
    vectors = PREDICTED_COPIES * 4 * job.taught_examples * job.size.hidden_size * job.teaches_vectors
    return round(vectors / MB) + inference(replace(job, rows={**job.rows, "validation": job.taught_examples}))


def gradient_scoring(job: Job) -> int:
    """Weights and gradients and, on a CPU, the activations of the largest batch."""
    size = job.size
    weights = (1 + LOADING_COPIES) * size.bytes(size.num_layers)
    if job.on_gpu:
        return round(GPU_PROCESS + weights / MB)
    tokens = max(GRADIENT_TOKENS, job.max_length)
    activations = size.num_layers * _layer_bytes(size, tokens, job.max_length)
    return round(TRAINING_PROCESS + (weights + activations) / MB)


def timing(job: Job) -> int:
    """Weights, which the depths share, and the activations of the largest batch."""
    size = job.size
    weights = LOADING_COPIES * size.bytes(size.num_layers)
    if job.on_gpu:
        return round(GPU_PROCESS + weights / MB)
    length = job.measure["sequence_length"]
    return round(PROCESS + (weights + _layer_bytes(size, max(job.measure["batch_sizes"]) * length, length)) / MB)


def exporting(job: Job) -> int:
    """Weights as they are read, in the graph and in its copy."""
    return round(EXPORT_PROCESS + EXPORT_COPIES * job.size.bytes(job.size.num_layers) / MB)


def quantising(job: Job) -> int:
    """Weights as they are read, prepared and rounded."""
    return round(QUANTISING_PROCESS + EXPORT_COPIES * job.size.bytes(job.size.num_layers) / MB)


def serving(job: Job) -> int:
    """The full model and some more in every form, each in a process of its own."""
    full_bytes = job.size.bytes(job.size.num_layers)
    weights = LOADING_COPIES * full_bytes / MB
    # In one vocabulary or in both, of fewer models at a time.
    models = max(number * models_at_once(full_bytes, number * (TORCH_FORMS + ONNX_FORMS)) for number in (1, 2))
    by_torch = 1 + models * TORCH_FORMS
    on_cpu = by_torch * (TORCH_SERVER + weights) + models * ONNX_FORMS * (ONNX_SERVER + weights)
    # They serve after the others, and share CUDA's libraries (assumed).
    on_gpu = GPU_PROCESS + GPU_PRECISIONS * by_torch * (TORCH_SERVER + weights) if job.on_gpu else 0
    return round(SMALL_PROCESS + max(SERVING_LIBRARIES + on_cpu, on_gpu))


def delivering(job: Job) -> int:
    """One form after the other answers in a process of its own; weights are copied as files."""
    return round(DELIVERING_PROCESS + LOADING_COPIES * job.size.bytes(job.size.num_layers) / MB)


def surgery(job: Job) -> int:
    """The file of weights, which may be mapped as a whole."""
    return round(SMALL_PROCESS + job.size.bytes(job.size.num_layers) / MB)


def tokenizing(job: Job) -> int:
    """The task's texts and tokens."""
    at_once = TOKENIZER_BYTES * min(job.text_bytes, TEXT_BYTES)
    return round(TOKENIZER_PROCESS + (at_once + TEXT_COPIES * job.text_bytes + TOKEN_BYTES * _tokens(job)) / MB)


def augmenting(job: Job) -> int:
    """The task's tokens, and those of the texts that are made from them."""
    per_token = AUGMENTED_TOKEN_BYTES + MADE_TOKEN_BYTES * job.copies
    texts = sum(job.rows.values()) * (1 + job.copies)
    return round(TOKENIZER_PROCESS + (per_token * _tokens(job) + MADE_TEXT_BYTES * texts) / MB)


def scoring(job: Job) -> int:
    """The examples' logits."""
    return round(SCORING_PROCESS + SCORED_COPIES * _logit_bytes(job) / MB)


def _tokens(job: Job) -> float:
    """Tokens of a task's texts, at most."""
    rows = sum(job.rows.values())
    return min(rows * job.max_length, TOKENS_PER_BYTE * job.text_bytes + rows * SPECIAL_TOKENS)


def _logit_bytes(job: Job) -> int:
    return 4 * job.predicted_examples * job.outputs


def _layer_bytes(size: ModelSize, tokens: int, length: int) -> int:
    """Bytes that one layer keeps for a batch of so many tokens, in texts of `length` tokens."""
    hidden = HIDDEN_ACTIVATIONS * size.hidden_size
    if size.gate_size:
        hidden += GATED_ACTIVATIONS * size.gate_size - FORWARD_ACTIVATIONS * size.hidden_size
    attention = ATTENTION_ACTIVATIONS * size.num_heads * length
    # Each text has its own copy of what relative positions are to attention, and a score for each of them.
    positions = POSITION_ACTIVATIONS * size.relative_positions * (size.hidden_size / max(1, length) + size.num_heads)
    return round(4 * tokens * (hidden + attention + positions))
