"""The plan of a study: its runs, and a rough estimate of computing time and disk space before anything runs.

Counts floating-point operations as usual: 6 for each parameter of the encoder and token trained on (2 forward, 4
backward), and those of the two products of attention. Trainings that will be identical are counted once, as far as the
layers' positions show; which others turn out identical once layers are scored is not known beforehand.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from shallower.core.files import canonical_json
from shallower.core.runs import BASELINE, Run
from shallower.core.variants import FULL, INT8, ONNX, TORCH, made_runtimes
from shallower.core.wording import counted, listed
from shallower.models.size import ModelSize
from shallower.planning.sizes import (
    ASSUMED_ROWS,
    TOKENS_PER_TEXT,
    TaskSize,
    config_file,
    model_size,
    task_size,
)
from shallower.planning.text_checks import text_warnings, unlabelled_notes
from shallower.sources.model_sources import model_source
from shallower.steps.runtime import CPU_RATE, GPU_RATE, GPU_SECONDS_PER_LAYER
from shallower.study.study import Study
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES, check_amount, drop_order

# A training checkpoint holds weights and two moments. The old one is deleted after the next one is written.
CHECKPOINT_COPIES = 3
MAX_CHECKPOINTS = 2
# A token of a task on disk: its text, its id and its type.
BYTES_PER_TOKEN = 10
# A tokenizer's file, for each token of its vocabulary.
TOKENIZER_BYTES_PER_TOKEN = 23
# Bytes of a model in each runtime, as a share of those in fp32.
SHARES = {TORCH: 1.0, ONNX: 1.0, INT8: 0.26}
# Predictions, scores and logs of a run with Snakemake's metadata on its jobs; tables, figures and the page of a study.
RUN_BYTES = 250_000
STUDY_BYTES = 2_000_000


@dataclass(frozen=True)
class Training:
    """One training of a run: its number of layers, its settings, and a key that identical trainings share."""

    depth: int
    settings: Mapping[str, Any]
    key: tuple[Any, ...]


@dataclass(frozen=True)
class Plan:
    """What a study runs and what that costs. Hours are those of either device if it does all the work.

    Attributes:
        runs: number of runs by origin, baselines first.
        operations: floating-point operations of each run, by its folder; few where a result is copied.
        trainings: number of trainings.
        copies: further trainings, whose result is copied from an identical one.
        gpu_hours: hours on a data-centre GPU.
        cpu_core_hours: hours on one CPU core.
        model_bytes: fine-tuned models on disk at the same time.
        variant_bytes: these in the forms in which they may be delivered, and what is delivered.
        input_bytes: downloads, their copies and tokens.
        table_bytes: other files of runs, the vectors of teachers among them, and of the study.
        work_bytes: further space for each training that runs at a time.
        assumptions: sentences about what is assumed.
        notes: what is found of texts without labels, by task.
        warnings: what may be wrong with the texts.
    """

    runs: Mapping[str, int]
    operations: Mapping[str, float]
    trainings: int
    copies: int
    gpu_hours: float
    cpu_core_hours: float
    model_bytes: int
    variant_bytes: int
    input_bytes: int
    table_bytes: int
    work_bytes: int
    assumptions: tuple[str, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int:
        """Largest space on disk, with one training at a time."""
        return self.model_bytes + self.variant_bytes + self.input_bytes + self.table_bytes + self.work_bytes


def plan_study(study: Study, resources: str | Path = "resources") -> Plan:
    """The plan of a study. Reads local files only; `resources` is where downloaded models are."""
    resources = Path(resources)
    files = {name: config_file(study, name, resources) for name in study.models}
    models = {name: model_size(study, name, resources) for name in study.models}
    tasks = {name: task_size(study, name, resources) for name in study.tasks}
    on_gpu = study.config["compute"]["device"] == "cuda"
    kept: set[tuple[Any, ...]] = set()
    teachers: set[tuple[str, str, int]] = set()
    trainings, copies, gpu_seconds, work_bytes = 0, 0, 0.0, [0]
    operations: dict[str, float] = {}
    for run in study.runs:
        model, task = models[run.model], tasks[run.task]
        predicting = (task.validation_rows + task.test_rows) * model.operations(_depth(study, run, model), task.tokens)
        operations[run.directory] = predicting
        gpu_seconds += predicting / GPU_RATE
        needed = _trainings(study, run, model)
        for training in needed:
            if training.key in kept:
                copies += 1
                continue
            trainings += 1
            epochs, batch_size = training.settings["epochs"], training.settings["batch_size"]
            rows = task.train_rows
            if "distill" in training.settings:
                rows += task.unlabelled_rows
                teachers.add((run.model, run.task, run.seed))
            steps = epochs * math.ceil(rows / batch_size)
            work = 3 * epochs * rows * model.operations(training.depth, task.tokens)
            seconds = max(work / GPU_RATE, steps * training.depth * GPU_SECONDS_PER_LAYER)
            operations[run.directory] += work
            gpu_seconds += seconds
            if not run.is_baseline:
                duration = seconds if on_gpu else work / CPU_RATE
                checkpoints = min(MAX_CHECKPOINTS, int(duration // study.config["compute"]["checkpoint_seconds"]))
                work_bytes.append((1 + CHECKPOINT_COPIES * checkpoints) * model.bytes(training.depth))
        # Only what stays on disk can be copied: neither preparations of a run nor models that are deleted.
        if run.is_baseline or study.config["keep_models"]:
            kept.add(needed[-1].key)
    vector_bytes, of_teachers = 0, 0.0
    for name, task_name, _ in teachers:
        model, task = models[name], tasks[task_name]
        teaching = (task.train_rows + task.unlabelled_rows) * model.operations(model.num_layers, task.tokens)
        of_teachers += teaching
        gpu_seconds += teaching / GPU_RATE
        if study.teaches_vectors(task_name):
            vector_bytes += 2 * (task.train_rows + task.unlabelled_rows) * model.hidden_size
    # Baselines stay until all that starts from them is finished, even if models are not kept.
    staying = [run for run in study.runs if study.config["keep_models"] or run.is_baseline]
    return Plan(
        runs=Counter(run.origin for run in study.runs),
        operations=operations,
        trainings=trainings,
        copies=copies,
        gpu_hours=gpu_seconds / 3600,
        cpu_core_hours=(sum(operations.values()) + of_teachers) / CPU_RATE / 3600,
        model_bytes=sum(_model_bytes(study, run, models[run.model]) for run in staying),
        variant_bytes=_variant_bytes(study, models),
        input_bytes=_input_bytes(study, models, tasks),
        table_bytes=STUDY_BYTES
        + vector_bytes
        + sum(RUN_BYTES + _tokenizer_bytes(models[run.model]) for run in study.runs),
        work_bytes=max(work_bytes),
        assumptions=tuple(
            _assumptions(
                study,
                [name for name, file in files.items() if not file.is_file()],
                [name for name, task in tasks.items() if task.is_assumed],
            )
        ),
        notes=tuple(unlabelled_notes(study, resources)),
        warnings=tuple(text_warnings(study, resources)),
    )


def plan_text(study: Study, plan: Plan) -> str:
    """A plan in a few lines for people."""
    arms = [f"{count:,} {origin}" for origin, count in plan.runs.items() if origin != BASELINE]
    kinds = listed([counted(plan.runs[BASELINE], BASELINE), *arms])
    copied = f"; {plan.copies:,} more copied from identical ones" if plan.copies else ""
    kept = "fine-tuned models" if study.config["keep_models"] else "baselines, until no run needs them"
    forms = f"{_size(plan.variant_bytes)} of their forms to deliver, " if plan.variant_bytes else ""
    lines = [
        f"Study {study.name}: {sum(plan.runs.values()):,} runs ({kinds}), {plan.trainings:,} trainings{copied}.",
        f"Time, roughly: {_time(plan.gpu_hours)} on a data-centre GPU, or"
        f" {_time(plan.cpu_core_hours)} on one CPU core.",
        f"Peak disk space, roughly: {_size(plan.peak_bytes)} ({_size(plan.model_bytes)} of {kept}, {forms}"
        f"{_size(plan.input_bytes)} of downloads and tokens, {_size(plan.table_bytes)} of tokenizers and tables, "
        f"{_size(plan.work_bytes)} for each training at a time).",
        *(f"  - {sentence}" for sentence in (*plan.notes, *plan.assumptions)),
        *(f"Warning: {warning}." for warning in plan.warnings),
    ]
    return "\n".join(lines)


def _depth(study: Study, run: Run, model: ModelSize) -> int:
    return model.num_layers - _num_dropped(study, run, model)


def _num_dropped(study: Study, run: Run, model: ModelSize) -> int:
    """Number of layers that a run drops, taken to be none where it depends on the layers' scores."""
    if run.is_baseline:
        return 0
    return STRATEGIES[run.strategy].amount.num_dropped(study.amount(run.strategy, run.amount), model.num_layers) or 0


