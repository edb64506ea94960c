"""What can be wrong with a study beyond its keys by themselves: names, amounts, metrics, models and data.

Each check looks at the parts of a study that are well-formed, so that one mistake does not hide another.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from shallower.core.errors import UserError
from shallower.core.wording import listed, unsuited
from shallower.evaluation.metrics import METRICS, metric_names
from shallower.models.families import check_model_class, family_of, position_limit
from shallower.sources.model_sources import model_source
from shallower.sources.models import check_model, known_config
from shallower.sources.tasks import check_task
from shallower.sources.unlabelled import check_unlabelled
from shallower.study.budget_checks import budget_problems
from shallower.study.defaults import resolved_task
from shallower.study.deliver_checks import deliver_problems
from shallower.study.draft import AXES, Draft
from shallower.study.kind_checks import kind_problems, known_kinds, not_taken, problems_of_task, target_problem
from shallower.study.messages import KeyPath, shown, unknown
from shallower.study.names import RESERVED_NAMES
from shallower.study.oracle_checks import oracle_problems
from shallower.study.step_settings import Measure
from shallower.study.strategy_checks import pairs_with_arms, repeated, strategy_problems
from shallower.study.study import (
    MODEL_USE_KEYS,
    TASK_USE_KEYS,
    TEST_KEYS,
    UNLABELLED_KEYS,
    has_test,
    keys_of_test,
    target_of,
    task_definition,
    unlabelled_definition,
)
from shallower.study.teacher_checks import augmentation_problems, is_taught
from shallower.surgery.origins import ORIGINS
from shallower.task_kinds.base import TaskKind
from shallower.task_kinds.registry import task_kind


def problems(draft: Draft) -> Iterator[str]:
    """All that is wrong; reads local files only."""
    yield from _name_problems(draft)
    yield from _seed_problems(draft)
    yield from _origin_problems(draft)
    yield from _refine_problems(draft)
    yield from _class_weight_problems(draft)
    yield from augmentation_problems(draft)
    yield from strategy_problems(draft)
    yield from budget_problems(draft)
    yield from deliver_problems(draft)
    yield from kind_problems(draft)
    yield from oracle_problems(draft)
    yield from _model_problems(draft)
    yield from _task_problems(draft)
    yield from _measure_problems(draft)


def _name_problems(draft: Draft) -> Iterator[str]:
    for axis in AXES:
        # Folders are named after entries, and some file systems do not distinguish upper from lower case.
        for name in repeated(name.casefold() for name in draft.names(axis)):
            yield f"{axis}: the name {shown(name)} is used more than once; give each entry its own name"
    for axis, reserved in RESERVED_NAMES.items():
        for index, entry in draft.entries(axis):
            name = entry.get("name")
            if isinstance(name, str) and name.casefold() in reserved:
                yield f"{axis}[{index}]: the name {name!r} is one of the pipeline's own files; choose another"


def _seed_problems(draft: Draft) -> Iterator[str]:
    lists: list[tuple[tuple[int | str, ...], Mapping[str, Any]]] = [(("seeds",), draft.config)]
    lists += [(("tasks", index, "seeds"), task) for index, task in draft.entries("tasks")]
    for path, owner in lists:
        if draft.is_sound(*path):
            for seed in repeated(owner.get("seeds", [])):
                yield f"{draft.place(*path)}: {seed} is listed more than once; remove the repeats"


def _origin_problems(draft: Draft) -> Iterator[str]:
    staged = [name for name, origin in ORIGINS.items() if origin.stage is not None]
    for index, origin in draft.entries("origins"):
        if "stage" in origin and draft.is_sound("origins", index, "name") and origin.get("name") not in staged:
            known = listed([repr(name) for name in staged])
            yield f"{draft.place('origins', index, 'stage')}: is only for the origin {known}; remove the key"
    yield from _longer_problems(draft)
    kinds = map(task_kind, known_kinds(draft).values())
    if draft.config.get("reproduction") is True and not any("reproduction" in kind.unsupported for kind in kinds):
        yield from _reproduction_problems(draft)


def _reproduction_problems(draft: Draft) -> Iterator[str]:
    """Trainings that would count as the paper's, and origins that could not be compared."""
    for index, origin in draft.entries("origins"):
        if draft.is_sound("origins", index, "refine") and origin.get("refine"):
            yield (
                f"{draft.place('origins', index, 'refine')}: the paper's claims compare origins that are refined "
                "alike; write the settings into refine of the study or of a task, or remove 'reproduction'"
            )
    owners: list[tuple[KeyPath, Mapping[str, Any]]] = [((), draft.config)]
    owners += [(("tasks", index), task) for index, task in draft.entries("tasks")]
    for path, owner in owners:
        if draft.is_sound(*path, "refine") and owner.get("refine", {}).get("distill") is not None:
            yield (
                f"{draft.place(*path, 'refine', 'distill')}: the paper's models have no teacher; remove the key, or "
                "'reproduction'"
            )


