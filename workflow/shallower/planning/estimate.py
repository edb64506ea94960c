"""What a study will cost, told before it runs: runs, computing time and disk space, all of it roughly.

Counts floating-point operations as is usual, 6 for each parameter of the encoder and token trained on (2 to go forward,
4 to go back), and as many for attention as its two products take. Trainings that will be identical are counted once, as
far as positions tell; that others turn out identical once layers are scored is not known beforehand.
"""

import csv
import importlib.metadata
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from shallower.core.files import canonical_json, read_json
from shallower.core.runs import BASELINE, Run
from shallower.core.wording import counted, listed
from shallower.models.size import ModelSize, assumed_config
from shallower.sources.task_sources import SPLITS
from shallower.study.study import Study, local_task_files
from shallower.surgery.strategies import COUNT, LAYERS, STRATEGIES, drop_order

# Operations a second. GPU: what a data-centre GPU reaches in bf16 with batches of some thousand tokens (assumed).
# CPU: of one core, in fp32; the median over the trainings of the default study (batches of 8).
GPU_RATE = 40e12
CPU_RATE = 50e9
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

# Checkpoints of a training: weights and two moments, so many seconds apart; a new one is there before the old one goes.
CHECKPOINT_COPIES = 3
CHECKPOINT_SECONDS = 60
MOST_CHECKPOINTS = 2
# A token of a task on disk: its text, its number and its type.
BYTES_A_TOKEN = 10
# A tokenizer's file, for each word of its vocabulary.
TOKENIZER_BYTES_A_WORD = 23
# Predictions, scores and logs of a run with Snakemake's notes on its jobs; tables, figures and the page of a study.
RUN_BYTES = 250_000
STUDY_BYTES = 2_000_000


@dataclass(frozen=True)
class TaskSize:
    """Rows of a task's training and validation set, and mean tokens in an example."""

    train_rows: int
    validation_rows: int
    tokens: float


@dataclass(frozen=True)
class Training:
    """One training of a run: its number of layers, its settings, and a key that identical trainings have in common."""

    depth: int
    settings: Mapping[str, Any]
    key: tuple[Any, ...]


@dataclass(frozen=True)
class Estimate:
    """What a study costs. Hours are those of either device, each doing all the work."""

    runs: Mapping[str, int]  # by origin, baselines first
    trainings: int
    copies: int  # trainings beyond these, whose result is that of an identical one
    gpu_hours: float
    cpu_core_hours: float
    model_bytes: int  # tuned models that are on disk at the same time
    input_bytes: int  # downloads, their copies and tokens
    table_bytes: int  # what runs leave beside models
    work_bytes: int  # beside these, for each training at a time
    assumptions: tuple[str, ...]

    @property
    def peak_bytes(self) -> int:
        """Largest space on disk, with one training at a time."""
        return self.model_bytes + self.input_bytes + self.table_bytes + self.work_bytes


def estimate(study: Study, resources: str | Path = "resources") -> Estimate:
    """What a study will cost. Reads local files only; `resources` is where downloaded models are."""
    resources = Path(resources)
    files = {name: config_file(study, name, resources) for name in study.models}
    models = {name: model_size(study, name, resources) for name in study.models}
    tasks = {name: task_size(study, name) for name in study.tasks}
    on_gpu = study.config["compute"]["device"] == "cuda"
    kept: set[tuple[Any, ...]] = set()
    trainings, copies, operations, gpu_seconds, work_bytes = 0, 0, 0.0, 0.0, [0]
    for run in study.runs:
        model, task = models[run.model], tasks[run.task]
        predicting = task.validation_rows * model.operations(_depth(run, model), task.tokens)
        operations += predicting
        gpu_seconds += predicting / GPU_RATE
        needed = _trainings(study, run, model)
        for training in needed:
            if training.key in kept:
                copies += 1
                continue
            trainings += 1
            epochs, batch_size = training.settings["epochs"], training.settings["batch_size"]
            steps = epochs * math.ceil(task.train_rows / batch_size)
            work = 3 * epochs * task.train_rows * model.operations(training.depth, task.tokens)
            seconds = max(work / GPU_RATE, steps * training.depth * GPU_SECONDS_A_LAYER)
            operations += work
            gpu_seconds += seconds
            if not run.is_baseline:
                work_bytes.append(_work_bytes(model, training.depth, seconds if on_gpu else work / CPU_RATE))
        # Only what stays can be copied: not what was trained on the way to a run, and no model that is deleted.
        if run.is_baseline or study.config["keep_models"]:
            kept.add(needed[-1].key)
    # Baselines stay until all that is made of them is done, also where models are not kept.
    staying = [run for run in study.runs if study.config["keep_models"] or run.is_baseline]
    return Estimate(
        runs=Counter(run.origin for run in study.runs),
        trainings=trainings,
        copies=copies,
        gpu_hours=gpu_seconds / 3600,
        cpu_core_hours=operations / CPU_RATE / 3600,
        model_bytes=sum(_model_bytes(study, run, models[run.model]) for run in staying),
        input_bytes=_input_bytes(study, models, tasks),
        table_bytes=STUDY_BYTES + sum(RUN_BYTES + _tokenizer_bytes(models[run.model]) for run in study.runs),
        work_bytes=max(work_bytes),
        assumptions=tuple(_assumptions(study, [name for name, file in files.items() if not file.is_file()])),
    )


