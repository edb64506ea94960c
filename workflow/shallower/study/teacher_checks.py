"""Which tasks have a teacher, and what can be wrong with the texts that are made for it (`refine.distill.augment`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from shallower.core.files import canonical_json
from shallower.study.draft import Draft
from shallower.study.messages import KeyPath
from shallower.study.step_settings import Augmentation
from shallower.study.strategy_checks import limit_of, pairs_with_arms


def augmentation_problems(draft: Draft) -> Iterator[str]:
    """Settings that would change no text, and those of a task that contradict each other, each once."""
    owners: list[tuple[KeyPath, Mapping[str, Any]]] = [((), draft.config)]
    owners += [((axis, index), entry) for axis in ("origins", "tasks") for index, entry in draft.entries(axis)]
    for path, owner in owners:
        augment = (_distill(draft, path, owner) or {}).get("augment")
        fields = Augmentation.model_fields
        if augment is not None and not any(augment.get(key, fields[key].default) for key in ("mask", "segment")):
            yield (
                f"{draft.place(*path, 'refine', 'distill', 'augment')}: with mask and segment 0 its texts are those of "
                "the training examples; raise one of them, or remove augment"
            )
    yield from dict.fromkeys(
        problem for index, task in draft.entries("tasks") for problem in _problems_of_task(draft, index, task)
    )


def is_taught(draft: Draft, index: int, task: Mapping[str, Any]) -> bool:
    """Whether a strategy is for a task and an origin whose models learn from a teacher, as far as these are sound."""
    taught = {
        origin["name"]
        for origin_index, origin in draft.entries("origins")
        if isinstance(origin.get("name"), str) and _teacher(draft, origin_index, origin, index, task)
    }
    return any(
        task.get("name") in limit_of(draft, entry_index, entry, "tasks")
        and not taught.isdisjoint(limit_of(draft, entry_index, entry, "origins"))
        for entry_index, entry in draft.entries("strategies")
    )


def _problems_of_task(draft: Draft, index: int, task: Mapping[str, Any]) -> Iterator[str]:
    taught = list(_taught(draft, index, task))
    asked = [path for path, distill in taught if "augment" in distill]
    if asked and {**draft.config, **task}.get("unlabelled_file") is not None:
        yield (
            f"{draft.place('tasks', index)}: its teacher answers the texts of unlabelled_file, not those of "
            f"{draft.place(*asked[0], 'refine', 'distill', 'augment')}; remove one of the two"
        )
    # One file of answers is for all runs of a task with one seed.
    if len({canonical_json(distill.get("augment")) for _, distill in taught}) > 1:
        yield (
            f"{draft.place(*asked[0], 'refine', 'distill', 'augment')}: all runs of a task with a teacher share the "
            "texts that it answers, but other origins have another augment or none; write the same for each"
        )


def _taught(draft: Draft, index: int, task: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """For each origin whose runs on a task have a teacher, what they learn from it, and where that is written."""
    pairs = pairs_with_arms(draft)
    for origin_index, origin in draft.entries("origins"):
        if (str(task.get("name")), str(origin.get("name"))) not in pairs:
            continue
        if asked := _teacher(draft, origin_index, origin, index, task):
            yield asked[-1]


def _teacher(
    draft: Draft, origin_index: int, origin: Mapping[str, Any], index: int, task: Mapping[str, Any]
) -> list[tuple[KeyPath, Mapping[str, Any]]]:
    """What runs of an origin on a task learn from a teacher, where it is written; the last overrides the others.

    As in the study's `refine_settings`.
    """
    owners: dict[KeyPath, Mapping[str, Any]] = {
        (): draft.config,
        ("origins", origin_index): origin,
        ("tasks", index): task,
    }
    found = [(path, _distill(draft, path, owner)) for path, owner in owners.items()]
    return [(path, distill) for path, distill in found if distill is not None]


def _distill(draft: Draft, path: KeyPath, owner: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a sound part of a study says of a teacher; None where it says nothing."""
    if not draft.is_sound(*path, "refine"):
        return None
    distill: Mapping[str, Any] | None = owner.get("refine", {}).get("distill")
    return distill
