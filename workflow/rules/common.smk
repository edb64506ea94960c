# What all rules share: the study, the code behind each script, and where files are.
#
# Needs: config (a study), LIBRARY.
# Gives: study, STUDY_FOLDER, MODEL_FOLDERS, TASK_FOLDERS, UNMADE_FILE, PRESENT, RUNS, ARMS, ALL_VOCABULARIES, code(),
# serve_steps(), as_json(), as_options(), written_settings(), made(), costs(), input functions, wildcard constraints.
import os
import re
import shlex
import signal
import sys
from pathlib import Path

from snakemake_adapter import is_within_job, num_jobs, uses_conda

from shallower.core import environment, layout
from shallower.core.code_digest import code_digest, code_files
from shallower.core.errors import UserError, system_error_text

# Settings as one sorted line: names and values count for reruns, the order of keys does not.
from shallower.core.files import ascii_json as as_json, canonical_json, fingerprint, write_text
from shallower.core.variants import VOCABULARIES as ALL_VOCABULARIES
from shallower.paper.items import FIGURES as PAPER_FIGURES
from shallower.paper.items import ITEMS as PAPER_ITEMS
from shallower.paper.items import TABLES as PAPER_TABLES
from shallower.paper.items import TABLES_OF_STUDY as PAPER_TABLES_OF_STUDY
from shallower.paper.items import TIMED_MODELS as PAPER_TIMED_MODELS
from shallower.paper.shown_runs import Model, as_in_the_paper
from shallower.planning.missing import missing_runs, read_unmade
from shallower.steps.server import start_server
from shallower.surgery.origins import ORIGINS
from shallower.surgery.scored_strategies import CONTRIBUTION
from shallower.surgery.strategies import STRATEGIES
from shallower.study.local_files import content_of, local_model_files, local_task_files, local_unlabelled_files
from shallower.study.resolve import resolve_study

try:
    # The Snakemakes within cluster jobs trust the one that submitted them: hundreds of them would read all data again.
    study = resolve_study(config, is_checked=is_within_job(workflow))
except UserError as error:
    raise WorkflowError(str(error)) from None

SCORES = {strategy.score for strategy in STRATEGIES.values() if strategy.score}

# The interpreter of this snakemake, also where its environment is not activated; not where conda brings its own.
# Doubled braces are plain ones to Snakemake.
BIN = str(Path(sys.executable).parent).replace("{", "{{").replace("}", "}}")
INTERPRETER = "" if uses_conda(workflow) else f'export PATH={shlex.quote(BIN)}:"$PATH"; '

# When a step is interrupted (Ctrl-C, a time limit), its shell waits for it, and tee keeps running until the step has written
# its last log lines. Both functions run in the shells of a pipeline, which have no traps of the shell that starts it.
WAIT = f"""trap : INT TERM HUP; tee() {{{{ trap "" INT TERM HUP; command tee "$@"; }}}}; export {environment.STARTED_BY}=$PPID; """

# Steps start from a process that has their packages imported, where there is one, and where these were imported with the
# step's settings of the hub.
SERVED = (
    ""
    if uses_conda(workflow)
    else f"""if [ "$HF_HUB_OFFLINE" = 1 ] && [ -S "${environment.STEPS}" ]
then set -- -ISE {shlex.quote(str(LIBRARY / "shallower/steps/client.py"))} "${environment.STEPS}" "$@"
fi
"""
)

# A step that is killed cannot say it itself.
REMEDY = "ask for more memory (mem_mb)" if is_within_job(workflow) else "run fewer jobs at a time (--cores)"
STEP = f"""python() {{{{
trap : INT TERM HUP
{SERVED}local status=0
command python "$@" || status=$?
[ $status -ne {128 + signal.SIGKILL} ] || echo "error: killed (SIGKILL); memory may have run out. Run again; if it is killed\
 again, {REMEDY}" >&2
return $status
}}}}; """

# Every step runs offline except the downloads, which read environment.HUB_OFFLINE: what the user had set.
PREFIX = (
    f"set -euo pipefail; {WAIT}{INTERPRETER}export PYTHONPATH={shlex.quote(str(LIBRARY))} PYTHONUNBUFFERED=1 MPLBACKEND=Agg"
    f" TOKENIZERS_PARALLELISM=false {environment.HUB_OFFLINE}=${{{{HF_HUB_OFFLINE:-0}}}} HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1"
    " HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1"
    f" {environment.RUNS_PER_GPU}={study.config['compute']['runs_per_gpu']} {environment.GPU_LOCKS}={layout.SCRATCH}"
    f" {environment.CHECKPOINT_SECONDS}={study.config['compute']['checkpoint_seconds']}"
    f" {environment.ONNX}={study.exports_onnx:d} {environment.MODEL_CLASSES}={','.join(study.model_classes)}"
    f" {environment.STEPS}=${{{{{environment.STEPS}-}}}}; {STEP}"
)
shell.prefix(PREFIX)

