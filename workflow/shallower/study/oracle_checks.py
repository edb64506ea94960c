"""What can be wrong with a study that asks for strategies to be judged (`oracle: true`)."""

from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import Any

from shallower.core.layers import Layers
from shallower.core.wording import counted, listed
from shallower.models.stack import Stack
from shallower.study.draft import AXES, Draft
from shallower.study.step_settings import Subsets
from shallower.study.strategy_checks import calibration_missing, known_stack, shares_layers
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES, check_amount, drop_order
from shallower.surgery.subsets import Subset, coverage, num_evaluations_of_all

Place = tuple[str, str, str]


def oracle_problems(draft: Draft) -> Iterator[str]:
    """All that is wrong, each problem once; of studies whose strategies and names are sound."""
    parts = (*AXES, "strategies", "subsets", "calibration", "oracle")
    # Entries of models and tasks may be malformed otherwise.
    if draft.config.get("oracle") is not True or not all(draft.knows_all(axis) for axis in AXES):
        return
    if not all(draft.is_sound(part) for part in parts):
        return
    places = _places(draft)
    if not any(entry["name"] == "keep" for _, entry in draft.entries("strategies")):
        yield (
            "oracle: strategies are judged where all subsets of a size are refined, and no entry of strategies is "
            "named keep; add one that lists them, such as {name: keep, amounts: [[0], [1]]}, or remove the key"
        )
        return
    stacks: dict[str, Stack] = {}
    for index, model in draft.entries("models"):
        if (name := model["name"]) not in {model for model, _, _ in places}:
            continue
        if shares_layers(draft, index, model):
            yield (
                f"oracle: the layers of {name} are one set of weights, so that all its subsets of a size are the same "
                "model; limit the entries of keep to other models"
            )
        elif stack := known_stack(draft, index, model):
            stacks[name] = stack
        else:
            yield f"oracle: the number of layers of {name} is unknown before its download; add num_layers to the model"
    if lacking := calibration_missing(draft, list(dict.fromkeys(task for _, task, _ in places))):
        yield (
            f"oracle: strategies choose layers on calibration examples, and there are none of {listed(lacking)}; "
            "add 'calibration: {examples: 500}' to the study or the task"
        )
    if ordered := sorted({origin for _, _, origin in places if ORIGINS[origin].follows_order}):
        yield f"oracle: runs of origin {listed(ordered)} are not of subsets; limit the entries of keep to other origins"
    yield from _limited_races(draft, places)
    budget = draft.config.get("subsets", {}).get("layer_evaluations", Subsets().layer_evaluations)
    for name, stack in stacks.items():
        if budget < (needed := num_evaluations_of_all(stack)):
            yield (
                f"subsets.layer_evaluations: {budget} are too few to judge strategies by the scores of all subsets of "
                f"{stack.num_layers} layers (model {name}); raise it to {needed}"
            )
    yield from _coverage_problems(draft, [place for place in places if place[0] in stacks], stacks)


def _limited_races(draft: Draft, places: Collection[Place]) -> Iterator[str]:
    """Races that would be judged by their strategy's name, as if all layers could go."""
    for index, entry in draft.entries("strategies"):
        score = STRATEGIES[entry["name"]].score
        if score is None or not score.of_runs or not entry.get("protect"):
            continue
        if any(_is_at(entry, place) for place in places):
            yield (
                f"{draft.place('strategies', index, 'protect')}: strategies are judged as if all layers may go; limit "
                "the entry to models, tasks or origins without entries of keep, or remove the key"
            )


def _places(draft: Draft) -> list[Place]:
    """Model, task and origin of the entries of keep, as in the study's `judged`."""
    return list(dict.fromkeys(place for _, entry in draft.entries("strategies") for place in _of_entry(draft, entry)))


def _of_entry(draft: Draft, entry: Mapping[str, Any]) -> Iterator[Place]:
    if entry["name"] != "keep":
        return
    models, tasks, origins = (entry.get(axis, draft.names(axis)) for axis in AXES)
    known = [origin for origin in origins if origin in draft.names("origins") and origin in ORIGINS]
    yield from product(
        [model for model in models if model in draft.names("models")],
        [task for task in tasks if task in draft.names("tasks")],
        known,
    )


def _is_at(entry: Mapping[str, Any], place: Place) -> bool:
    """Whether an entry of strategies has runs of a model, task and origin."""
    return all(own in entry.get(axis, [own]) for axis, own in zip(AXES, place, strict=True))


def _coverage_problems(draft: Draft, places: list[Place], stacks: Mapping[str, Stack]) -> Iterator[str]:
    """Places without any number of layers of which all subsets are refined."""
    for model, task, origin in places:
        found = coverage(stacks[model], _refined(draft, (model, task, origin), stacks[model]))
        if any(count == total for count, total in found.values()):
            continue
        size, (count, total) = max(found.items(), key=lambda item: item[1][0] / item[1][1])
        yield (
            f"oracle: no number of layers has all its subsets refined for {model} on {task} (origin {origin}): of "
            f"those with {counted(size, 'layer')} there are {count} of {total}; list the others as amounts of keep"
        )
        return


def _refined(draft: Draft, place: Place, stack: Stack) -> Iterator[Subset]:
    """The subsets that are refined at a place, by strategies that need no scores."""
    for _, entry in draft.entries("strategies"):
        name = entry["name"]
        if STRATEGIES[name].score or not _is_at(entry, place):
            continue
        if STRATEGIES[name].needs_kinds and stack.is_assumed:
            continue
        for amount in entry["amounts"]:
            if check_amount(name, amount, stack) is None:
                yield tuple(Layers(stack.num_layers, tuple(drop_order(name, stack, amount))).kept)