def _longer_problems(draft: Draft) -> Iterator[str]:
    """Numbers of epochs of single origins that would make "twice as many as pretrained" untrue."""
    names = draft.names("origins")
    for longer in (name for name, origin in ORIGINS.items() if origin.times_epochs != 1 and name in names):
        for index, origin in draft.entries("origins"):
            if origin.get("name") not in ("pretrained", longer) or not draft.is_sound("origins", index, "refine"):
                continue
            if origin.get("refine", {}).get("epochs") is not None:
                yield (
                    f"{draft.place('origins', index, 'refine', 'epochs')}: {longer} trains for "
                    f"{ORIGINS[longer].times_epochs} times as many epochs as pretrained; remove the key, and write "
                    "epochs in refine of the study or of a task"
                )


def _refine_problems(draft: Draft) -> Iterator[str]:
    """Runs that would never be trained and teachers that would teach nobody, each reason once."""
    untrained: dict[tuple[int | str, ...], str] = {}
    untaught: dict[tuple[int | str, ...], None] = {}
    kinds, pairs = known_kinds(draft), pairs_with_arms(draft)
    for index, origin in draft.entries("origins"):
        name = origin.get("name")
        if not draft.is_sound("origins", index, "name") or name not in ORIGINS:
            continue
        for task_index, task in draft.entries("tasks"):
            if (str(task.get("name")), name) not in pairs:
                continue
            kind = kinds.get(str(task.get("name")))
            # The later overrides the earlier, as in the study's `refine_settings`.
            owners = {(): draft.config, ("origins", index): origin, ("tasks", task_index): task}
            sound = {path: owner.get("refine", {}) for path, owner in owners.items() if draft.is_sound(*path, "refine")}
            epochs, distill = (
                [path for path, refine in sound.items() if refine.get(key) is not None] for key in ("epochs", "distill")
            )
            if not epochs or sound[epochs[-1]]["epochs"] > 0:
                continue
            if ORIGINS[name].needs_refining and (kind is None or task_kind(kind).needs_training):
                untrained.setdefault((*epochs[-1], "refine", "epochs"), name)
            if distill:
                untaught[(*distill[-1], "refine", "distill")] = None
    for path, name in untrained.items():
        yield (
            f"{draft.place(*path)}: 0 leaves the runs of origin {name}, which start from the pre-trained model, "
            "untrained; write at least 1, or take the origin finetuned"
        )
    for path in untaught:
        yield f"{draft.place(*path)}: nothing is trained with refine.epochs 0; remove distill, or refine for 1 epoch"


def _class_weight_problems(draft: Draft) -> Iterator[str]:
    """Weights of classes for tasks that have none: by their own settings, or by those of the study or an origin."""

    def is_balanced(*path: int | str, owner: Mapping[str, Any]) -> bool:
        settings = owner.get(str(path[-1]), {}) if draft.is_sound(*path) else {}
        return isinstance(settings, Mapping) and settings.get("class_weights") == "balanced"

    # What holds for all tasks, by the key of a task that overrides it, if any does.
    common: list[tuple[tuple[int | str, ...], Mapping[str, Any], str | None]] = [
        (("train",), draft.config, "train"),
        (("refine",), draft.config, "refine"),
    ]
    for index, origin in draft.entries("origins"):
        common += [(("origins", index, "refine"), origin, "refine"), (("origins", index, "stage"), origin, None)]
    for index, task in draft.entries("tasks"):
        target = _target(task, lambda *keys, index=index: all(draft.is_sound("tasks", index, key) for key in keys))
        if target is None or not (reason := not_taken(task_kind(target), "class_weights")):
            continue
        for key in ("train", "refine"):
            if is_balanced("tasks", index, key, owner=task):
                place = draft.place("tasks", index, key, "class_weights")
                yield f"{place}: {unsuited('class_weights', target, f'{reason}; remove the key')}"
        for path, owner, key_of_task in common:
            own = task.get(key_of_task, {}) if key_of_task else {}
            if is_balanced(*path, owner=owner) and not (isinstance(own, Mapping) and "class_weights" in own):
                remedy = f"write '{key_of_task}: {{class_weights: none}}' for it, or s" if key_of_task else "s"
                problem = unsuited(
                    "class_weights", target, f"{reason}; {remedy}et balanced in tasks that take it", task.get("name")
                )
                yield f"{draft.place(*path, 'class_weights')}: {problem}"


