# What all rules share: the study, the code behind each script, and paths.
#
# Needs: config (a study).  Gives: study, code(), settings as JSON, path functions, wildcard constraints.
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

LIBRARY = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(LIBRARY))

from shallower.code_files import code_files
from shallower.errors import UserError

# Settings as one sorted line: names and values count for reruns, the order of keys does not.
from shallower.files import canonical_json as as_json
from shallower.strategies import STRATEGIES
from shallower.study import local_model_files, local_task_files, resolve_study

try:
    study = resolve_study(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

# The interpreter of this snakemake, also where its environment is not activated; not where conda brings its own.
USES_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
INTERPRETER = "" if USES_CONDA else f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"; '

# Every step runs offline but for the downloads, which look at HUB_OFFLINE: what the user had set.
shell.prefix(
    f"set -euo pipefail; {INTERPRETER}export PYTHONPATH={shlex.quote(str(LIBRARY))} PYTHONUNBUFFERED=1 MPLBACKEND=Agg"
    " TOKENIZERS_PARALLELISM=false HUB_OFFLINE=${{HF_HUB_OFFLINE:-0}} HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1"
    " HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1; "
)


wildcard_constraints:
    study=re.escape(study.name),
    model="|".join(map(re.escape, study.models)),
    task="|".join(map(re.escape, study.tasks)),
    model_key="|".join(re.escape(study.model_key(model)) for model in study.models),
    task_key="|".join(re.escape(study.task_key(task)) for task in study.tasks),
    origin="|".join(study.grid["origins"]),
    strategy="|".join(map(re.escape, dict(study.grid["arms"]))),
    amount=r"[0-9.]+",
    arm=r"baseline|(pretrained|finetuned)/[^/]+",
    seed=r"[0-9]+",
    max_length=r"[0-9]+",


def code(script):
    """Named inputs for a step, its script and the library modules that it imports.

    Declared as inputs their content counts: an edit reruns exactly the steps whose code it is, a touch nothing.
    """
    first, *modules = (os.path.relpath(path) for path in code_files(LIBRARY / "scripts" / f"{script}.py", LIBRARY))
    return {"script": first, "modules": modules}


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


def model_folder(wildcards):
    """Folder of the downloaded model."""
    return f"resources/models/{study.model_key(wildcards.model)}"


def task_folder(wildcards):
    """Folder of the downloaded task."""
    return f"resources/tasks/{study.task_key(wildcards.task)}"


def tokens(split):
    """Input function: the tokens of a split for the model and task at hand."""

    def path(wildcards):
        model, task = study.model_key(wildcards.model), study.task_key(wildcards.task)
        return f"resources/tokens/{model}/{task}/length{study.max_length(wildcards.task)}/{split}.safetensors"

    return path


def source_folder(wildcards):
    """Folder of the weights that layers are dropped from."""
    if wildcards.origin == "pretrained":
        return model_folder(wildcards)
    return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/baseline/seed{wildcards.seed}"


def scores(wildcards):
    """Scores of the layers, for strategies that look at them."""
    if not STRATEGIES[wildcards.strategy].needs_scores:
        return []
    of = "pretrained" if wildcards.origin == "pretrained" else f"finetuned-seed{wildcards.seed}"
    return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/scores/{of}.json"


def scored_folder(wildcards):
    """Folder of the model whose layers are scored."""
    if wildcards.scored == "pretrained":
        return model_folder(wildcards)
    seed = wildcards.scored.removeprefix("finetuned-")
    return f"results/{wildcards.study}/{wildcards.model}/{wildcards.task}/baseline/{seed}"


def threads(wildcards):
    """CPU threads of one training or prediction."""
    return study.config["compute"]["threads"]


def gpus(wildcards):
    """GPUs to ask a scheduler for."""
    return 1 if study.config["compute"]["device"] == "cuda" else 0


def arms(model, task):
    """Folders of what is compared with the baseline, for one model and task."""
    return sorted(
        {
            f"results/{run.study}/{run.model}/{run.task}/{run.arm}"
            for run in study.runs
            if (run.model, run.task) == (model, task) and not run.is_baseline
        }
    )


def answers():
    """The tables and figures of the study."""
    results = f"results/{study.name}"
    return [
        f"{results}/results.csv",
        *(f"{results}/tables/{name}" for name in TABLES),
        *(
            f"{results}/figures/{model}/{task}/{figure}.{form}"
            for model in study.models
            for task in study.tasks
            for figure in FIGURES
            for form in ("png", "svg")
        ),
    ]


def delivered_models():
    """The tuned models that the study keeps."""
    return [f"{run.directory}/model.safetensors" for run in study.runs] if study.config["keep_models"] else []
