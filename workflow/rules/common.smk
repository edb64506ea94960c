# What all rules share: the study, the code behind each script, and paths.
#
# Needs: config (a study), LIBRARY.  Gives: study, code(), settings as JSON, path functions, wildcard constraints.
import os
import re
import shlex
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from shallower.core.code_digest import code_digest, code_files
from shallower.planning.runtime import step_minutes
from shallower.core.errors import UserError
from shallower.planning.estimate import estimate, model_size, plan_text, task_size

# Settings as one sorted line: names and values count for reruns, the order of keys does not.
from shallower.core.files import canonical_json as as_json
from shallower.core.files import read_json
from shallower.engine.gpu_slots import has_gpu_driver
from shallower.core.signals import pass_on_interrupts
from shallower.paper.items import FIGURES as PAPER_FIGURES
from shallower.paper.items import INPUTS
from shallower.paper.items import ITEMS as PAPER_ITEMS
from shallower.paper.items import TABLES as PAPER_TABLES
from shallower.planning.memory import step_mb, tokenizing_mb
from shallower.models.size import ModelSize
from shallower.surgery.strategies import STRATEGIES
from shallower.study.study import local_model_files, local_task_files, resolve_study

try:
    study = resolve_study(config)
    WHOLE_MODELS = {model: model_size(study, model) for model in study.models}
except UserError as error:
    raise WorkflowError(str(error)) from None

SCORE_METHODS = sorted({strategy.score for strategy in STRATEGIES.values() if strategy.needs_scores})

# The interpreter of this snakemake, also where its environment is not activated; not where conda brings its own.
USES_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
# Doubled braces are plain ones to Snakemake.
BIN = str(Path(sys.executable).parent).replace("{", "{{").replace("}", "}}")
INTERPRETER = "" if USES_CONDA else f'export PATH={shlex.quote(BIN)}:"$PATH"; '

# Asked to end (Ctrl-C, a time limit), a step does so in its own time: its shell waits for it, and tee hears its last words.
WAIT = """trap : INT TERM HUP; tee() (trap "" INT TERM HUP; exec tee "$@"); export STARTED_BY=$PPID; """

# Every step runs offline but for the downloads, which look at HUB_OFFLINE: what the user had set.
shell.prefix(
    f"set -euo pipefail; {WAIT}{INTERPRETER}export PYTHONPATH={shlex.quote(str(LIBRARY))} PYTHONUNBUFFERED=1 MPLBACKEND=Agg"
    " TOKENIZERS_PARALLELISM=false HUB_OFFLINE=${{HF_HUB_OFFLINE:-0}} HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1"
    " HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1"
    f" RUNS_PER_GPU={study.config['compute']['runs_per_gpu']} GPU_LOCKS=.scratch"
    f" CHECKPOINT_SECONDS={study.config['compute']['checkpoint_seconds']}; "
)

ORIGIN = "|".join(origin["name"] for origin in study.config["origins"])


wildcard_constraints:
    study=re.escape(study.name),
    model="|".join(map(re.escape, study.models)),
    task="|".join(map(re.escape, study.tasks)),
    model_key="|".join(re.escape(study.model_key(model)) for model in study.models),
    task_key="|".join(re.escape(study.task_key(task)) for task in study.tasks),
    origin=ORIGIN,
    strategy="|".join(sorted({entry["name"] for entry in study.config["strategies"]})),
    amount=r"[0-9.]+",
    arm=rf"baseline|({ORIGIN})/[^/]+",
    seed=r"[0-9]+",
    stage=r"[0-9]+",
    method="|".join(SCORE_METHODS),
    scored=r"pretrained|finetuned-seed[0-9]+",
    max_length=r"[0-9]+",


def code(script):
    """Params of a step: its script, and the SHA-256 of it and of the library modules that it imports.

    So the content of code counts: an edit reruns exactly the steps whose code it is, a touch nothing. As inputs, some
    twenty files for each job, it would count as well, but slow down the planning of large studies.
    """
    first, *modules = code_files(LIBRARY / "scripts" / f"{script}.py", LIBRARY)
    return {"script": os.path.relpath(first), "code": code_digest([first, *modules], LIBRARY)}


def identity(wildcards):
    """What a run is called in tables: names on each axis but the seed."""
    origin, _, name = wildcards.arm.partition("/")
    strategy, _, amount = name.rpartition("-")
    return {
        "study": wildcards.study,
        "model": wildcards.model,
        "task": wildcards.task,
        "origin": origin,
        "strategy": strategy or "none",
        "amount": amount or "0",
    }


def keep(path):
    """A tuned model's file, deleted after its use where the study does not keep models."""
    return path if study.config["keep_models"] else temp(path)


MODEL_KEYS = {model: study.model_key(model) for model in study.models}
TASK_KEYS = {task: study.task_key(task) for task in study.tasks}


