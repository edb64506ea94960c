"""Where files are: the pattern of every folder under results/ and resources/, relative to the working directory.

Rules use the patterns as they are, with Snakemake's wildcards; the library fills them in with `str.format`.
"""

# Training checkpoints, and records of runs whose results identical runs copy; can be deleted once a study is finished.
SCRATCH = ".scratch"

# Of a task's examples; its files and those of its tokens are named so.
VALIDATION = "validation"
SPLITS = ("train", VALIDATION)
# A part of the training data that nothing is trained on, for choices from data.
CALIBRATION = "calibration"
# Texts without labels, which a teacher answers.
UNLABELLED = "unlabelled"
# The same, made from the training texts.
AUGMENTED = "augmented"
# Labelled examples that nothing is trained on and nothing is chosen by.
TEST = "test"
# Written into a study's folder by `make provenance`, which is no step.
PROVENANCE_PAGE = "provenance.html"

RESOURCES = "resources"
MODEL = f"{RESOURCES}/models/{{model_key}}"
TASK = f"{RESOURCES}/tasks/{{task_key}}"
TOKENS = f"{RESOURCES}/tokens/{{model_key}}/{{task_key}}/length{{max_length}}"
# In folders of their own, since a task is the same whatever is drawn from what it leaves over.
CALIBRATION_DATA = f"{TASK}/calibration{{examples}}"
CALIBRATION_TOKENS = f"{TOKENS}/calibration{{examples}}"
UNLABELLED_DATA = f"{TASK}/unlabelled-{{unlabelled}}"
UNLABELLED_TOKENS = f"{TOKENS}/unlabelled-{{unlabelled}}"
AUGMENTED_TOKENS = f"{TOKENS}/augmented-{{augmented}}"
TRIMMED = f"{TOKENS}/trimmed{{trimmed}}"
TEST_DATA = f"{TASK}/test-{{test}}"
TEST_TOKENS = f"{TOKENS}/test-{{test}}"
TRIMMED_TEST = f"{TRIMMED}/test-{{test}}"

STUDY = "results/{study}"
TABLES = f"{STUDY}/tables"
RECOMMENDED = f"{STUDY}/recommended.csv"
TEST_RESULTS = f"{STUDY}/test-results.csv"
TEST_RESAMPLES = f"{STUDY}/test-resamples.parquet"
TEST_TEXTS = f"{STUDY}/test-texts.json"
PAPER = f"{STUDY}/paper"
ORACLE = f"{STUDY}/oracle"
FIGURES = f"{STUDY}/figures/{{model}}/{{task}}"

# What belongs to a model, and to a model on a task.
MODEL_RESULTS = f"{STUDY}/{{model}}"
TASK_RESULTS = f"{MODEL_RESULTS}/{{task}}"
SCORES = f"{TASK_RESULTS}/scores"
LAYER_SCORES = f"{SCORES}/{{method}}/{{scored}}.json"
SUBSET_TABLE = f"{SCORES}/{{method}}/{{scored}}.csv"
# An arm is `baseline`, or an origin with what was dropped; a run is an arm with a seed.
BASELINE_ARM = "baseline"
PRUNED_ARM = "{origin}/{strategy}-{amount}"
ARM = f"{TASK_RESULTS}/{{arm}}"
RUN = f"{ARM}/seed{{seed}}"
TEST_RUN = f"{RUN}/{TEST}"
BASELINE_RUN = f"{TASK_RESULTS}/{BASELINE_ARM}/seed{{seed}}"
TEACHER = f"{BASELINE_RUN}/teacher.safetensors"
# What the full model answers to calibration examples, and the thresholds of labels that are tuned by that.
CALIBRATION_RUN = f"{BASELINE_RUN}/{CALIBRATION}"
THRESHOLDS = f"{BASELINE_RUN}/thresholds.json"
PRUNED_RUN = f"{TASK_RESULTS}/{PRUNED_ARM}/seed{{seed}}"
# Models in the forms in which they can be delivered, and those that are.
VARIANTS = f"{TASK_RESULTS}/variants"
VARIANT = f"{VARIANTS}/{{arm}}/seed{{seed}}/{{vocabulary}}/{{runtime}}"
VARIANTS_TABLE = f"{STUDY}/variants.csv"
DELIVERED = f"{STUDY}/delivered/{{model}}/{{task}}"
# Models on the way to a run, which are deleted after their use.
RACE = f"{PRUNED_RUN}/race"
DROPPED = f"{PRUNED_RUN}/dropped"
FROZEN = f"{PRUNED_RUN}/frozen"
STAGE = f"{PRUNED_RUN}/stage{{stage}}"
STAGE_DROPPED = f"{STAGE}/dropped"


def inside(folder: str, pattern: str) -> str:
    """A pattern relative to that of a folder that contains it, for a study or resources that lie elsewhere."""
    if not pattern.startswith(f"{folder}/"):
        raise ValueError(f"{pattern} is not inside {folder}")
    return pattern.removeprefix(f"{folder}/")
