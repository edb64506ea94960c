"""What a study will cost, told before it runs: runs, computing time and disk space, all of it roughly.

Counts floating-point operations as is usual, 6 for each parameter of the encoder and token trained on (2 to go forward,
4 to go back), and as many for attention as its two products take. Every run is counted, although identical ones are
trained once.
"""

import csv
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from shallower.families import family_of
from shallower.files import read_json
from shallower.grid import BASELINE, Run
from shallower.strategies import COUNT, LAYERS, STRATEGIES
from shallower.study import Study, local_task_files
from shallower.task_sources import SPLITS
from shallower.wording import counted, listed

# Operations a second. GPU: what a data-centre GPU reaches in bf16 with batches of some thousand tokens (assumed).
# CPU: of one core, in fp32; the median over the trainings of the example study.
GPU_RATE = 40e12
CPU_RATE = 45e9
# Small batches keep a GPU waiting for its host: seconds that a step takes at least, for each layer (assumed).
GPU_SECONDS_A_LAYER = 0.002

# Rows of GLUE's training and validation sets (for MNLI the matched one; paper, Table 1), and mean tokens in an example:
# measured with BERT's uncased vocabulary on the training sets, for MNLI, QNLI and QQP on parts of them.
GLUE_SIZES = {
    "cola": (8_551, 1_043, 11),
    "mnli": (392_702, 9_815, 39),
    "mrpc": (3_668, 408, 53),
    "qnli": (104_743, 5_463, 50),
    "qqp": (363_846, 40_430, 30),
    "rte": (2_490, 277, 67),
    "sst2": (67_349, 872, 13),
    "stsb": (5_749, 1_500, 28),
    "wnli": (635, 71, 37),
}
# For other tasks: tokens in a text, and rows of a data set that is on the hub.
TOKENS_A_TEXT = 25
HUB_ROWS = 10_000

# A model whose config.json is not here yet: of base size, with the vocabulary of the paper's model it stands for.
BASE_CONFIG = {
    "model_type": "bert",
    "num_hidden_layers": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "vocab_size": 30_522,
    "max_position_embeddings": 512,
}
COUNTERPART_CONFIGS = {
    "RoBERTa": {"vocab_size": 50_265},
    "XLNet": {"vocab_size": 32_000},
    "DistilBERT": {"num_hidden_layers": 6},
    "DistilRoBERTa": {"vocab_size": 50_265, "num_hidden_layers": 6},
    "ALBERT": {"vocab_size": 30_000, "embedding_size": 128, "model_type": "albert"},
}

BYTES_A_PARAMETER = 4
# A training holds the model it starts from, its result, and for a moment two checkpoints of weights and two moments.
COPIES_AT_WORK = 2 + 2 * 3
# A token of a task on disk: its text, its number and its type.
BYTES_A_TOKEN = 10


@dataclass(frozen=True)
class ModelSize:
    """What a model's cost depends on; parameters of one layer and of all that is not a layer."""

    num_layers: int
    hidden_size: int
    layer_parameters: int
    other_parameters: int
    shares_layers: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ModelSize":
        """The size of the model of a config.json, within some per cent: biases and norms are left out."""
        family = family_of(config)
        hidden = _first(config, "hidden_size", "dim", "d_model")
        inner = _first(config, "intermediate_size", "hidden_dim", "d_inner")
        # Four matrices of attention (XLNet's fifth is for relative positions) and two of the feed-forward network.
        attention = (5 if family.name == "xlnet" else 4) * hidden**2
        embedding = config.get("embedding_size", hidden)
        rows = config["vocab_size"] + max(0, config.get("max_position_embeddings", 0))
        factors = embedding * hidden if embedding != hidden else 0
        return cls(
            num_layers=family.num_layers(config),
            hidden_size=hidden,
            layer_parameters=attention + 2 * hidden * inner,
            other_parameters=rows * embedding + factors + hidden**2,  # the square: a head's dense layer
            shares_layers=family.shares_layers,
        )

    def bytes(self, depth: int) -> int:
        """Size of the file of weights of the model with so many layers."""
        layers = 1 if self.shares_layers else depth
        return BYTES_A_PARAMETER * (self.other_parameters + layers * self.layer_parameters)

    def operations(self, depth: int, tokens: float) -> float:
        """Operations of one forward pass of an example of so many tokens."""
        return 2 * tokens * depth * (self.layer_parameters + 2 * tokens * self.hidden_size)


@dataclass(frozen=True)
class TaskSize:
    """Rows of a task's training and validation set, and mean tokens in an example."""

    train_rows: int
    validation_rows: int
    tokens: float


