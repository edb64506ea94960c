"""What can be wrong with a study by the kinds of its tasks: what a kind does not support, with the reason."""

from collections.abc import Iterator, Mapping
from typing import Any

from shallower.core.wording import listed, unsuited
from shallower.sources.glue import GLUE_TASKS
from shallower.study.draft import Draft
from shallower.study.step_settings import Training
from shallower.study.strategy_checks import calibration_missing, limit_of, pairs_with_arms
from shallower.study.study import target_of
from shallower.study.teacher_checks import is_taught
from shallower.surgery.strategies import STRATEGIES
from shallower.task_kinds.base import TaskKind
from shallower.task_kinds.registry import OWNERS, TASK_KINDS, task_kind
from shallower.task_kinds.tag_schemes import scheme_of


def kind_problems(draft: Draft) -> Iterator[str]:
    """All that is wrong by the kinds of tasks, as far as these are well-formed."""
    kinds = known_kinds(draft)
    yield from _mixed_problems(kinds)
    yield from _untrained_problems(draft, kinds)
    yield from _unlearnt_problems(draft, kinds)
    said = set()
    for task, name in kinds.items():
        unsupported = task_kind(name).unsupported
        for feature, place in _features(draft, task):
            # Once for each kind, and not for each of its tasks.
            if (reason := unsupported.get(feature)) and (place, name) not in said:
                said.add((place, name))
                yield f"{place}: {unsuited(feature, name, reason, task)}"


def problems_of_task(draft: Draft, index: int, task: Mapping[str, Any]) -> Iterator[str]:
    """What its kind does not support of a task; follows the task's place."""
    if name := known_kinds(draft).get(str(task.get("name"))):
        kind = task_kind(name)
        others = {key: f"{reason}; remove the key" for key in OWNERS if (reason := not_taken(kind, key))}
        for key, reason in {**others, **kind.unsupported}.items():
            # False is what a task has without the key.
            if task.get(key, False) is not False:
                yield f".{key}: {unsuited(key, name, reason)}"
        yield from _word_problems(draft, index, task, kind)
        yield from _training_problems(draft, task, kind)
        if "thresholds" in task and "thresholds" in kind.takes:
            yield from _threshold_problems(draft, task)


def _threshold_problems(draft: Draft, task: Mapping[str, Any]) -> Iterator[str]:
    if "threshold" in task:
        yield ".threshold: there are thresholds, one for each label; remove one of the two keys"
    if calibration_missing(draft, [str(task["name"])]):
        yield (
            ".thresholds: are tuned on calibration examples, and there are none; add 'calibration: {examples: 500}' to "
            "the study or the task"
        )


def not_taken(kind: TaskKind, key: str) -> str:
    """Why a key of `OWNERS` does not suit a kind; empty where it does."""
    return "" if key in kind.takes else f"it is for {listed(OWNERS[key])}"


def known_kinds(draft: Draft) -> dict[str, str]:
    """The kind of each task that says it well, by the task's name."""
    found = {}
    for index, task in draft.entries("tasks"):
        key = "subset" if task.get("source") == "glue" and "target" not in task else "target"
        if isinstance(task.get("name"), str) and key in task and draft.is_sound("tasks", index, key):
            if key == "target" and task.get("source") == "glue" and not draft.is_sound("tasks", index, "subset"):
                continue
            if key == "target" and task.get("source") == "glue" and target_problem(task):
                continue  # reported where labels are checked
            # Where the source is missing its keys are not checked: this may be a list, which no dict takes.
            if (kind := target_of(task)) in list(TASK_KINDS):
                found[task["name"]] = kind
    return found


def target_problem(task: Mapping[str, Any]) -> str | None:
    """Why the labels of a GLUE task cannot be what its entry takes them for."""
    if task.get("subset") not in GLUE_TASKS or task["target"] in (able := GLUE_TASKS[task["subset"]].targets):
        return None
    return f"the labels of {task['subset']} are for {listed(able)}; correct it, or remove the key"


def _mixed_problems(kinds: Mapping[str, str]) -> Iterator[str]:
    with_vectors = [task for task, kind in kinds.items() if task_kind(kind).answers_with_vectors]
    others = [task for task in kinds if task not in with_vectors]
    if with_vectors and others:
        yield (
            f"tasks: {listed(with_vectors)} take models whose answers are vectors, {listed(others)} models with a "
            "head; make a study of each"
        )


def _untrained_problems(draft: Draft, kinds: Mapping[str, str]) -> Iterator[str]:
    """Full models that would be scored without a head that was ever trained."""
    for index, task in draft.entries("tasks"):
        kind = kinds.get(str(task.get("name")))
        if kind is None or not task_kind(kind).needs_training:
            continue
        owners: list[tuple[tuple[int | str, ...], Mapping[str, Any]]] = [((), draft.config), (("tasks", index), task)]
        asked = [
            (path, owner["train"]["epochs"])
            for path, owner in owners
            if isinstance(owner.get("train"), Mapping)
            and "epochs" in owner["train"]
            and draft.is_sound(*path, "train", but={key for key in Training.model_fields if key != "epochs"})
        ]
        if asked and asked[-1][1] == 0:
            yield (
                f"{draft.place(*asked[-1][0], 'train', 'epochs')}: 0 leaves the full model untrained, which task "
                f"{task['name']} ({kind}) needs; write at least 1"
            )