def _trainings(study: Study, run: Run, model: ModelSize) -> list[Training]:
    """The trainings of a run, its own last, without the baseline that it may start from."""
    train = study.train_settings(run.task)
    pretrained = (run.model, run.task, run.seed)
    baseline = Training(model.num_layers, train, (*pretrained, canonical_json(train)))
    if run.is_baseline:
        return [baseline]
    origin = ORIGINS[run.origin]
    key: tuple[Any, ...] = baseline.key if origin.from_baseline else pretrained
    settings = study.preparation_settings(run.task, run.origin)
    preparations = origin.preparations(_num_dropped(study, run, model))
    # Where layers are dropped between trainings, their order counts.
    choice = _choice(study, run, model, ordered=any(preparation.layers_dropped for preparation in preparations))
    trainings = []
    for preparation in preparations:
        if preparation.freezes or preparation.layers_dropped:
            key = (*key, choice, preparation)
        key = (*key, canonical_json(settings))
        trainings.append(Training(model.num_layers - preparation.layers_dropped, settings, key))
    settings = study.refine_settings(run.task, run.origin)
    trainings.append(Training(_depth(study, run, model), settings, (*key, choice, canonical_json(settings))))
    return trainings


def _choice(study: Study, run: Run, model: ModelSize, ordered: bool) -> Any:
    """What says which layers a run drops: the layers, in their order if `ordered`, or what chooses them."""
    strategy, amount = STRATEGIES[run.strategy], study.amount(run.strategy, run.amount)
    num_dropped = strategy.amount.num_dropped(amount, model.num_layers)
    if model.shares_layers and num_dropped is not None:
        return num_dropped
    stack = model.stack.protecting(study.protected(vars(run)))
    # Of a model that is not here yet an amount may not fit what is assumed of it.
    if strategy.score is not None or check_amount(run.strategy, amount, stack):
        return run.strategy, run.amount
    order = drop_order(run.strategy, stack, amount)
    return tuple(order if ordered else sorted(order))


