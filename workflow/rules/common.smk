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
from shallower.estimate import estimate, plan_text

# Settings as one sorted line: names and values count for reruns, the order of keys does not.
from shallower.files import canonical_json as as_json
from shallower.strategies import STRATEGIES
from shallower.study import local_model_files, local_task_files, resolve_study

try:
    study = resolve_study(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

SCORE_METHODS = sorted({strategy.score for strategy in STRATEGIES.values() if strategy.needs_scores})

# The interpreter of this snakemake, also where its environment is not activated; not where conda brings its own.
USES_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
INTERPRETER = "" if USES_CONDA else f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"; '

# Every step runs offline but for the downloads, which look at HUB_OFFLINE: what the user had set.
shell.prefix(
    f"set -euo pipefail; {INTERPRETER}export PYTHONPATH={shlex.quote(str(LIBRARY))} PYTHONUNBUFFERED=1 MPLBACKEND=Agg"
    " TOKENIZERS_PARALLELISM=false HUB_OFFLINE=${{HF_HUB_OFFLINE:-0}} HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1"
    " HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1; "
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


def threads(wildcards):
    """CPU threads of one training or prediction."""
    return study.config["compute"]["threads"]


def gpus(wildcards):
    """GPUs to ask a scheduler for."""
    return 1 if study.config["compute"]["device"] == "cuda" else 0


# Folders of what is compared with the baseline, by model and task.
ARMS = {(model, task): set() for model in study.models for task in study.tasks}
for run in study.runs:
    if not run.is_baseline:
        ARMS[run.model, run.task].add(f"results/{run.study}/{run.model}/{run.task}/{run.arm}")


def baselines(model, task):
    """Folders of the whole model's runs on a task."""
    return [f"results/{study.name}/{model}/{task}/baseline/seed{seed}" for seed in study.seeds(task)]


def delivered_models():
    """The tuned models that the study keeps."""
    return [f"{run.directory}/model.safetensors" for run in study.runs] if study.config["keep_models"] else []


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
    """What a table or figure is made of, beside the paper's numbers."""
    results = f"results/{wildcards.study}"
    scored = {"results": f"{results}/results.csv", "resamples": f"{results}/resamples.parquet"}
    match wildcards.item:
        case "figure-3" | "preprint-figure-5":
            return {"states": f"{results}/states.csv"}
        case "contribution":
            return {"scores": f"{results}/scores.csv"}
        case "table-3":
            return scored | {"summary": f"{results}/tables/summary.csv"}
        case _:
            return scored


def reproduction():
    """All that the reproduction consists of, for studies that ask for it."""
    if not study.config["reproduction"]:
        return []
    folder = f"results/{study.name}/paper"
    return [
        *(f"{folder}/{item}.html" for item in [*PAPER_TABLES, "observations", "parameter-orders"]),
        *(f"{folder}/{item}.{form}" for item in PAPER_FIGURES for form in ("png", "svg")),
    ]


def plan():
    """What the study will run, and about how long that takes and how much disk."""
    return f"\n{plan_text(study, estimate(study))}\n"
