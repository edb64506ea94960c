"""What can be wrong with the strategies of a study: amounts, names, and what models and tasks must have for them."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from shallower.core.errors import UserError
from shallower.core.wording import listed
from shallower.models.families import family_of
from shallower.models.stack import Stack
from shallower.sources.models import known_config
from shallower.study.draft import AXES, Draft
from shallower.study.messages import unknown
from shallower.study.step_settings import Subsets
from shallower.study.study import MODEL_USE_KEYS
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES, amount_label, check_amount
from shallower.surgery.subsets import budget_problem, num_evaluations_of_all


def repeated(values: Iterable[Any]) -> list[Any]:
    """The values that occur more than once."""
    return [value for value, count in Counter(values).items() if count > 1]


def strategy_problems(draft: Draft) -> Iterator[str]:
    """All that is wrong with strategies, as far as it is known without a download."""
    models = _named_models(draft)
    stacks = known_stacks(draft)
    sharing = {model["name"] for index, model in models if shares_layers(draft, index, model)}
    arms: dict[tuple[str, ...], int] = {}
    for index, strategy in draft.entries("strategies"):
        here = draft.place("strategies", index)
        limits = {axis: limit_of(draft, index, strategy, axis) for axis in AXES}
        for axis, limit in limits.items():
            if draft.knows_all(axis):
                known = draft.names(axis)
                for other in (other for other in limit if other not in known):
                    yield f"{here}.{axis}: {unknown(axis.removesuffix('s'), other, known)}"
        amounts = sound_amounts(draft, index, strategy)
        labels = [amount_label(amount) for amount in amounts]
        for label in repeated(labels):
            yield f"{here}.amounts: {label} is listed more than once; remove the repeats"
        if not draft.is_sound("strategies", index, "name"):
            continue
        name = strategy["name"]
        again = {
            label: arms[arm]
            for label in labels
            for arm in product([name], [label], *limits.values())
            if arms.setdefault(arm, index) != index
        }
        for label, entry in again.items():
            yield f"{here}.amounts: {label} is in strategies[{entry}] too, for the same model, task and origin"
        kind = STRATEGIES[name].amount
        known = [origin for origin in draft.names("origins") if origin in ORIGINS]
        fitting = [origin for origin in known if kind in ORIGINS[origin].amounts]
        for origin in (origin for origin in limits["origins"] if origin in known and origin not in fitting):
            needed = listed([allowed.description for allowed in ORIGINS[origin].amounts])
            yield (
                f"{here}: origin {origin} needs {needed}, but this strategy's amount is {kind.description}; "
                f"limit the entry by origins: {fitting}"
            )
        yield from (f"{here}: {problem}" for problem in _sharing_problems(name, limits, sharing))
        named = [model for model in limits["models"] if model in stacks]
        own = {model: stacks[model] for model in named}
        if draft.is_sound("strategies", index, "protect"):
            protect = strategy.get("protect", [])
            yield from (f"{here}.protect: {problem}" for problem in _protect_problems(name, protect, amounts, own))
            if protect and (shared := [model for model in named if model in sharing]):
                yield f"{here}.protect: those of {listed(shared)} are one set of weights; limit the entry to others"
        yield from (f"{here}: {problem}" for problem in _head_problems(name, limits["origins"]))
        if "scores_from" in strategy and draft.is_sound("strategies", index, "scores_from"):
            yield from (
                f"{here}.scores_from: {problem}"
                for problem in _scores_from_problems(draft, name, strategy["scores_from"], limits["origins"])
            )
        score = STRATEGIES[name].score
        if score is not None and score.needs_labels:
            yield from (f"{here}: {problem}" for problem in _calibration_problems(draft, limits))
        if score is not None and score.of_subsets:
            deep = {model: stack for model, stack in own.items() if stack and model not in sharing}
            yield from (f"{here}: {problem}" for problem in _budget_problems(draft, name, deep))
        yield from (f"{here}.amounts: {problem}" for problem in _amount_problems(name, amounts, own))


def known_stacks(draft: Draft) -> dict[str, Stack | None]:
    """The layers of each model; None where not even their number is known without a download."""
    return {model["name"]: known_stack(draft, index, model) for index, model in _named_models(draft)}


def _named_models(draft: Draft) -> list[tuple[int, Mapping[str, Any]]]:
    return [(index, model) for index, model in draft.entries("models") if isinstance(model.get("name"), str)]


def limit_of(draft: Draft, index: int, strategy: Mapping[str, Any], axis: str) -> list[str]:
    """The names that an entry is for on an axis, as far as they are known."""
    if not draft.is_sound("strategies", index, axis):
        return []
    names: list[str] = strategy.get(axis, draft.names(axis))
    return names


def pairs_with_arms(draft: Draft) -> set[tuple[str, str]]:
    """The names of tasks and origins that a strategy is for together, as far as they are known."""
    return {
        pair
        for index, entry in draft.entries("strategies")
        for pair in product(limit_of(draft, index, entry, "tasks"), limit_of(draft, index, entry, "origins"))
    }


def sound_amounts(draft: Draft, index: int, strategy: Mapping[str, Any]) -> list[Any]:
    """The amounts of an entry that are well-formed."""
    amounts = strategy.get("amounts")
    if not isinstance(amounts, list):
        return []
    return [
        amount for position, amount in enumerate(amounts) if draft.is_sound("strategies", index, "amounts", position)
    ]


def _amount_problems(strategy: str, amounts: Iterable[Any], stacks: Mapping[str, Stack | None]) -> Iterator[str]:
    """What is wrong with the amounts of an entry, for the models whose layers are known; each problem once."""
    for amount in amounts:
        found: dict[str, str] = {}
        for model, stack in (stacks or {"": None}).items():  # without a model, what can be said of any depth
            if problem := check_amount(strategy, amount, stack):
                found.setdefault(problem, f" (model {model})" if stack else "")
        yield from (problem + model for problem, model in found.items())


def _protect_problems(
    strategy: str, protect: Collection[int], amounts: Iterable[Any], stacks: Mapping[str, Stack | None]
) -> Iterator[str]:
    """What is wrong with the layers that an entry protects; each problem once."""
    found = {
        problem: None
        for amount in amounts
        for stack in stacks.values()
        if stack
        and not check_amount(strategy, amount, stack)
        and (problem := check_amount(strategy, amount, stack.protecting(protect)))
    }
    yield from found


def _sharing_problems(strategy: str, limits: Mapping[str, Collection[str]], sharing: Collection[str]) -> Iterator[str]:
    """What an entry asks of models whose layers are one set of weights, and cannot have."""
    shared = [model for model in limits["models"] if model in sharing]
    if not shared:
        return
    score = STRATEGIES[strategy].score
    frozen = [name for name in limits["origins"] if name in ORIGINS and ORIGINS[name].freezes_layers]
    asking = {f"origin {name}": "models or origins" for name in frozen}
    if score is not None and score.compares_weights:
        asking["this strategy"] = "models"
    for one, limit in asking.items():
        yield (
            f"{one} needs layers with weights of their own, but those of {listed(shared)} are one set; "
            f"limit the entry to other {limit}"
        )


def _calibration_problems(draft: Draft, limits: Mapping[str, Collection[str]]) -> Iterator[str]:
    """What is wrong with an entry that goes by calibration examples where its tasks have none."""
    if lacking := calibration_missing(draft, limits["tasks"]):
        yield (
            f"this strategy chooses layers on calibration examples, and there are none of {listed(lacking)}; "
            "add 'calibration: {examples: 500}' to the study or the task"
        )


def calibration_missing(draft: Draft, tasks: Collection[str]) -> list[str]:
    """Those of some tasks that have no calibration examples."""
    named = {task["name"] for _, task in draft.entries("tasks") if "calibration" in task and "name" in task}
    return [] if "calibration" in draft.config else [task for task in tasks if task not in named]


def _scores_from_problems(draft: Draft, strategy: str, task: str, origins: Collection[str]) -> Iterator[str]:
    """What is wrong with a task on which layers are scored for runs on others."""
    score = STRATEGIES[strategy].score
    if score is None or not score.runs_model or score.needs_labels:
        able = [
            name
            for name, entry in STRATEGIES.items()
            if entry.score and entry.score.runs_model and not entry.score.needs_labels
        ]
        yield f"this strategy does not score layers on texts alone, as {listed(able)} do; remove the key"
        return
    if draft.knows_all("tasks") and task not in (known := draft.names("tasks")):
        yield unknown("task", task, known)
    if tuned := [name for name in origins if name in ORIGINS and ORIGINS[name].from_baseline]:
        yield (
            f"runs of origin {listed(tuned)} start from models that are fine-tuned on their own tasks; limit the entry "
            "to other origins"
        )


def _head_problems(strategy: str, origins: Collection[str]) -> Iterator[str]:
    """What is wrong with an entry that goes by a fine-tuned model's answers where a run starts from another one."""
    fitting = [name for name, origin in ORIGINS.items() if origin.from_baseline]
    if not STRATEGIES[strategy].needs_head:
        return
    for origin in origins:
        if origin in ORIGINS and origin not in fitting:
            yield (
                f"this strategy goes by the answers of the fine-tuned model, but origin {origin} starts from the "
                f"pre-trained one; limit the entry by origins: {fitting}"
            )