@dataclass(frozen=True)
class Estimate:
    """What a study costs. Hours are those of either device, each doing all the work."""

    runs: Mapping[str, int]  # by origin, baselines first
    trainings: int
    gpu_hours: float
    cpu_core_hours: float
    model_bytes: int  # tuned models that are on disk at the same time
    input_bytes: int  # downloads, their copies and tokens
    work_bytes: int  # beside these, for each training at a time
    assumptions: tuple[str, ...]

    @property
    def peak_bytes(self) -> int:
        """Largest space on disk, with one training at a time."""
        return self.model_bytes + self.input_bytes + self.work_bytes


def estimate(study: Study, resources: str | Path = "resources") -> Estimate:
    """What a study will cost. Reads local files only; `resources` is where downloaded models are."""
    resources = Path(resources)
    entries = {entry["name"]: entry for entry in study.config["models"]}
    files = {name: _config_file(study, name, resources) for name in study.models}
    models = {
        name: ModelSize.of(read_json(file) if file.is_file() else _assumed_config(entries[name]))
        for name, file in files.items()
    }
    tasks = {name: _task_size(study, name) for name in study.tasks}
    trainings, operations, gpu_seconds, work_bytes = 0, 0.0, 0.0, 0
    for run in study.runs:
        model, task = models[run.model], tasks[run.task]
        predicting = task.validation_rows * model.operations(_depth(run, model), task.tokens)
        operations += predicting
        gpu_seconds += predicting / GPU_RATE
        for depth, settings in _trainings(study, run, model):
            steps = settings["epochs"] * math.ceil(task.train_rows / settings["batch_size"])
            training = 3 * settings["epochs"] * task.train_rows * model.operations(depth, task.tokens)
            trainings += 1
            operations += training
            gpu_seconds += max(training / GPU_RATE, steps * depth * GPU_SECONDS_A_LAYER)
            work_bytes = max(work_bytes, COPIES_AT_WORK * model.bytes(depth))
    # Baselines stay until all that is made of them is done, also where models are not kept.
    staying = [run for run in study.runs if study.config["keep_models"] or run.is_baseline]
    return Estimate(
        runs=Counter(run.origin for run in study.runs),
        trainings=trainings,
        gpu_hours=gpu_seconds / 3600,
        cpu_core_hours=operations / CPU_RATE / 3600,
        model_bytes=sum(models[run.model].bytes(_depth(run, models[run.model])) for run in staying),
        input_bytes=_input_bytes(study, models, tasks),
        work_bytes=work_bytes,
        assumptions=tuple(_assumptions(study, [name for name, file in files.items() if not file.is_file()])),
    )


def plan_text(study: Study, cost: Estimate) -> str:
    """The estimate in a few lines for people."""
    arms = [f"{count:,} {origin}" for origin, count in cost.runs.items() if origin != BASELINE]
    kinds = listed([counted(cost.runs[BASELINE], BASELINE), *arms])
    kept = "tuned models" if study.config["keep_models"] else "baselines that wait for what is made of them"
    lines = [
        f"Study {study.name}: {sum(cost.runs.values()):,} runs ({kinds}), {cost.trainings:,} trainings.",
        f"Time, roughly: {_time(cost.gpu_hours)} on a data-centre GPU, or"
        f" {_time(cost.cpu_core_hours)} on one CPU core.",
        f"Disk at its peak, roughly: {_size(cost.peak_bytes)} ({_size(cost.model_bytes)} of {kept}, "
        f"{_size(cost.input_bytes)} of downloads and tokens, {_size(cost.work_bytes)} for each training at a time).",
        *(f"  - {assumption}" for assumption in cost.assumptions),
    ]
    return "\n".join(lines)


def _config_file(study: Study, name: str, resources: Path) -> Path:
    definition = study.model_definition(name)
    if definition["source"] == "local":
        return Path(definition["directory"]) / "config.json"
    return resources / "models" / study.model_key(name) / "config.json"


def _assumed_config(entry: Mapping[str, Any]) -> dict[str, Any]:
    depth = {"num_hidden_layers": entry["num_layers"]} if "num_layers" in entry else {}
    return BASE_CONFIG | COUNTERPART_CONFIGS.get(entry.get("counterpart"), {}) | depth


def _first(config: Mapping[str, Any], *keys: str) -> int:
    return next(config[key] for key in keys if key in config)


def _depth(run: Run, model: ModelSize) -> int:
    return model.num_layers - _dropped(run)


def _dropped(run: Run) -> int:
    """Number of layers that a run drops: none as long as only a threshold is known."""
    if run.is_baseline:
        return 0
    kind = STRATEGIES[run.strategy].amount
    if kind is COUNT:
        return int(run.amount)
    return len(run.amount.split(".")) if kind is LAYERS else 0