# --- models and tasks ----------------------------------------------------------------------------------------------


def _model_problems(draft: Draft) -> Iterator[str]:
    kinds = [task_kind(kind) for kind in known_kinds(draft).values()]
    use = {"sentence_embedding": True} if any(kind.answers_with_vectors for kind in kinds) else {}
    for index, model in draft.entries("models"):
        if not draft.is_sound("models", index, but={"name", *MODEL_USE_KEYS}):
            continue
        if problem := check_model({**model, **use}) or _class_problem(model, kinds):
            keys = filter(None, [model_source(model).folder_key])
            yield f"{draft.place('models', index, *keys)}: {problem}"
        elif draft.is_sound("measure") and not draft.config.get("measure", {}).get("task"):
            length = draft.config.get("measure", {}).get("sequence_length", Measure().sequence_length)
            limit = position_limit(known_config(model) or {})
            if limit is not None and length > limit:
                name = model.get("name", index)
                yield f"measure.sequence_length: {length} tokens, but model {name} has {limit} positions; lower it"


def _class_problem(model: Mapping[str, Any], kinds: Iterable[TaskKind]) -> str | None:
    """Why a sound model, as far as it is known without a download, cannot answer a kind of task; None if it can."""
    if (config := known_config(model)) is not None:
        try:
            for kind in kinds:
                check_model_class(family_of(config), kind.model_class)
        except UserError as error:
            return str(error)
    return None


def _task_problems(draft: Draft) -> Iterator[str]:
    for index, task in draft.entries("tasks"):
        here = draft.place("tasks", index)

        def sound(*keys: str, index: int = index) -> bool:
            return all(draft.is_sound("tasks", index, key) for key in keys)

        yield from (f"{here}{problem}" for problem in _metric_problems(task, sound))
        found = [*_label_problems(task, sound), *problems_of_task(draft, index, task)]
        yield from (f"{here}{problem}" for problem in found)
        folder_is_sound = task.get("source") != "glue" or draft.is_sound("glue_directory")
        if folder_is_sound and draft.is_sound("tasks", index, but=TASK_USE_KEYS) and not found:
            # Without calibration examples as the steps have it, so that what is found in its files is found once.
            definition = task_definition(resolved_task(task, draft.config.get("glue_directory")))
            definition |= _calibration(draft, index, task)
            if sound(*TEST_KEYS):
                definition |= keys_of_test(task) if has_test(task) else {}
                if "test_examples" in task and not has_test(task):
                    key = {"glue": "test_split", "collection": "test_qrels_file"}.get(task["source"], "test_file")
                    yield f"{here}.test_examples: there is no {key}; add it, or remove the key"
            yield from (f"{here}: {problem}" for problem in check_task(definition))
            yield from (f"{here}{problem}" for problem in _unlabelled_problems(draft, index, task))


def _measure_problems(draft: Draft) -> Iterator[str]:
    task = draft.config.get("measure", {}).get("task") if draft.is_sound("measure") else None
    if task is not None and task not in (known := draft.names("tasks")):
        yield f"measure.task: unknown task {shown(task)}; known: {', '.join(known)}"


def _calibration(draft: Draft, index: int, task: Mapping[str, Any]) -> dict[str, int]:
    """The number of calibration examples of a task, under its key in a task's definition."""
    own = "calibration" in task
    if not (draft.is_sound("tasks", index, "calibration") if own else draft.is_sound("calibration")):
        return {}
    calibration = task["calibration"] if own else draft.config.get("calibration")
    return {"calibration_examples": calibration["examples"]} if calibration else {}