def model_folder(wildcards):
    """Folder of the downloaded model."""
    return f"resources/models/{MODEL_KEYS[wildcards.model]}"


def task_folder(wildcards):
    """Folder of the downloaded task."""
    return f"resources/tasks/{TASK_KEYS[wildcards.task]}"


def tokens(split):
    """Input function: the tokens of a split for the model and task at hand."""

    def path(wildcards):
        model, task = MODEL_KEYS[wildcards.model], TASK_KEYS[wildcards.task]
        return f"resources/tokens/{model}/{task}/length{study.max_length(wildcards.task)}/{split}.safetensors"

    return path


# One function for several inputs, because each call that Snakemake makes is slow.
def checkpoint(folder):
    """Input function: weights and configuration in the folder that a function of the wildcards names."""

    def files(wildcards):
        return {"weights": f"{folder(wildcards)}/model.safetensors", "config": f"{folder(wildcards)}/config.json"}

    return files


def tuning_inputs(wildcards):
    """What a tuning needs beside the checkpoint that it starts from."""
    return {
        "tokenizer": f"{model_folder(wildcards)}/tokenizer.json",
        "tokenizer_config": f"{model_folder(wildcards)}/tokenizer_config.json",
        "tokens": tokens("train")(wildcards),
        "task": f"{task_folder(wildcards)}/task.json",
    }


def predictions_to_compare(wildcards):
    """Predictions of an arm and of the baseline, seed by seed, and their task."""
    results, name = "results/{study}/{model}/{task}".format(**wildcards), "predictions.parquet"
    seeds = study.seeds(wildcards.task)
    return {
        "predictions": [f"{results}/{wildcards.arm}/seed{seed}/{name}" for seed in seeds],
        "baseline": [f"{results}/baseline/seed{seed}/{name}" for seed in seeds],
        "task": f"{task_folder(wildcards)}/task.json",
    }


def arm_folder(wildcards):
    """Folder of a run in which layers were dropped."""
    return "results/{study}/{model}/{task}/{origin}/{strategy}-{amount}/seed{seed}".format(**wildcards)


def source_folder(wildcards):
    """Folder of the weights that layers are dropped from."""
    match wildcards.origin:
        case "pretrained":
            return model_folder(wildcards)
        case "finetuned":
            return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/baseline/seed{wildcards.seed}"
        case "finetuned-frozen":
            return f"{arm_folder(wildcards)}/frozen"
        case "gradual":
            return f"{arm_folder(wildcards)}/stage{last_stage(wildcards)}"


def last_stage(wildcards):
    """The tuning before the last layer goes, in gradual dropping; the first one, of all layers, is 0."""
    return study.amount(wildcards.strategy, wildcards.amount) - 1


def scores(wildcards):
    """Scores of the layers, for strategies that look at them."""
    method = STRATEGIES[wildcards.strategy].score
    if method is None:
        return []
    scored = f"finetuned-seed{wildcards.seed}" if wildcards.origin == "finetuned" else "pretrained"
    return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/scores/{method}/{scored}.json"


def scored_folder(wildcards):
    """Folder of the model whose layers are scored."""
    if wildcards.scored == "pretrained":
        return model_folder(wildcards)
    seed = wildcards.scored.removeprefix("finetuned-")
    return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/baseline/{seed}"


# CPU threads of one training or prediction, and GPUs to ask a scheduler for.
THREADS = study.config["compute"]["threads"]
GPUS = 1 if study.config["compute"]["device"] == "cuda" else 0


# A process with CUDA takes more memory.
ON_GPU = study.config["compute"]["device"] == "cuda" or (
    study.config["compute"]["device"] == "auto" and has_gpu_driver()
)
# The two Snakemakes that stand between a cluster's scheduler and a step.
CLUSTER_MB = 300
MODEL_SIZES = {}


def size_of_model(wildcards, input):
    """Size of the model in a step's input or, where its config.json is not there (yet), of the whole model."""
    config = input.get("config", "")
    if config not in MODEL_SIZES and os.path.isfile(config):
        # A damaged file is the step's to tell.
        with suppress(UserError):
            MODEL_SIZES[config] = ModelSize.of(read_json(config))
    return MODEL_SIZES.get(config, WHOLE_MODELS[wildcards.model])


def memory(step):
    """Resource function: MB of memory that a step takes, and as many again at each further attempt.

    Snakemake asks again before it starts the job, when the model is there.
    """

    def mem_mb(wildcards, input, attempt):
        size = size_of_model(wildcards, input)
        return attempt * (megabytes(size, wildcards.get("task"), wildcards.get("origin")) + on_cluster(CLUSTER_MB))

    @cache
    def megabytes(size, task, origin):
        return step_mb(step, study, size, task, origin, on_gpu=ON_GPU)

    return mem_mb


def on_cluster(value):
    """The value where jobs go to a cluster's scheduler, 0 where they run on this machine."""
    return 0 if workflow.local_exec else value


