# Resources of each step: threads, memory, time and GPUs, by the size of its model and task.
#
# Needs: study, task_file(), RUNS, AUGMENTATIONS.
# Gives: THREADS, GPUS and the resource functions memory(), minutes(), tokenizing_memory(), augmenting_memory(),
# every_core() and training_priority(); planned().
import os
from contextlib import suppress
from functools import cache

from snakemake_adapter import cores, is_within_job, runs_locally

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.gpu_slots import has_gpu_driver
from shallower.models.size import ModelSize
from shallower.planning.plan import plan_study
from shallower.planning.sizes import job_of, model_sizes, task_size, tokenizing_job
from shallower.steps.table import STEPS

try:
    FULL_MODELS = model_sizes(study)
except UserError as error:
    raise WorkflowError(str(error)) from None

# CPU threads of one training or prediction, and GPUs to request from a scheduler. As `threads` of a rule they are only a
# claim on cores, which Snakemake lowers to --cores; as a parameter they are what the step computes with.
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
    """Size of the model in a step's input or, while its config.json does not exist, of the full model."""
    config = input.get("config", "")
    if config not in MODEL_SIZES and os.path.isfile(config):
        # The step itself reports a corrupt file.
        with suppress(UserError):
            MODEL_SIZES[config] = ModelSize.of(read_json(config))
    return MODEL_SIZES.get(config, FULL_MODELS[wildcards.model])


def memory(step):
    """Resource function: MB of memory that a step takes, and as many again at each further attempt.

    Snakemake calls it again before it starts the job, when the model exists.
    """

    def mem_mb(wildcards, input, attempt):
        size = size_of_model(wildcards, input)
        task = wildcards.get("task")
        asked = megabytes(size, task, wildcards.get("origin"), has_arrived(wildcards))
        return attempt * (asked + on_cluster(CLUSTER_MB))

    @cache
    def megabytes(size, task, origin, arrived):
        rows = task_rows(task) if task else None
        return STEPS[step].mem_mb(job_of(study, size, task, origin, rows, on_gpu=ON_GPU))

    return mem_mb


def on_cluster(value):
    """The value where jobs go to a cluster's scheduler, 0 where they run on this machine."""
    return 0 if runs_locally(workflow) else value


def every_core(wildcards):
    """Threads that are claimed so that nothing else runs at the same time; on a cluster there are other ways."""
    available = cores(workflow)
    return available if available and runs_locally(workflow) else THREADS


def minutes(step):
    """Resource function: minutes that a cluster's scheduler gives a step, and as many again at each further attempt."""

    def runtime(wildcards, input, attempt):
        task, size = wildcards.get("task"), size_of_model(wildcards, input)
        models = 1 if "arm" in wildcards.keys() else len(RUNS.get((wildcards.model, task), []))
        if models > 1 and step != "reload_models":  # those that may be delivered: the full one and an arm of each depth
            models = min(models, (size.num_layers + 1) * len(study.seeds(task)))
        return attempt * asked(size, task, wildcards.get("origin"), has_arrived(wildcards), models)

    @cache
    def asked(size, task, origin, arrived, models):
        rows = task_rows(task) if task else None
        return STEPS[step].runtime(job_of(study, size, task, origin, rows, models, on_gpu=ON_GPU))

    return runtime


@cache
def planned():
    """The plan of the study."""
    return plan_study(study)


def training_priority(wildcards):
    """Priority of a training and of what prepares it: after other steps that are ready, the longest training first.

    So short ones are left for the end, when cores would wait for a long one, and each run is scored when it is trained.
    """
    if is_within_job(workflow):  # which has no choice
        return 0
    run = layout.PRUNED_RUN if "origin" in wildcards.keys() else layout.BASELINE_RUN
    return -1 / (1 + planned().operations.get(run.format(**wildcards), 0) / 1e9)


def has_arrived(wildcards):
    """Which parts of the step's task are there, since their numbers of rows may be others then; a key of the caches."""
    if "task" not in wildcards.keys():
        return ()
    files = [task_file(wildcards), *unlabelled_manifests(wildcards.task), *test_manifests(wildcards.task)]
    return tuple(map(os.path.isfile, files))


def task_rows(task):
    """Rows of a task's splits: as counted once it is downloaded, before that as expected."""
    size = task_size(study, task)
    return {
        "train": size.train_rows,
        "validation": size.validation_rows,
        layout.UNLABELLED: size.unlabelled_rows,
        layout.TEST: size.test_rows,
    }


def tokenizing_memory(wildcards, input, attempt):
    """Resource function: MB of memory of tokenizing a task, or another part of its examples."""
    parts = [name for name in (layout.CALIBRATION, layout.UNLABELLED, layout.TEST) if name in input.keys()]
    if parts:
        sizes = f"{os.path.dirname(input[parts[0]])}/manifest.json"
    else:
        sizes = f"{os.path.dirname(input.train)}/task.json"
    job = tokenizing_job(sizes, int(wildcards.max_length))
    return attempt * (STEPS["tokenize_task"].mem_mb(job) + on_cluster(CLUSTER_MB))


def augmenting_memory(wildcards, input, attempt):
    """Resource function: MB of memory of making texts from those of a task."""
    task = f"{layout.TASK.format(task_key=wildcards.task_key)}/task.json"
    job = tokenizing_job(task, int(wildcards.max_length), AUGMENTATIONS[wildcards.augmented]["copies"])
    return attempt * (STEPS["augment_tokens"].mem_mb(job) + on_cluster(CLUSTER_MB))
