"""Sizes of a study's models and tasks: from local files where they exist, else published or assumed."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shallower.core import layout
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.wording import listed
from shallower.models.size import ModelSize, assumed_config
from shallower.sources.model_sources import model_source
from shallower.sources.tasks import answers_with_vectors, answers_words, local_data, num_outputs
from shallower.sources.unlabelled import local_unlabelled
from shallower.steps.job import Job
from shallower.study.study import Study

# Rows of GLUE's training and validation sets (for MNLI the matched one; paper, Table 1), and mean tokens in an example:
# measured with BERT's uncased vocabulary on the training sets, for MNLI, QNLI and QQP on parts of them.
GLUE_SIZES = {
    "cola": (8_551, 1_043, 11),
    "mnli": (392_702, 9_815, 39),
    "mrpc": (3_668, 408, 53),
    "qnli": (104_743, 5_463, 50),
    "qqp": (363_846, 40_430, 30),
    "rte": (2_490, 277, 67),
    "sst2": (67_349, 872, 13),
    "stsb": (5_749, 1_500, 28),
    "wnli": (635, 71, 37),
}
# For other tasks: tokens in a text, and rows of each split until the task is downloaded.
TOKENS_PER_TEXT = 25
ASSUMED_ROWS = 10_000
# Words of a text, on average and at most, where each has a label (sentences of news have 15, of tweets 18).
WORDS_OF_A_TEXT = 40


@dataclass(frozen=True)
class TaskSize:
    """Number of rows of a task's training and validation set, and mean number of tokens in an example.

    `is_assumed` says whether a number of rows is only assumed. `unlabelled_rows` are texts without labels, which a
    teacher answers: those of a file or, at most, those that are made from the training texts. `test_rows` are those of
    a test split.
    """

    train_rows: int
    validation_rows: int
    tokens: float
    is_assumed: bool = False
    unlabelled_rows: int = 0
    test_rows: int = 0


def config_file(study: Study, name: str, resources: str | Path = "resources") -> Path:
    """Where the config.json of a model of the study is, or will be once it is downloaded.

    Raises UserError where the study names a folder of this machine that is not there.
    """
    definition = study.model_definition(name)
    downloaded = layout.inside(layout.RESOURCES, layout.MODEL).format(model_key=study.model_key(name))
    return (model_source(definition).folder(definition) or Path(resources) / downloaded) / "config.json"


def model_size(study: Study, name: str, resources: str | Path = "resources") -> ModelSize:
    """Size of a model of the study: by its config.json, or as assumed until that exists.

    Raises UserError for a config.json of an unsupported architecture or without a size.
    """
    file = config_file(study, name, resources)
    if file.is_file():
        return ModelSize.of(read_json(file))
    return ModelSize.of(assumed_config(next(entry for entry in study.config["models"] if entry["name"] == name)))


def model_sizes(study: Study) -> dict[str, ModelSize]:
    """The size of each model of the study.

    Raises UserError as `model_size` does, and for a reproduction, whose items show halves and thirds of the layers,
    while a number of layers is unknown.
    """
    sizes = {name: model_size(study, name) for name in study.models}
    stated = {entry["name"] for entry in study.config["models"] if entry.get("num_layers")}
    unknown = [name for name in sizes if name not in stated and not config_file(study, name).is_file()]
    if unknown and study.config["reproduction"]:
        raise UserError(
            f"reproduction: the number of layers of {listed(unknown)} is unknown before its download; add num_layers"
        )
    return sizes


def task_size(study: Study, name: str, resources: str | Path = "resources") -> TaskSize:
    """Size of a task: as counted in its download or its local files, else as published or assumed."""
    size = _labelled_size(study, name, resources)
    if (augment := study.augmentation(name)) is not None:
        return replace(size, unlabelled_rows=size.train_rows * augment["copies"])
    return replace(size, unlabelled_rows=unlabelled_rows(study, name, resources))


def _labelled_size(study: Study, name: str, resources: str | Path) -> TaskSize:
    definition = study.test_definition(name) or study.task_definition(name)
    rows: Sequence[int] | None = None
    tokens: float
    match definition["source"]:
        case "glue":
            *rows, tokens = GLUE_SIZES[definition["subset"]]
        case _:
            tokens = TOKENS_PER_TEXT * len(definition.get("text", [""]))
    tokens = min(tokens, study.max_length(name))
    folder = layout.inside(layout.RESOURCES, layout.TASK).format(task_key=study.task_key(name))
    if counted := _counted_rows(Path(resources) / folder / "task.json"):
        return TaskSize(*counted, tokens, test_rows=_test_rows(study, name, resources, expected=counted[1]))
    if found := local_data(definition).rows:
        return TaskSize(found["train"], found["validation"], tokens, test_rows=found.get(layout.TEST, 0))
    limits = [definition.get(f"{split}_examples") for split in layout.SPLITS]
    train, validation = (int(limit or row) for limit, row in zip(limits, rows or 2 * [ASSUMED_ROWS], strict=True))
    train -= definition.get("calibration_examples", 0)
    test = _test_rows(study, name, resources, expected=validation)
    return TaskSize(train, validation, tokens, rows is None and not all(limits), test_rows=test)


def _test_rows(study: Study, name: str, resources: str | Path, expected: int) -> int:
    """Number of a task's test examples: as counted or set, else as `expected`; 0 for a task without."""
    if (definition := study.test_definition(name)) is None:
        return 0
    folder = layout.inside(layout.RESOURCES, layout.TEST_DATA)
    place = Path(resources) / folder.format(task_key=study.task_key(name), test=study.test_key(name))
    with suppress(UserError, KeyError, TypeError, ValueError):
        return int(read_json(place / "manifest.json")["rows"][layout.TEST])
    return int(definition.get("test_examples", expected))


