"""What a study may not ask for with the kind of one of its tasks: each by name, with the reason."""

from collections.abc import Iterator, Mapping
from typing import Any

from shallower.core.wording import listed
from shallower.study.draft import Draft
from shallower.surgery.strategies import STRATEGIES
from shallower.task_kinds.base import TaskKind
from shallower.task_kinds.registry import TASK_KINDS
from shallower.task_kinds.tag_schemes import scheme_of

# Keys that are for texts with a label for each word alone.
OF_WORDS = ("long_texts", "strict_entities")


def kind_problems(draft: Draft) -> Iterator[str]:
    """What of a study beyond its tasks the kinds of these do not support; each problem once."""
    yield from dict.fromkeys(_problems(draft))


def problems_of_task(draft: Draft, index: int, task: Mapping[str, Any]) -> Iterator[str]:
    """What its kind does not support of a task; follows the task's place."""
    if kind := _kind(draft, index, task):
        yield from (f".{key}: {_reason(kind, key)}; remove the key" for key in kind.unsupported if key in task)
        yield from _word_problems(draft, index, task, kind)


def _kind(draft: Draft, index: int, task: Mapping[str, Any]) -> TaskKind | None:
    if task.get("source") == "glue" or not draft.is_sound("tasks", index, "target"):
        return None
    return TASK_KINDS.get(task.get("target", ""))


def _problems(draft: Draft) -> Iterator[str]:
    for index, task in draft.entries("tasks"):
        if (kind := _kind(draft, index, task)) is None:
            continue
        if "augment" in kind.unsupported:
            yield from _augment_problems(draft, index, task, kind)
        if "subsets" in kind.unsupported:
            yield from _subset_problems(draft, task, kind)
        if "probe" in kind.unsupported and draft.is_sound("reproduction") and draft.config.get("reproduction"):
            yield f"reproduction: {_reason(kind, 'probe')}; leave {task.get('name')!r} out, or remove the key"


def _reason(kind: TaskKind, key: str) -> str:
    return f"not for {kind.name}: {kind.unsupported[key]}"


def _word_problems(draft: Draft, index: int, task: Mapping[str, Any], kind: TaskKind) -> Iterator[str]:
    def sound(key: str) -> bool:
        return draft.is_sound("tasks", index, key)

    if not kind.answers_words:
        yield from (f".{key}: is for tokens alone; remove the key" for key in OF_WORDS if task.get(key))
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


def _augment_problems(draft: Draft, index: int, task: Mapping[str, Any], kind: TaskKind) -> Iterator[str]:
    owners: list[tuple[tuple[int | str, ...], Mapping[str, Any]]] = [((), draft.config), (("tasks", index), task)]
    owners += [(("origins", number), origin) for number, origin in draft.entries("origins")]
    for path, owner in owners:
        if draft.is_sound(*path, "refine") and "augment" in owner.get("refine", {}).get("distill", {}):
            yield f"{draft.place(*path, 'refine', 'distill', 'augment')}: {_reason(kind, 'augment')}; remove the key"


def _subset_problems(draft: Draft, task: Mapping[str, Any], kind: TaskKind) -> Iterator[str]:
    others = sorted(name for name, strategy in STRATEGIES.items() if not (strategy.score and strategy.score.of_subsets))
    for index, entry in draft.entries("strategies"):
        if not draft.is_sound("strategies", index, "name") or not draft.is_sound("strategies", index, "tasks"):
            continue
        score = STRATEGIES[entry["name"]].score
        if score is not None and score.of_subsets and task.get("name") in entry.get("tasks", [task.get("name")]):
            yield (
                f"{draft.place('strategies', index)}: {entry['name']} is {_reason(kind, 'subsets')}; use one of "
                f"{listed(others)}, or limit the entry by tasks"
            )