def config_file(study: Study, name: str, resources: str | Path = "resources") -> Path:
    """Where the config.json of a model of the study is, or will be once it is downloaded.

    Until then that of an installed package is in the package.
    """
    definition = study.model_definition(name)
    if definition["source"] == "local":
        return Path(definition["directory"]) / "config.json"
    downloaded = Path(resources) / "models" / study.model_key(name) / "config.json"
    if definition["source"] == "package" and not downloaded.is_file():
        try:
            package = importlib.metadata.distribution(definition["package"])
        except importlib.metadata.PackageNotFoundError:
            return downloaded
        if package.version == definition["version"]:
            return Path(package.locate_file(definition["path"])) / "config.json"
    return downloaded


def model_size(study: Study, name: str, resources: str | Path = "resources") -> ModelSize:
    """Size of a model of the study: by its config.json, or as assumed until that is here."""
    file = config_file(study, name, resources)
    if file.is_file():
        return ModelSize.of(read_json(file))
    return ModelSize.of(assumed_config(next(entry for entry in study.config["models"] if entry["name"] == name)))


def plan_text(study: Study, cost: Estimate) -> str:
    """The estimate in a few lines for people."""
    arms = [f"{count:,} {origin}" for origin, count in cost.runs.items() if origin != BASELINE]
    kinds = listed([counted(cost.runs[BASELINE], BASELINE), *arms])
    copied = f"; {cost.copies:,} more are copies of identical ones" if cost.copies else ""
    kept = "tuned models" if study.config["keep_models"] else "baselines that wait for what is made of them"
    lines = [
        f"Study {study.name}: {sum(cost.runs.values()):,} runs ({kinds}), {cost.trainings:,} trainings{copied}.",
        f"Time, roughly: {_time(cost.gpu_hours)} on a data-centre GPU, or"
        f" {_time(cost.cpu_core_hours)} on one CPU core.",
        f"Disk at its peak, roughly: {_size(cost.peak_bytes)} ({_size(cost.model_bytes)} of {kept}, "
        f"{_size(cost.input_bytes)} of downloads and tokens, {_size(cost.table_bytes)} of tokenizers and tables, "
        f"{_size(cost.work_bytes)} for each training at a time).",
        *(f"  - {assumption}" for assumption in cost.assumptions),
    ]
    return "\n".join(lines)


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


def _trainings(study: Study, run: Run, model: ModelSize) -> list[Training]:
    """The trainings that a run takes, its own last, without the baseline it may start from."""
    train = study.train_settings(run.task)
    place = (run.model, run.task, run.seed)
    whole = Training(model.num_layers, train, (*place, canonical_json(train)))
    if run.is_baseline:
        return [whole]
    gone = _gone(study, run, model)
    before = [] if run.origin == "pretrained" else [whole]
    if run.origin == "finetuned-frozen":
        before = [Training(model.num_layers, train, (*whole.key, "frozen", gone))]
    if run.origin == "gradual":
        stage, key = study.stage_settings(run.task), place
        before = []
        for number in range(_dropped(run)):
            key = (*key, gone, number, canonical_json(stage)) if number else (*key, canonical_json(stage))
            before.append(Training(model.num_layers - number, stage, key))
    last = study.refine_settings(run.task, run.origin)
    start = before[-1].key if before else place
    before = [] if run.origin == "finetuned" else before
    return [*before, Training(_depth(run, model), last, (*start, gone, canonical_json(last)))]