def _budget_problems(draft: Draft, strategy: str, stacks: Mapping[str, Stack]) -> Iterator[str]:
    """What is wrong with the budget for the subsets of layers of models of known depth, by their names."""
    if not draft.is_sound("subsets"):
        return
    budget = draft.config.get("subsets", {}).get("layer_evaluations", Subsets().layer_evaluations)
    for model, stack in stacks.items():
        if problem := budget_problem(stack, budget):
            yield f"subsets.layer_evaluations: {problem} (model {model})"
        elif STRATEGIES[strategy].needs_all_subsets and budget < (needed := num_evaluations_of_all(stack)):
            yield (
                f"this strategy needs the scores of all subsets, which are {needed} of {stack.num_layers} layers "
                f"(model {model}); raise subsets.layer_evaluations to that, or limit the entry to other models"
            )


def known_stack(draft: Draft, index: int, model: Mapping[str, Any]) -> Stack | None:
    """The layers of a model as far as they are known without a download: all of it, their number, or nothing."""
    if (config := _known_config(draft, index, model)) is not None:
        return family_of(config).stack(config)
    if "num_layers" in model and draft.is_sound("models", index, "num_layers"):
        return Stack(model["num_layers"], is_assumed=True)
    return None


def shares_layers(draft: Draft, index: int, model: Mapping[str, Any]) -> bool:
    """Whether it is known without a download that all layers of a model share one set of weights."""
    config = _known_config(draft, index, model)
    return config is not None and family_of(config).shares_layers


def _known_config(draft: Draft, index: int, model: Mapping[str, Any]) -> dict[str, Any] | None:
    """The checked config.json of a model, if that is known without a download."""
    if not draft.is_sound("models", index, but={"name", "num_layers", *MODEL_USE_KEYS}):
        return None
    try:
        return known_config(model)
    except UserError:
        return None  # reported by _model_problems