# A run of fewer jobs ends before packages are imported.
JOBS_WORTH_A_SERVER = 10


def serve_steps():
    """Start the process that steps start from, unless the environment names one, or an empty one."""
    if environment.STEPS in os.environ or uses_conda(workflow) or num_jobs(workflow) < JOBS_WORTH_A_SERVER:
        return
    if address := start_server(PREFIX.format()):
        os.environ[environment.STEPS] = address


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
    arm=rf"{layout.BASELINE_ARM}|({ORIGIN})/[^/]+",
    seed=r"[0-9]+",
    stage=r"[0-9]+",
    method=score_names(),
    scored=r"pretrained|finetuned-seed[0-9]+",
    max_length=r"[0-9]+",
    examples=r"[0-9]+",
    unlabelled=r"[0-9a-f]+",
    augmented=r"[0-9a-f]+",
    test=r"[0-9a-f]+",
    trimmed=r"[0-9]+(-[0-9a-f]+)?",
    vocabulary="|".join(ALL_VOCABULARIES),


def code(script):
    """Params of a step: its script, and a digest of the code of it and of the library modules that it imports.

    An edit of code reruns exactly the steps that use it, and touching a file reruns nothing. Some twenty input files for
    each job would have the same effect, but slow down the planning of large studies.
    """
    first, *modules = code_files(LIBRARY / "scripts" / f"{script}.py", LIBRARY)
    return {"script": os.path.relpath(first), "code": code_digest([first, *modules], LIBRARY)}