def _unlabelled_problems(draft: Draft, index: int, task: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a sound task's texts without labels."""
    if not all(draft.is_sound("tasks", index, key) for key in UNLABELLED_KEYS):
        return
    kind = known_kinds(draft).get(str(task.get("name")))
    refuses = kind is not None and "unlabelled_file" in task_kind(kind).unsupported  # reported where kinds are checked
    if task.get("unlabelled_file") is None and draft.is_sound("unlabelled_file") and not refuses:
        # The study's is for the tasks that have a teacher.
        file = draft.config.get("unlabelled_file")
        task = {**task, "unlabelled_file": file} if file is not None and is_taught(draft, index, task) else task
    if "unlabelled_file" not in task:
        if "unlabelled_examples" in task:
            yield ".unlabelled_examples: there is no unlabelled_file; add it, or remove the key"
        return
    settings_are_sound = all(map(draft.is_sound, ("refine", "origins", "strategies")))
    if settings_are_sound and draft.is_sound("tasks", index, "refine") and not is_taught(draft, index, task):
        yield (
            ".unlabelled_file: a teacher answers these texts, and no run of this task has one; add 'refine: {distill: "
            "{}}', or remove the key"
        )
        return
    definition = unlabelled_definition(resolved_task(task, draft.config.get("glue_directory")))
    yield from (f": {problem}" for problem in check_unlabelled(definition))


def _target(task: Mapping[str, Any], sound: Callable[..., bool]) -> str | None:
    """What the label of a task is; None where the study does not say it well."""
    match task.get("source"):
        case "glue" if sound("subset", "target"):
            return target_of(task)
        case str() as source if source != "glue" and sound("source", "target"):
            target: str = task["target"]
            return target
        case _:
            return None


def _metric_problems(task: Mapping[str, Any], sound: Callable[..., bool]) -> Iterator[str]:
    target = _target(task, sound)
    if target is None or not sound("metrics"):
        return
    metrics = task.get("metrics", [])
    suitable = metric_names(target)
    for metric in metrics:
        if metric not in suitable:
            remedy = f"choose from {', '.join(sorted(suitable))}"
            yield f".metrics: {unsuited(metric, target, remedy)}"
    classes = len(task.get("labels", [])) if sound("labels") else 0
    for metric in (METRICS[name] for name in metrics if name in suitable):
        if metric.most_classes is not None and classes > metric.most_classes:
            yield f".metrics: {metric.name} is for two classes, there are {classes}; use macro_f1"


def _pair_keys(task: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the keys that say how pairs to train on are read, of a test collection."""
    has_pairs = "train_file" in task
    for key in ("text", "label"):
        if has_pairs and key not in task:
            yield f": missing {key!r}; name the columns of train_file that have the two texts and their similarity"
    if "test_queries_file" in task and "test_qrels_file" not in task:
        yield ".test_queries_file: there is no test_qrels_file; add it, or remove the key"
    for key in ("text", "label", "similarity_range"):
        if not has_pairs and key in task:
            yield f".{key}: there is no train_file; add it, or remove the key"


def _label_problems(task: Mapping[str, Any], sound: Callable[..., bool]) -> Iterator[str]:
    has_own = task.get("source") == "glue" and "target" in task and sound("subset", "target")
    if has_own and (problem := target_problem(task)):
        yield f".target: {problem}"
    if task.get("source") == "glue" or not sound("source", "target", "labels", "label", "label_columns"):
        return
    kind = task_kind(task["target"])
    if kind.source not in (None, task["source"]):
        yield f".target: {kind.name} takes other files than labelled text; write 'source: {kind.source}' and name them"
        return
    if task["source"] == "collection":
        yield from _pair_keys(task)
        return
    has_classes, has_columns = kind.has_classes, "label_columns" in task
    if sound("text") and (problem := kind.text_problem(task["text"])):
        yield f".text: {problem}"
    if has_columns and not kind.has_class_sets:
        return  # reported as a key that does not suit the kind
    if has_columns and "label" in task:
        yield ".label_columns: there is label, too; name the one column of lists, or those of 0 and 1"
    elif has_columns and "labels" in task:
        yield ".labels: label_columns name the classes; remove the key"
    elif not has_columns and "label" not in task:
        columns = " or, for columns of 0 and 1, label_columns" if kind.has_class_sets else ""
        yield f": missing 'label'; name the column of the label{columns}"
    if has_classes and "labels" not in task and not has_columns:
        yield ": missing 'labels'; list the names of the classes in the order of their ids"
    labels = task.get("labels", [])
    if "positive_class" not in task or not sound("positive_class") or "positive_class" not in kind.takes:
        return
    if labels and len(labels) != 2:
        yield f".positive_class: is for two classes, there are {len(labels)}; remove the key"
    elif labels and task["positive_class"] not in labels:
        yield f".positive_class: {unknown('class', task['positive_class'], labels)}"