def _gone(study: Study, run: Run, model: ModelSize) -> Any:
    """What tells which layers a run drops: those layers, in their order where it counts, or what chooses them."""
    strategy = STRATEGIES[run.strategy]
    if model.shares_layers and strategy.amount in (COUNT, LAYERS):
        return _dropped(run)
    if strategy.needs_scores:
        return run.strategy, run.amount
    order = drop_order(run.strategy, model.num_layers, study.amount(run.strategy, run.amount))
    return tuple(order if run.origin == "gradual" else sorted(order))


def _work_bytes(model: ModelSize, depth: int, seconds: float) -> int:
    """What a training needs on disk beside its result: the checkpoint it starts from, and its own."""
    checkpoints = min(MOST_CHECKPOINTS, int(seconds // CHECKPOINT_SECONDS))
    return (1 + CHECKPOINT_COPIES * checkpoints) * model.bytes(depth)


def _model_bytes(study: Study, run: Run, model: ModelSize) -> int:
    # Baselines stay as they are: what is made of them starts from their exact weights.
    return model.bytes(_depth(run, model), "fp32" if run.is_baseline else study.config["kept_weights"])


def _tokenizer_bytes(model: ModelSize) -> int:
    return TOKENIZER_BYTES_A_WORD * model.vocabulary


def task_size(study: Study, name: str) -> TaskSize:
    """Rows and mean tokens of a task: of its files where they are here, else as published or assumed."""
    definition = study.task_definition(name)
    match definition["source"]:
        case "glue":
            *rows, tokens = GLUE_SIZES[definition["subset"]]
        case _:
            rows, tokens = [HUB_ROWS, HUB_ROWS], TOKENS_A_TEXT * len(definition["text"])
    if files := local_task_files(definition):
        rows = [_count_rows(Path(file), has_header="columns" not in definition) for file in files]
    asked = [definition.get(f"{split}_examples") for split in SPLITS]
    train, validation = (wanted or found for wanted, found in zip(asked, rows, strict=True))
    return TaskSize(train, validation, min(tokens, study.max_length(name)))


def _count_rows(file: Path, has_header: bool) -> int:
    """Rows of a data file without its header."""
    if file.suffix == ".parquet":
        return pq.read_metadata(file).num_rows
    with file.open(encoding="utf-8", newline="") as lines:
        if file.suffix == ".jsonl":
            return sum(1 for line in lines if line.strip())
        if file.suffix == ".tsv":
            return sum(1 for line in lines) - has_header
        return sum(1 for row in csv.reader(lines)) - has_header


def _input_bytes(study: Study, models: Mapping[str, ModelSize], tasks: Mapping[str, TaskSize]) -> int:
    # What comes from the hub is in its cache, too.
    copies = {name: 2 if study.model_definition(name)["source"] == "hub" else 1 for name in models}
    weights = sum(
        copies[name] * (model.bytes(model.num_layers) + _tokenizer_bytes(model)) for name, model in models.items()
    )
    tokens = sum((task.train_rows + task.validation_rows) * task.tokens for task in tasks.values())
    return round(weights + len(models) * tokens * BYTES_A_TOKEN)


def _assumptions(study: Study, unknown_models: list[str]) -> list[str]:
    found = [
        f"A GPU is taken to do {GPU_RATE / 1e12:.0f} TFLOP/s, and no step in less than"
        f" {1000 * GPU_SECONDS_A_LAYER:.0f} ms a layer; a CPU core {CPU_RATE / 1e9:.0f} GFLOP/s."
        " More runs may turn out identical, which are trained once."
    ]
    if unknown_models:
        found.append(f"Not downloaded yet, so taken to be of base size: {listed(unknown_models)}.")
    sources = {name: study.task_definition(name)["source"] for name in study.tasks}
    if others := [name for name, source in sources.items() if source != "glue"]:
        found.append(f"Texts are taken to have {TOKENS_A_TEXT} tokens: {listed(others)}.")
    hub = [
        name
        for name in study.tasks
        if sources[name] in ("hub", "package") and "train_examples" not in study.task_definition(name)
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