def unlabelled_rows(study: Study, name: str, resources: str | Path = "resources") -> int:
    """Number of a task's texts without labels: those that were found to be left or, until then, those of the file."""
    definition = study.unlabelled_definition(name)
    if definition is None:
        return 0
    if counts := unlabelled_manifest(study, name, resources):
        return int(counts["rows"][layout.UNLABELLED])
    rows = (local_unlabelled(definition).rows or {}).get(layout.UNLABELLED, 0)
    return min(rows, definition.get("unlabelled_examples", rows))


def unlabelled_manifest(study: Study, name: str, resources: str | Path = "resources") -> dict[str, Any] | None:
    """The manifest of a task's texts without labels; None while it does not exist. Steps report a corrupt one."""
    folder = layout.inside(layout.RESOURCES, layout.UNLABELLED_DATA)
    file = Path(resources) / folder.format(task_key=study.task_key(name), unlabelled=study.unlabelled_key(name))
    with suppress(UserError, KeyError, TypeError, ValueError):
        manifest: dict[str, Any] = read_json(file / "manifest.json")
        int(manifest["rows"][layout.UNLABELLED])
        return manifest
    return None


def _counted_rows(task_file: Path) -> tuple[int, int] | None:
    """Rows of both splits by a task.json; None while it does not exist. A corrupt one is reported by steps alone."""
    if not task_file.is_file():
        return None
    with suppress(UserError, KeyError, TypeError, ValueError):
        rows = read_json(task_file)["rows"]
        return int(rows["train"]), int(rows["validation"])
    return None


def tokenizing_job(file: str | Path, max_length: int, copies: int = 0) -> Job:
    """The job of tokenizing a task, by its task.json, or calibration examples or others, by their manifest.json.

    With `copies` it is that of making so many texts from each of the task's. It has no size while the file does not
    exist.
    """
    with suppress(UserError, KeyError, TypeError, ValueError):
        task = read_json(file)
        return Job(max_length=max_length, rows=task["rows"], text_bytes=int(task["text_bytes"]), copies=copies)
    return Job(max_length=max_length)


def _outputs(definition: Mapping[str, Any], size: ModelSize, words_each: int) -> int:
    """Numbers that a model answers an example with: its logits or, of a sentence embedding, vectors of two texts."""
    return 2 * size.hidden_size if answers_with_vectors(definition) else num_outputs(definition) * max(1, words_each)


def job_of(
    study: Study,
    size: ModelSize,
    task: str | None = None,
    origin: str | None = None,
    rows: Mapping[str, int] | None = None,
    models: int = 1,
    on_gpu: bool = False,
) -> Job:
    """The job of a step of a study with a model of a size.

    `task` and `rows` (by split) are None for steps without a task, `origin` for baselines and where it makes no
    difference. `models` is the number of models that the step loads.
    """
    words_each = 0
    if task and answers_words(study.task_definition(task)):
        words_each = min(study.max_length(task), WORDS_OF_A_TEXT)
    return Job(
        size=size,
        max_length=study.max_length(task) if task else 0,
        trainings=study.tunings(task, origin) if task else (),
        rows=rows or {},
        calibration_examples=(study.calibration_examples(task) or 0) if task else 0,
        words_each=words_each,
        layer_evaluations=study.config["subsets"]["layer_evaluations"],
        race=study.config["race"],
        probe_examples=study.config["probe"]["train_examples"],
        measure={**study.config["measure"], "sequence_length": study.measured_length},
        models=models,
        threads=study.config["compute"]["threads"],
        outputs=_outputs(study.task_definition(task), size, words_each) if task else 1,
        teaches_vectors=task is not None and study.teaches_vectors(task),
        on_gpu=on_gpu,
    )