def every_core(wildcards):
    """Threads that are claimed so that nothing else runs beside a step; on a cluster there are other ways."""
    cores = workflow.resource_settings.cores
    return cores if cores and workflow.local_exec else THREADS


def minutes(step):
    """Resource function: minutes that a cluster's scheduler gives a step, and as many again at each further attempt."""

    def runtime(wildcards, input, attempt):
        task = wildcards.get("task")
        arrived = task is not None and os.path.isfile(f"{task_folder(wildcards)}/task.json")
        return attempt * asked(size_of_model(wildcards, input), wildcards.model, task, wildcards.get("origin"), arrived)

    @cache
    def asked(size, model, task, origin, arrived):
        rows = task_rows(task, arrived) if task else None
        runs = len(RUN_FOLDERS.get((model, task), []))
        return step_minutes(step, study, size, task, origin, rows, runs, on_gpu=ON_GPU)

    return runtime


def task_rows(task, arrived):
    """Rows of a task's splits: as counted when it came in, before that as expected."""
    if arrived:
        # A damaged file is the step's to tell.
        with suppress(UserError, KeyError, TypeError):
            return read_json(f"resources/tasks/{TASK_KEYS[task]}/task.json")["rows"]
    expected = task_size(study, task)
    return {"train": expected.train_rows, "validation": expected.validation_rows}


def tokenizing_memory(wildcards, input, attempt):
    """Resource function: MB of memory of tokenising a task's files."""
    files = (input.train, input.validation)
    size = sum(os.path.getsize(file) for file in files if os.path.isfile(file))
    return attempt * (tokenizing_mb(size) + on_cluster(CLUSTER_MB))


# Folders of what is compared with the baseline, by model and task.
ARMS = {(model, task): set() for model in study.models for task in study.tasks}
# Folders of all runs, likewise.
RUN_FOLDERS = {pair: [] for pair in ARMS}
for run in study.runs:
    RUN_FOLDERS[run.model, run.task].append(run.directory)
    if not run.is_baseline:
        ARMS[run.model, run.task].add(f"results/{run.study}/{run.model}/{run.task}/{run.arm}")


def baselines(model, task):
    """Folders of the whole model's runs on a task."""
    return [f"results/{study.name}/{model}/{task}/baseline/seed{seed}" for seed in study.seeds(task)]


def delivered_models():
    """The tuned models that the study keeps."""
    return [f"{run.directory}/model.safetensors" for run in study.runs] if study.config["keep_models"] else []


def reloaded_models():
    """The proof that the kept models load."""
    if not study.config["keep_models"]:
        return []
    return [f"results/{study.name}/{model}/{task}/reloaded.csv" for model, task in RUN_FOLDERS]


def run_files(name):
    """Input function: a file of every run of a model on a task."""
    return lambda wildcards: [f"{folder}/{name}" for folder in RUN_FOLDERS[wildcards.model, wildcards.task]]


def stage_before(wildcards):
    """Folder of the model that a stage drops its layer from."""
    return f"{arm_folder(wildcards)}/stage{int(wildcards.stage) - 1}"


def stage_start(wildcards):
    """Folder of the weights that a stage's tuning starts from: at first those of the pre-trained model."""
    return (
        model_folder(wildcards) if wildcards.stage == "0" else f"{arm_folder(wildcards)}/stage{wildcards.stage}/dropped"
    )


def answers():
    """The tables and figures of the study."""
    results = f"results/{study.name}"
    return [
        f"{results}/results.csv",
        *(f"{results}/tables/{name}" for name in TABLES),
        *figures("png"),
        *figures("svg"),
    ]


def figures(form):
    """The figures of each model and task for which layers were dropped."""
    return [
        f"results/{study.name}/figures/{model}/{task}/{figure}.{form}"
        for (model, task), arms in ARMS.items()
        if arms
        for figure in FIGURES
    ]


def item_inputs(wildcards):
    """The files of the study that an item of the paper is made from."""
    return {name: f"results/{wildcards.study}/{INPUTS[name]}" for name in PAPER_ITEMS[wildcards.item].inputs}


def reproduction():
    """All files of the reproduction, for studies that ask for it."""
    if not study.config["reproduction"]:
        return []
    folder = f"results/{study.name}/paper"
    return [
        *(f"{folder}/{item}.html" for item in [*PAPER_TABLES, "observations", "parameter-orders"]),
        *(f"{folder}/{item}.{form}" for item in PAPER_FIGURES for form in ("png", "svg")),
        *report_sections(),
    ]


def report_sections():
    """Sections that are added to the report."""
    return [f"results/{study.name}/paper/section.json"] if study.config["reproduction"] else []


def plan():
    """What the study will run, and about how long that takes and how much disk."""
    return f"\n{plan_text(study, estimate(study))}\n"
