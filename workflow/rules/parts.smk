# A task's examples beyond those to train and to validate on: calibration examples, texts without labels, test examples.
#
# Needs: study, RUNS, made(), tokens() and the keys and folders of models and tasks.
# Gives: TESTED, and functions that say where tables, manifests and tokens of these examples are, and what is tuned by them.

# The tasks with test examples of which there are runs.
TESTED = [task for task in study.tested_tasks if any(RUNS[model, task] for model in study.models)]


def calibration_tables(task):
    """The table of a task's calibration examples, where the study has them."""
    size = study.calibration_examples(task)
    folder = layout.CALIBRATION_DATA.format(task_key=TASK_KEYS[task], examples=size)
    return [] if size is None else [f"{folder}/{layout.CALIBRATION}.parquet"]


def calibration_tokens(wildcards):
    """The tokens of a task's calibration examples."""
    place = layout.CALIBRATION_TOKENS.format(
        model_key=MODEL_KEYS[wildcards.model],
        task_key=TASK_KEYS[wildcards.task],
        max_length=study.max_length(wildcards.task),
        examples=study.calibration_examples(wildcards.task),
    )
    return f"{place}/{layout.CALIBRATION}.safetensors"


def thresholds(wildcards):
    """The thresholds of a task's labels where they are tuned: by the full model of the seed at hand, or of each one."""
    if not study.tunes_thresholds(wildcards.task):
        return []
    seeds = [run.seed for run in RUNS[wildcards.model, wildcards.task] if run.is_baseline]
    if "seed" in wildcards.keys():
        seeds = [wildcards.seed]
    names = {axis: getattr(wildcards, axis) for axis in ("study", "model", "task")}
    return [layout.THRESHOLDS.format(**names, seed=seed) for seed in seeds]


def scoring_tokens(wildcards):
    """The tokens that layers are scored on: the calibration examples where a task has them, else the validation split."""
    if study.calibration_examples(wildcards.task) is None:
        return tokens("validation")(wildcards)
    return calibration_tokens(wildcards)


def unlabelled_tokens(wildcards):
    """The tokens of a task's texts without labels, of its file or made from it, where it has them, as a further input."""
    keys = {
        "model_key": MODEL_KEYS[wildcards.model],
        "task_key": TASK_KEYS[wildcards.task],
        "max_length": study.max_length(wildcards.task),
    }
    if (key := study.unlabelled_key(wildcards.task)) is not None:
        folder = layout.UNLABELLED_TOKENS.format(**keys, unlabelled=key)
        return {"unlabelled": f"{folder}/{layout.UNLABELLED}.safetensors"}
    if (key := study.augmentation_key(wildcards.task)) is not None:
        folder = layout.AUGMENTED_TOKENS.format(**keys, augmented=key)
        return {"unlabelled": f"{folder}/{layout.AUGMENTED}.safetensors"}
    return {}


def unlabelled_manifests(*tasks):
    """What was found of the texts without labels of tasks, or of all, that have them."""
    keys = {task: study.unlabelled_key(task) for task in tasks or study.tasks}
    return [
        f"{layout.UNLABELLED_DATA.format(task_key=TASK_KEYS[task], unlabelled=key)}/manifest.json"
        for task, key in keys.items()
        if key is not None
    ]


def test_folders(*tasks):
    """Folders of the test examples of tasks, or of all, that have them."""
    keys = {task: study.test_key(task) for task in tasks or study.tasks}
    return [
        layout.TEST_DATA.format(task_key=TASK_KEYS[task], test=key) for task, key in keys.items() if key is not None
    ]


def test_tables(*tasks):
    """The tables of these test examples."""
    return [f"{folder}/{layout.TEST}.parquet" for folder in test_folders(*tasks)]


def test_manifests(*tasks):
    """The manifests of these test examples."""
    return [f"{folder}/manifest.json" for folder in test_folders(*tasks)]


def test_tokens_folder(model, task):
    """Folder of the tokens of a task's test examples for a model."""
    return layout.TEST_TOKENS.format(
        model_key=MODEL_KEYS[model],
        task_key=TASK_KEYS[task],
        max_length=study.max_length(task),
        test=study.test_key(task),
    )


def test_results(*names):
    """Files on the test examples of all runs, where the study has any."""
    return [name.format(study=study.name) for name in names] if TESTED else []


def other_tables(task):
    """The tables of a task's examples that are for something else than a test."""
    return made([*(f"{TASK_FOLDERS[task]}/{split}.parquet" for split in layout.SPLITS), *calibration_tables(task)])


def held_out_tables(wildcards):
    """The tables of a task's calibration and test examples, where the study has them."""
    task = next(task for task, key in TASK_KEYS.items() if key == wildcards.task_key)
    return [*calibration_tables(task), *test_tables(task)]
