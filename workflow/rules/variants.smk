# The variants in which a study's models are tried, and which files are of them.
#
# Needs: study, RUNS, made(), and the keys and folders of models and tasks.
# Gives: DELIVER, RUNTIMES, VOCABULARIES, DELIVERED, and functions that say where files of variants are.
from shallower.core.variants import FULL, INT8, ONNX, TRIMMED

# What a study says of delivered models; nothing where it delivers none.
DELIVER = study.config.get("deliver") or {}
RUNTIMES, VOCABULARIES = DELIVER.get("runtimes", []), DELIVER.get("vocabularies", [])
# Models and tasks of which there are models to deliver: those with a full model and another one.
DELIVERED = [pair for pair in dict.fromkeys((model, task) for model, task, arm in ARMS) if DELIVER and baselines(*pair)]


def trimmed_folder(wildcards):
    """Folder of the trimmed tokenizer of a model and task, with their tokens."""
    keys = {"model_key": MODEL_KEYS[wildcards.model], "task_key": TASK_KEYS[wildcards.task]}
    length = study.max_length(wildcards.task)
    return layout.TRIMMED.format(**keys, max_length=length, minimum_count=DELIVER["minimum_count"])


def trimmed_file(name):
    """Input function: a file of the trimmed tokenizer."""
    return lambda wildcards: f"{trimmed_folder(wildcards)}/{name}"


def trimmed_tokens(wildcards):
    """The tokens of the validation split by the trimmed tokenizer, where a study asks for it."""
    return [f"{trimmed_folder(wildcards)}/validation.safetensors"] if TRIMMED in VOCABULARIES else []


def variant_records(*names):
    """Input function: of these records of what was made, those that a study has."""
    present = {
        "trimmed": TRIMMED in VOCABULARIES,
        "exported": {ONNX, INT8} & {*RUNTIMES},
        "quantised": INT8 in RUNTIMES,
    }
    return lambda wildcards: [
        f"{layout.VARIANTS.format(**wildcards)}/{name}.json" for name in names or present if present[name]
    ]


def of_delivered(pattern):
    """A file of each model and task that is delivered."""
    return made(pattern.format(study=study.name, model=model, task=task) for model, task in DELIVERED)


def variants_table():
    """The table of all variants, where a study has any."""
    return [layout.VARIANTS_TABLE.format(study=study.name)] if DELIVERED else []


def variant_figures(form):
    """The figures on variants: as pictures, or as charts of the report (json)."""
    return of_delivered(f"{layout.FIGURES}/score-by-variant.{form}")


def delivered():
    """The folders of delivered models, by the file that is complete last."""
    return of_delivered(f"{layout.DELIVERED}/manifest.json")
