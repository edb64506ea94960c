"""Memory that a step with a model needs, in MB (10^6 bytes), from the model's size and the study's settings.

Each figure is the process with its libraries, the copies of the weights that it holds at once, and what its layers
keep for a batch. The constants stand here and nowhere else; they were chosen above what finished studies had used
(benchmarks/check_resources.py). The number of threads makes no difference that could be measured.
"""

from shallower.models.size import ModelSize
from shallower.study.study import Study

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
# The tokenizer's process.
TOKENIZER_PROCESS = 450

# Training holds weights, gradients and two moments; loading, the file and the tensors.
TRAINING_COPIES = 4
LOADING_COPIES = 2
# Numbers that a layer keeps for each token: so many times its hidden size, and for each head so many times the length.
KEPT_HIDDEN = 25
KEPT_ATTENTION = 3
# Tokens of a batch when nothing is trained, unless one text is longer.
INFERENCE_TOKENS = 1024
# Memory for each byte of a data file while it is tokenised: its text, unpacked, and its tokens.
BYTES_A_FILE_BYTE = 8


def step_mb(
    step: str, study: Study, size: ModelSize, task: str | None = None, origin: str | None = None, on_gpu: bool = False
) -> int:
    """What a step of a study takes for a model of a size; `step` is the name of its script.

    `task` is None for steps without one, `origin` for baselines and where it makes no difference.
    """
    match step:
        case "finetune":
            return training_mb(size, _largest_batch(study, task, origin), study.max_length(task), on_gpu)
        case "predict" | "score_layers" | "reload_models":
            return inference_mb(size, study.max_length(task), on_gpu=on_gpu)
        case "compare_states":
            return inference_mb(size, study.max_length(task), models=2, on_gpu=on_gpu)
        case "probe_layers":
            return probing_mb(size, study.max_length(task), study.config["probe"]["train_examples"], on_gpu)
        case "measure_cost":
            measure = study.config["measure"]
            return timing_mb(size, max(measure["batch_sizes"]), measure["sequence_length"], on_gpu)
        case "drop_layers":
            return surgery_mb(size)
        case _:
            raise ValueError(f"no formula for the memory of {step}")


def training_mb(size: ModelSize, batch_size: int, max_length: int, on_gpu: bool = False) -> int:
    """Fine-tuning a model, with batches of so many texts of at most `max_length` tokens."""
    weights = size.bytes(size.num_layers)
    if on_gpu:
        return round(GPU_PROCESS + LOADING_COPIES * weights / MB)
    kept = size.num_layers * _layer_bytes(size, batch_size * max_length, max_length)
    return round(TRAINING_PROCESS + (TRAINING_COPIES * weights + kept) / MB)


def inference_mb(size: ModelSize, max_length: int, models: int = 1, on_gpu: bool = False) -> int:
    """Predicting, or reading vectors at all depths, with so many models of this size at once."""
    weights = LOADING_COPIES * size.bytes(size.num_layers)
    if on_gpu:
        return round(GPU_PROCESS + models * weights / MB)
    tokens = max(INFERENCE_TOKENS, max_length)
    states = 4 * (size.num_layers + 1) * tokens * size.hidden_size
    return round(PROCESS + models * (weights + states + _layer_bytes(size, tokens, max_length)) / MB)


def probing_mb(size: ModelSize, max_length: int, examples: int, on_gpu: bool = False) -> int:
    """Reading the vectors of so many examples at all depths, and fitting a linear model to each depth's."""
    vectors = 4 * (size.num_layers + 1) * examples * size.hidden_size
    one_depth = 2 * 8 * examples * size.hidden_size  # as float64, before and after it is standardised
    learning = PROBING_PROCESS - PROCESS + round((2 * vectors + one_depth) / MB)
    return learning + inference_mb(size, max_length, on_gpu=on_gpu)


def timing_mb(size: ModelSize, batch_size: int, sequence_length: int, on_gpu: bool = False) -> int:
    """Forward passes of a model at every depth; the depths share their weights."""
    weights = LOADING_COPIES * size.bytes(size.num_layers)
    if on_gpu:
        return round(GPU_PROCESS + weights / MB)
    return round(PROCESS + (weights + _layer_bytes(size, batch_size * sequence_length, sequence_length)) / MB)


def surgery_mb(size: ModelSize) -> int:
    """Writing a checkpoint with fewer layers: the whole file may be mapped."""
    return round(SMALL_PROCESS + size.bytes(size.num_layers) / MB)


def tokenizing_mb(file_bytes: int) -> int:
    """Tokenising data files of so many bytes together."""
    return round(TOKENIZER_PROCESS + BYTES_A_FILE_BYTE * file_bytes / MB)


def _largest_batch(study: Study, task: str, origin: str | None) -> int:
    """Texts in the largest batch of any training of an origin's runs."""
    return max(settings["batch_size"] for settings in study.tunings(task, origin))


def _layer_bytes(size: ModelSize, tokens: int, length: int) -> int:
    """What one layer keeps of a batch of so many tokens, in texts of so many."""
    return 4 * tokens * (KEPT_HIDDEN * size.hidden_size + KEPT_ATTENTION * size.num_heads * length)