def as_options(**values):
    """Options of a step as one parameter, such as --repeats 3.

    Snakemake compares the parameters of a job with those of the last run as a set of values, without their names: where
    two numbers change places, or one becomes what another is, it notices nothing.
    """
    return [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def written_settings(name, content):
    """A file that has settings, and is named after them.

    For settings that grow with a study: a command may have 128 KiB. And for steps without another input: where
    Snakemake does not know what made an output, as in a clone that has results of another study with this name, it goes
    by times, and without an input that is newer it would take that output for this study's.
    """
    file = Path(layout.SCRATCH, f"{name}-{fingerprint(content)}.json")
    if not file.exists():
        try:
            write_text(file, canonical_json(content))
        except OSError as error:
            raise WorkflowError(system_error_text(error)) from None
    return str(file)


# The resolved study, for steps that need all of it; it has the wildcard {study}.
STUDY_FILE = f"{layout.STUDY}/study.json"
STUDY_FOLDER = layout.STUDY.format(study=study.name)
MODEL_KEYS = {model: study.model_key(model) for model in study.models}
TASK_KEYS = {task: study.task_key(task) for task in study.tasks}
MODEL_FOLDERS = {model: layout.MODEL.format(model_key=key) for model, key in MODEL_KEYS.items()}
TASK_FOLDERS = {task: layout.TASK.format(task_key=key) for task, key in TASK_KEYS.items()}

# After jobs have failed: the files that were not made, and the runs that there are (see partial.smk). Otherwise all runs.
UNMADE_FILE = os.environ.get(environment.UNMADE)
UNMADE = read_unmade(UNMADE_FILE) if UNMADE_FILE else {}
MISSING = missing_runs(study.runs, UNMADE)
PRESENT = [run for run in study.runs if run not in MISSING]

# All runs of each model and task, and those of each arm that is compared with the baseline.
RUNS = {(model, task): [] for model in study.models for task in study.tasks}
ARMS = {}
# One run of each arm, baselines included, which says what the arm is called.
FIRST_RUNS = {}
for run in PRESENT:
    RUNS[run.model, run.task].append(run)
    FIRST_RUNS.setdefault((run.model, run.task, run.arm), run)
    if not run.is_baseline:
        ARMS.setdefault((run.model, run.task, run.arm), []).append(run)


def made(files):
    """The files without those that failed jobs did not make."""
    return [file for file in files if file not in UNMADE]


def costs():
    """The measured speed of each model."""
    return made(f"{layout.MODEL_RESULTS.format(study=study.name, model=model)}/cost.json" for model in study.models)


def identity(wildcards):
    """What an arm is called in tables: its name on each axis."""
    run = FIRST_RUNS[wildcards.model, wildcards.task, wildcards.arm]
    return {axis: getattr(run, axis) for axis in ("study", "model", "task", "origin", "strategy", "amount")}


def keep(path):
    """A fine-tuned model's file, deleted after its use where the study does not keep models."""
    return path if study.config["keep_models"] else temp(path)


def model_folder(wildcards):
    """Folder of the downloaded model."""
    return MODEL_FOLDERS[wildcards.model]


def task_folder(wildcards):
    """Folder of the downloaded task."""
    return TASK_FOLDERS[wildcards.task]


def task_file(wildcards):
    """The task's description."""
    return f"{task_folder(wildcards)}/task.json"


def tokens_folder(model, task):
    """Folder of a task's tokens for a model."""
    return layout.TOKENS.format(
        model_key=MODEL_KEYS[model], task_key=TASK_KEYS[task], max_length=study.max_length(task)
    )


def tokens(split):
    """Input function: the tokens of a split for the model and task at hand."""
    return lambda wildcards: f"{tokens_folder(wildcards.model, wildcards.task)}/{split}.safetensors"


def measured_tokens(wildcards):
    """The tokens of the task whose texts are timed, if any."""
    task = study.config["measure"]["task"]
    return f"{tokens_folder(wildcards.model, task)}/validation.safetensors" if task else []


def measured_texts(wildcards):
    """Options of the timing for texts of a task."""
    settings, found = study.config["measure"], measured_tokens(wildcards)
    return ["--task", settings["task"], "--texts", settings["texts"], "--tokens", found] if found else []


def weights_to_score(wildcards):
    """Which weights of a layer are scored: by magnitude all, else what the study says."""
    return "layer" if wildcards.method == "magnitude" else study.config["parameter_scores"]["weights"]


# One function for several inputs, because each call that Snakemake makes is slow.
def checkpoint(folder):
    """Input function: weights and configuration in the folder that a function of the wildcards names."""

    def files(wildcards):
        return {"weights": f"{folder(wildcards)}/model.safetensors", "config": f"{folder(wildcards)}/config.json"}

    return files


def training_inputs(wildcards):
    """What a training needs in addition to the checkpoint that it starts from."""
    return {
        "tokenizer": f"{model_folder(wildcards)}/tokenizer.json",
        "tokenizer_config": f"{model_folder(wildcards)}/tokenizer_config.json",
        "tokens": tokens("train")(wildcards),
        "task": task_file(wildcards),
    }


def teacher(wildcards):
    """The answers of the full model of the same seed, and all that it answers, for a training that learns from it."""
    distills = study.refine_settings(wildcards.task, wildcards.origin).get("distill")
    return {"teacher": layout.TEACHER.format(**wildcards), **unlabelled_tokens(wildcards)} if distills else {}


def refine_options(wildcards):
    """Options of the training of a pruned model that others do not have.

    Not by `input`: Snakemake does not compare parameters that depend on it with those of the last run.
    """
    dtype = study.config["pruned_dtype"]
    options = ["--pruned-dtype", dtype] if dtype != "fp32" else []
    for name, path in teacher(wildcards).items():
        options += [f"--{name}", path]
    return options


def teach_options(wildcards):
    """What a teacher answers besides the training examples, and with what besides logits."""
    options = [part for name, path in unlabelled_tokens(wildcards).items() for part in (f"--{name}", path)]
    return options + ["--vectors"] * study.teaches_vectors(wildcards.task)


def predictions_to_compare(wildcards):
    """Predictions of an arm and of the baseline, seed by seed, and their task."""
    runs = ARMS[wildcards.model, wildcards.task, wildcards.arm]
    baseline = layout.BASELINE_RUN
    return {
        "predictions": [f"{run.directory}/predictions.parquet" for run in runs],
        "baseline": [f"{baseline.format(**wildcards, seed=run.seed)}/predictions.parquet" for run in runs],
        "task": task_file(wildcards),
        # Found by the script through the seeds.
        "thresholds": thresholds(wildcards),
    }


def source_folder(wildcards):
    """Folder of the weights that layers are dropped from."""
    if trainings := preparations(wildcards):
        return f"{layout.PRUNED_RUN.format(**wildcards)}/{trainings[-1].folder}"
    return start_folder(wildcards)


def start_folder(wildcards):
    """Folder of the weights that a run starts from."""
    if ORIGINS[wildcards.origin].from_baseline:
        return layout.BASELINE_RUN.format(**wildcards)
    return model_folder(wildcards)


def preparations(wildcards):
    """The trainings of a run before its last layers are dropped."""
    kind, amount = STRATEGIES[wildcards.strategy].amount, study.amount(wildcards.strategy, wildcards.amount)
    return ORIGINS[wildcards.origin].preparations(kind.num_dropped(amount, None) or 0)


def last_drop(wildcards):
    """Option that drops only the last layer, where those before it were dropped in preparations."""
    dropped = max((training.layers_dropped for training in preparations(wildcards)), default=0)
    return ["--stage", dropped + 1] if dropped else []


def scores(wildcards):
    """Scores of the layers, for strategies that rank layers."""
    score = STRATEGIES[wildcards.strategy].score
    if score is None:
        return []
    if score.of_runs:
        return f"{layout.RACE.format(**wildcards)}.json"
    scored = {"task": study.scored_task(wildcards), "scored": ORIGINS[wildcards.origin].scored_model(wildcards.seed)}
    return layout.LAYER_SCORES.format(**{**wildcards, **scored}, method=score.name)


def subset_scores(wildcards):
    """Scores of the subsets of layers of the model that a run starts from."""
    scored = ORIGINS[wildcards.origin].scored_model(wildcards.seed)
    return layout.LAYER_SCORES.format(**wildcards, method="subsets", scored=scored)


def protect_option(wildcards):
    """Option that names the layers that a run must keep."""
    return ["--protect", as_json(kept)] if (kept := study.protected(wildcards)) else []


# Models whose layers are scored, by the name of their file of scores.
SCORED_SEEDS = {f"finetuned-seed{seed}": seed for task in study.tasks for seed in study.seeds(task)}


def scored_folder(wildcards):
    """Folder of the model whose layers are scored."""
    if wildcards.scored == "pretrained":
        return model_folder(wildcards)
    return layout.BASELINE_RUN.format(**wildcards, seed=SCORED_SEEDS[wildcards.scored])


def subset_scores_of(model, task):
    """Origin and file of the scores of subsets of layers that the runs of a model on a task go by."""
    scored = {
        (run.origin, ORIGINS[run.origin].scored_model(run.seed))
        for run in RUNS[model, task]
        if not run.is_baseline and (score := STRATEGIES[run.strategy].score) and score.of_subsets
    }
    names = {"study": study.name, "model": model, "task": task, "method": "subsets"}
    found = {(origin, layout.LAYER_SCORES.format(**names, scored=name)) for origin, name in scored}
    return [(origin, file) for origin, file in sorted(found) if file not in UNMADE]


def subset_options(wildcards):
    """Options that name the scores of subsets of layers, by origin."""
    found = subset_scores_of(wildcards.model, wildcards.task)
    return [part for origin, file in found for part in ("--subsets", origin, file)]


def recommended(wildcards):
    """What the study recommends, where it has a budget."""
    return {"recommended": layout.RECOMMENDED.format(**wildcards)} if study.config["budget"] else {}


def budget_options(wildcards):
    """Options that show a study's budget and what it recommends in a figure."""
    if not study.config["budget"]:
        return []
    return ["--budget", as_json(study.config["budget"]), "--recommended", layout.RECOMMENDED.format(**wildcards)]


def arm_folder(model, task, arm):
    """Folder of what is compared with the baseline."""
    return layout.ARM.format(study=study.name, model=model, task=task, arm=arm)


def baselines(model, task):
    """Folders of the full model's runs on a task."""
    return [run.directory for run in RUNS[model, task] if run.is_baseline]


def run_files(name):
    """Input function: a file of every run of a model on a task."""
    return lambda wildcards: [f"{run.directory}/{name}" for run in RUNS[wildcards.model, wildcards.task]]


def stage_before(wildcards):
    """Folder of the model that a stage drops its layer from."""
    stage = int(wildcards.stage) - 1
    return layout.STAGE.format(**{**wildcards, "stage": stage})


def stage_start(wildcards):
    """Files that a stage starts from: first those of the model that the run starts from, then those of a pruned one."""
    if wildcards.stage == "0":
        return checkpoint(start_folder)(wildcards)
    dropped = layout.STAGE_DROPPED.format(**wildcards)
    return {
        "weights": f"{dropped}/model.safetensors",
        "config": f"{dropped}/config.json",
        "manifest": f"{dropped}/manifest.json",
    }


def item_inputs(wildcards):
    """What an item of the paper is made from: the runs that it shows, or a table of the study."""
    item, folder = PAPER_ITEMS[wildcards.item], layout.STUDY.format(**wildcards)
    if item.runs is None:
        return {"table": f"{folder}/{PAPER_TABLES_OF_STUDY[item.table]}"}
    models = {name: Model(FULL_MODELS[name].num_layers, study.counterparts["models"][name]) for name in study.models}
    shown = item.runs(as_in_the_paper(PRESENT, study.protected_arms), models)
    return {
        "runs": f"{folder}/runs.csv",
        **({"costs": costs()} if item.shows_speed else {}),
        # Found by the script through runs.csv.
        **{
            kind: [f"{run.directory}/{name}" for run in shown]
            for kind, name in (
                ("metrics", "metrics.json"),
                ("resamples", "resamples.npy"),
                *([("manifests", "manifest.json")] if item.shows_speed else []),
            )
        },
        "predictions": [f"{run.directory}/predictions.parquet" for run in shown] if wildcards.item == "table-4" else [],
    }
