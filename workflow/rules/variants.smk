# The variants in which a study's models are tried, and which files are of them.
#
# Needs: study, ALL_VOCABULARIES, ARMS, UNMADE, baselines(), and the keys and folders of models and tasks.
# Gives: DELIVER, RUNTIMES, VOCABULARIES, DELIVERED, and functions that say where files of variants are.
from shallower.core.files import read_json
from shallower.core.variants import TRIMMED, measured_runtimes, records_of_making
from shallower.export.packages import check_installed
from shallower.models.families import check_model_class, check_onnx_export, family_of

# What a study says of delivered models; nothing where it delivers none.
DELIVER = study.config.get("deliver") or {}
RUNTIMES = measured_runtimes(DELIVER["runtimes"]) if DELIVER else []
VOCABULARIES = [name for name in ALL_VOCABULARIES if name in DELIVER.get("vocabularies", [])]

try:
    # Before anything is computed. Steps run by the same interpreter, but for those in environments that conda makes.
    if study.exports_onnx and not uses_conda(workflow):
        check_installed()
    # Models that were downloaded before; those to come are checked when they do.
    for folder in MODEL_FOLDERS.values():
        if os.path.isfile(f"{folder}/config.json"):
            family = family_of(read_json(f"{folder}/config.json"))
            for model_class in study.model_classes:
                check_model_class(family, model_class)
            if study.exports_onnx:
                check_onnx_export(family)
except UserError as error:
    raise WorkflowError(str(error)) from None


def is_delivered(model, task):
    """Whether there are models to deliver: a full model and another one, which were tried in their variants."""
    names = {"study": study.name, "model": model, "task": task}
    made = ("evaluated", "serving", *(["test-evaluated"] if task in TESTED else []))
    tried = [f"{layout.VARIANTS.format(**names)}/{name}.json" for name in made]
    return bool(DELIVER and baselines(model, task)) and UNMADE.keys().isdisjoint(tried)


DELIVERED = [pair for pair in dict.fromkeys((model, task) for model, task, arm in ARMS) if is_delivered(*pair)]


def trimmed_folder(wildcards):
    """Folder of the trimmed tokenizer of a model and task, with their tokens."""
    keys = {"model_key": MODEL_KEYS[wildcards.model], "task_key": TASK_KEYS[wildcards.task]}
    length = study.max_length(wildcards.task)
    return layout.TRIMMED.format(**keys, max_length=length, trimmed=study.trimmed_key(wildcards.task))


def trimming_tokens(wildcards):
    """The tokens that say which ones a trimmed vocabulary keeps: of all texts that models learn from, each file once."""
    folder = layout.TOKENS.format(**wildcards)
    key = wildcards.trimmed.partition("-")[2]
    unlabelled = layout.UNLABELLED_TOKENS.format(**wildcards, unlabelled=key)
    return [f"{folder}/train.safetensors", *([f"{unlabelled}/{layout.UNLABELLED}.safetensors"] if key else [])]


def trimmed_file(name):
    """Input function: a file of the trimmed tokenizer."""
    return lambda wildcards: f"{trimmed_folder(wildcards)}/{name}"


def trimmed_tokens(wildcards):
    """The tokens of the validation split by the trimmed tokenizer, where a study asks for it."""
    return [f"{trimmed_folder(wildcards)}/validation.safetensors"] if TRIMMED in VOCABULARIES else []


def trimmed_test_tokens(wildcards):
    """The tokens of the test examples by the trimmed tokenizer, where a study asks for it."""
    folder = layout.inside(layout.TRIMMED, layout.TRIMMED_TEST).format(test=study.test_key(wildcards.task))
    return [f"{trimmed_folder(wildcards)}/{folder}/test.safetensors"] if TRIMMED in VOCABULARIES else []


def variant_records(wildcards):
    """The records of all models of a task that were made in a variant."""
    names = records_of_making(RUNTIMES, VOCABULARIES)
    return [f"{layout.VARIANTS.format(**wildcards)}/{name}.json" for name in names]


def of_delivered(pattern):
    """A file of each model and task that is delivered."""
    return [pattern.format(study=study.name, model=model, task=task) for model, task in DELIVERED]


def of_tested(name):
    """A file of the variants of each model and task that is delivered and has test examples."""
    pattern = f"{layout.VARIANTS}/{name}"
    return [pattern.format(study=study.name, model=model, task=task) for model, task in DELIVERED if task in TESTED]


def variants_table():
    """The table of all variants, where a study has any."""
    return [layout.VARIANTS_TABLE.format(study=study.name)] if DELIVERED else []


def variant_figures(form):
    """The figures on variants: as pictures, or as charts of the report (json)."""
    return of_delivered(f"{layout.FIGURES}/score-by-variant.{form}")


def delivered():
    """The folders of delivered models, by the file that is complete last."""
    return of_delivered(f"{layout.DELIVERED}/manifest.json")