def _trainings(study: Study, run: Run, model: ModelSize) -> list[tuple[int, Mapping[str, Any]]]:
    """Number of layers and settings of each training that a run takes, without the baseline it may start from."""
    if run.is_baseline:
        return [(model.num_layers, study.train_settings(run.task))]
    last = (_depth(run, model), study.refine_settings(run.task, run.origin))
    match run.origin:
        case "finetuned-frozen":
            return [(model.num_layers, study.train_settings(run.task)), last]
        case "gradual":
            stage = study.stage_settings(run.task)
            return [*((model.num_layers - gone, stage) for gone in range(_dropped(run))), last]
        case _:
            return [last]


def _task_size(study: Study, name: str) -> TaskSize:
    definition = study.task_definition(name)
    match definition["source"]:
        case "glue":
            *rows, tokens = GLUE_SIZES[definition["subset"]]
        case "installed-docs":
            rows, tokens = [], TOKENS_A_TEXT * (2 if definition["kind"] == "pair" else 1)
        case _:
            rows, tokens = [HUB_ROWS, HUB_ROWS], TOKENS_A_TEXT * len(definition["text"])
    if files := local_task_files(definition):
        rows = [_count_rows(Path(file)) for file in files]
    asked = [definition.get(f"{split}_examples") for split in SPLITS]
    train, validation = (wanted or found for wanted, found in zip(asked, rows or asked, strict=True))
    return TaskSize(train, validation, min(tokens, study.max_length(name)))


def _count_rows(file: Path) -> int:
    """Rows of a data file without its header."""
    if file.suffix == ".parquet":
        return pq.read_metadata(file).num_rows
    with file.open(encoding="utf-8", newline="") as lines:
        if file.suffix == ".jsonl":
            return sum(1 for line in lines if line.strip())
        if file.suffix == ".tsv":
            return sum(1 for line in lines) - 1
        return sum(1 for row in csv.reader(lines)) - 1


def _input_bytes(study: Study, models: Mapping[str, ModelSize], tasks: Mapping[str, TaskSize]) -> int:
    # What comes from the hub is in its cache, too.
    copies = {name: 2 if study.model_definition(name)["source"] == "hub" else 1 for name in models}
    weights = sum(copies[name] * model.bytes(model.num_layers) for name, model in models.items())
    tokens = sum((task.train_rows + task.validation_rows) * task.tokens for task in tasks.values())
    return round(weights + len(models) * tokens * BYTES_A_TOKEN)


def _assumptions(study: Study, unknown_models: list[str]) -> list[str]:
    found = [
        f"A GPU is taken to do {GPU_RATE / 1e12:.0f} TFLOP/s, and no step in less than"
        f" {1000 * GPU_SECONDS_A_LAYER:.0f} ms a layer; a CPU core {CPU_RATE / 1e9:.0f} GFLOP/s."
        " Runs that turn out identical are trained once, but each is counted."
    ]
    if unknown_models:
        found.append(f"Not downloaded yet, so taken to be of base size: {listed(unknown_models)}.")
    sources = {name: study.task_definition(name)["source"] for name in study.tasks}
    if others := [name for name, source in sources.items() if source != "glue"]:
        found.append(f"Texts are taken to have {TOKENS_A_TEXT} tokens: {listed(others)}.")
    hub = [
        name for name in study.tasks if sources[name] == "hub" and "train_examples" not in study.task_definition(name)
    ]
    if hub:
        found.append(f"Not downloaded yet, so taken to have {HUB_ROWS:,} rows: {listed(hub)}.")
    arms = {run.strategy for run in study.runs if not run.is_baseline}
    if open_ended := sorted(name for name in arms if STRATEGIES[name].amount not in (COUNT, LAYERS)):
        found.append(f"How much is dropped is not known beforehand, so taken to be nothing: {listed(open_ended)}.")
    return found


def _rounded(number: float) -> str:
    """Two digits that count: 1,200 or 0.34."""
    if number <= 0:
        return "0"
    decimals = 1 - math.floor(math.log10(number))
    return f"{round(number, decimals):,.{max(0, decimals)}f}"


def _time(hours: float) -> str:
    return f"{_rounded(hours)} hours" if hours >= 1 else f"{_rounded(60 * hours)} minutes"


def _size(size: float) -> str:
    unit, factor = next(((unit, f) for unit, f in (("TB", 1e12), ("GB", 1e9)) if size >= f), ("MB", 1e6))
    return f"{_rounded(size / factor)} {unit}"