def _unlearnt_problems(draft: Draft, kinds: Mapping[str, str]) -> Iterator[str]:
    """Tasks without labelled rows to train on, where something is to be learnt from them."""
    for index, task in draft.entries("tasks"):
        kind = kinds.get(str(task.get("name")))
        if kind is not None and not task_kind(kind).needs_training and _lacks_training(task):
            yield from (
                f"{where}: there is nothing to learn from, since task {task['name']} has no train_file; {remedy}"
                for where, remedy in _learning_from_labels(draft, index, task)
            )


def _lacks_training(task: Mapping[str, Any]) -> bool:
    """Whether a task of files on this machine names none of labelled rows to train on."""
    return task.get("source") in ("files", "collection") and "train_file" not in task


def _training_problems(draft: Draft, task: Mapping[str, Any], kind: TaskKind) -> Iterator[str]:
    """What a task without labelled rows to train on lacks them for; follows the task's place."""
    if not _lacks_training(task):
        return
    if kind.needs_training:
        yield ": missing 'train_file'; name the file of labelled rows to train on"
        return
    if "train_examples" in task:
        yield ".train_examples: there is no train_file; add it, or remove the key"
    if task.get("calibration") or ("calibration" not in task and draft.config.get("calibration")):
        yield ": calibration examples are taken from train_file; add it, or remove calibration"


def _learning_from_labels(draft: Draft, task_index: int, task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a study asks for trainings of a task that would learn from labels alone, and what to do instead."""

    def settings(*owners: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for owner in owners if isinstance(owner, Mapping) for key, value in owner.items()}

    train = settings(draft.config.get("train", {}), task.get("train", {}))
    if train.get("epochs", Training().epochs) != 0:
        owner = ("tasks", task_index) if "epochs" in settings(task.get("train", {})) else ()
        yield draft.place(*owner, "train", "epochs"), "write 0, which takes the full model as it is"
    pairs = pairs_with_arms(draft)
    for index, origin in draft.entries("origins"):
        if (str(task.get("name")), str(origin.get("name"))) not in pairs:
            continue
        refine = settings(*(owner.get("refine", {}) for owner in (draft.config, origin, task)))
        taught = refine.get("distill") is not None and "unlabelled_file" in {**_study_texts(draft), **task}
        if refine.get("epochs", train.get("epochs", Training().epochs)) != 0 and not taught:
            yield (
                draft.place("origins", index),
                "name an unlabelled_file and write 'refine: {distill: {weight: 1}}', or 'refine: {epochs: 0}'",
            )


def _study_texts(draft: Draft) -> dict[str, Any]:
    file = draft.config.get("unlabelled_file")
    return {} if file is None else {"unlabelled_file": file}


def _features(draft: Draft, task: str) -> Iterator[tuple[str, str]]:
    """What a study asks for on a task, by the names that kinds call it, and where it is written."""
    for key in ("reproduction", "oracle", "deliver"):
        if draft.config.get(key) and draft.is_sound(key):
            yield key, key
    for index, origin in draft.entries("origins"):
        if isinstance(name := origin.get("name"), str):
            yield name, draft.place("origins", index)
    for index, entry in draft.entries("strategies"):
        name = entry.get("name")
        if draft.is_sound("strategies", index, "name") and task in limit_of(draft, index, entry, "tasks"):
            score = STRATEGIES[str(name)].score
            yield str(name), draft.place("strategies", index)
            if score is not None:
                yield score.name, draft.place("strategies", index)
    owners: list[tuple[tuple[int | str, ...], Mapping[str, Any]]] = [((), draft.config)]
    owners += [(("origins", index), entry) for index, entry in draft.entries("origins")]
    owners += [(("tasks", index), entry) for index, entry in draft.entries("tasks") if entry.get("name") == task]
    texts = draft.config.get("unlabelled_file") if draft.is_sound("unlabelled_file") else None
    for index, entry in draft.entries("tasks"):
        if entry.get("name") == task and texts and "unlabelled_file" not in entry and is_taught(draft, index, entry):
            yield "unlabelled_file", "unlabelled_file"
    for path, owner in owners:
        if draft.is_sound(*path, "refine") and "augment" in (owner.get("refine", {}).get("distill") or {}):
            yield "augment", draft.place(*path, "refine", "distill", "augment")


def _word_problems(draft: Draft, index: int, task: Mapping[str, Any], kind: TaskKind) -> Iterator[str]:
    def sound(key: str) -> bool:
        return draft.is_sound("tasks", index, key)

    if not kind.answers_words:
        return
    if sound("text") and len(task.get("text", [])) > 1:
        yield f".text: {kind.name} have one column of words, not {len(task['text'])}; name that one"
    if not sound("labels") or "labels" not in task:
        return
    try:
        scheme = scheme_of(task["labels"])
    except ValueError as error:
        yield f".labels: {error}"
        return
    if scheme is None:
        if sound("metrics") and "entity_f1" in task.get("metrics", []):
            yield (
                ".metrics: entity_f1 is of entities, which tags such as B-x, I-x and O mark; the labels mark none; use "
                "token_accuracy"
            )
        if sound("strict_entities") and task.get("strict_entities"):
            yield ".strict_entities: the tags mark no entities; remove the key"
