# What all rules share: the study, the code behind each script, and paths.
#
# Needs: config (a study), LIBRARY.  Gives: study, code(), settings as JSON, path functions, wildcard constraints.
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from shallower.core.code_digest import code_digest, code_files
from shallower.core.errors import UserError

# Settings as one sorted line: names and values count for reruns, the order of keys does not.
from shallower.core.files import canonical_json as as_json
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES
from shallower.study.study import local_model_files, local_task_files, resolve_study

try:
    study = resolve_study(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

SCORES = {strategy.score for strategy in STRATEGIES.values() if strategy.score}

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


def score_names(script=None):
    """Pattern of the names of the layer scores that a script computes, or of all."""
    return "|".join(sorted(score.name for score in SCORES if script in (None, score.script)))


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
    method=score_names(),
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
    if steps := preparations(wildcards):
        return f"{arm_folder(wildcards)}/{steps[-1].folder}"
    return start_folder(wildcards)


def start_folder(wildcards):
    """Folder of the weights that a run starts from."""
    if ORIGINS[wildcards.origin].from_baseline:
        return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/baseline/seed{wildcards.seed}"
    return model_folder(wildcards)


def preparations(wildcards):
    """The trainings of a run before its last layers are dropped."""
    kind, amount = STRATEGIES[wildcards.strategy].amount, study.amount(wildcards.strategy, wildcards.amount)
    return ORIGINS[wildcards.origin].preparations(kind.num_dropped(amount) or 0)


def last_drop(wildcards):
    """Option that drops only the last layer, where those before it were dropped in preparations."""
    dropped = max((step.layers_dropped for step in preparations(wildcards)), default=0)
    return ["--stage", dropped + 1] if dropped else []


def scores(wildcards):
    """Scores of the layers, for strategies that look at them."""
    score = STRATEGIES[wildcards.strategy].score
    if score is None:
        return []
    scored = ORIGINS[wildcards.origin].scored_model(wildcards.seed)
    return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/scores/{score.name}/{scored}.json"


def scored_folder(wildcards):
    """Folder of the model whose layers are scored."""
    if wildcards.scored == "pretrained":
        return model_folder(wildcards)
    seed = wildcards.scored.removeprefix("finetuned-")
    return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/baseline/{seed}"


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


def run_files(name):
    """Input function: a file of every run of a model on a task."""
    return lambda wildcards: [f"{folder}/{name}" for folder in RUN_FOLDERS[wildcards.model, wildcards.task]]


def stage_before(wildcards):
    """Folder of the model that a stage drops its layer from."""
    return f"{arm_folder(wildcards)}/stage{int(wildcards.stage) - 1}"


def stage_start(wildcards):
    """Files that a stage starts from: first those of the model that the run starts from, then those of a pruned one."""
    if wildcards.stage == "0":
        return checkpoint(start_folder)(wildcards)
    folder = f"{arm_folder(wildcards)}/stage{wildcards.stage}/dropped"
    return checkpoint(lambda _: folder)(wildcards) | {"manifest": f"{folder}/manifest.json"}