def _model_bytes(study: Study, run: Run, model: ModelSize) -> int:
    # Baselines stay in fp32: other runs start from their exact weights.
    return model.bytes(_depth(study, run, model), "fp32" if run.is_baseline else study.config["pruned_dtype"])


def _variant_bytes(study: Study, models: Mapping[str, ModelSize]) -> int:
    """Models in other forms than trainings leave: of each model and task one arm a depth, with all its seeds.

    A delivered folder has one of them in all forms.
    """
    if not (deliver := study.config["deliver"]):
        return 0
    vocabularies = deliver["vocabularies"]
    forms = sum(SHARES[runtime] for runtime in made_runtimes(deliver["runtimes"]))
    copies = forms * len(vocabularies) - SHARES[TORCH] * (FULL in vocabularies)
    total = 0.0
    for model, task in product(study.models, study.tasks):
        runs = [run for run in study.runs if (run.model, run.task) == (model, task)]
        depths = {_depth(study, run, models[model]) for run in runs}
        sizes = [models[model].bytes(depth) for depth in depths]
        total += len(study.seeds(task)) * copies * sum(sizes) + forms * max(sizes)
    return round(total)


def _tokenizer_bytes(model: ModelSize) -> int:
    return TOKENIZER_BYTES_PER_TOKEN * model.vocabulary


def _input_bytes(study: Study, models: Mapping[str, ModelSize], tasks: Mapping[str, TaskSize]) -> int:
    copies = {name: model_source(study.model_definition(name)).copies for name in models}
    weights = sum(
        copies[name] * (model.bytes(model.num_layers) + _tokenizer_bytes(model)) for name, model in models.items()
    )
    tokens = sum(
        (task.train_rows + task.unlabelled_rows + task.validation_rows + task.test_rows) * task.tokens
        for task in tasks.values()
    )
    return round(weights + len(models) * tokens * BYTES_PER_TOKEN)


def _assumptions(study: Study, unknown_models: list[str], unknown_tasks: list[str]) -> list[str]:
    found = [
        f"Assumed: {GPU_RATE / 1e12:.0f} TFLOP/s on a GPU, and at least {1000 * GPU_SECONDS_PER_LAYER:.0f} ms per layer"
        f" and training step; {CPU_RATE / 1e9:.0f} GFLOP/s on a CPU core. More runs may turn out identical; they are"
        " trained once."
    ]
    if unknown_models:
        found.append(f"Not downloaded yet, assumed to be of base size: {listed(unknown_models)}.")
    sources = {name: study.task_definition(name)["source"] for name in study.tasks}
    if others := [name for name, source in sources.items() if source != "glue"]:
        found.append(f"Texts are assumed to have {TOKENS_PER_TEXT} tokens: {listed(others)}.")
    if unknown_tasks:
        found.append(
            f"Not downloaded yet, assumed to have {ASSUMED_ROWS:,} rows in each split of which the study sets no number"
            f" of examples: {listed(unknown_tasks)}."
        )
    scored = {run.strategy for run in study.runs if not run.is_baseline and STRATEGIES[run.strategy].score}
    others = [f"the scores of layers ({listed(sorted(scored))})"] if scored else []
    others += ["the forms to deliver"] if study.config["deliver"] else []
    if others:
        found.append(f"The time does not count {listed(others)}.")
    unknown = {
        run.strategy
        for run in study.runs
        if not run.is_baseline
        and STRATEGIES[run.strategy].amount.num_dropped(study.amount(run.strategy, run.amount), 0) is None
    }
    if unknown:
        found.append(f"How many layers are dropped is not known yet, assumed to be none: {listed(sorted(unknown))}.")
    return found


def _rounded(number: float) -> str:
    """Two significant digits: 1,200 or 0.34."""
    if number <= 0:
        return "0"
    decimals = 1 - math.floor(math.log10(number))
    return f"{round(number, decimals):,.{max(0, decimals)}f}"


def _time(hours: float) -> str:
    return f"{_rounded(hours)} hours" if hours >= 1 else f"{_rounded(60 * hours)} minutes"


def _size(size: float) -> str:
    unit, factor = next(((unit, f) for unit, f in (("TB", 1e12), ("GB", 1e9)) if size >= f), ("MB", 1e6))
    return f"{_rounded(size / factor)} {unit}"
