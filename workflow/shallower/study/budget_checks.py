"""What can be wrong with the budget of a study: limits that say nothing, and limits that no model can hold."""

from collections.abc import Iterator, Mapping
from typing import Any

from shallower.core.wording import counted, listed
from shallower.models.stack import Stack
from shallower.study.draft import AXES, Draft
from shallower.study.step_settings import Budget, Measure
from shallower.study.strategy_checks import known_stacks, limit_of, sound_amounts
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES, check_amount

LIMITS = [key for key in Budget.model_fields if key not in ("batch_size", "prefer")]


def budget_problems(draft: Draft) -> Iterator[str]:
    """All that is wrong with the budget, as far as it is known without a download."""
    budget = draft.config.get("budget")
    if not isinstance(budget, Mapping) or not draft.is_sound("budget"):
        return
    # An unknown key was probably meant as a limit, and is reported as such.
    if not set(budget) - {"prefer"}:
        yield f"budget: has no limit; add {', '.join(LIMITS[:-1])} or {LIMITS[-1]}, or remove the key"
    if "batch_size" in budget:
        yield from _batch_size_problems(draft, budget)
    if "layers" in budget:
        yield from _layer_problems(draft, budget["layers"])


def _batch_size_problems(draft: Draft, budget: Mapping[str, Any]) -> Iterator[str]:
    if "latency_ms" not in budget:
        yield "budget.batch_size: says what latency_ms is for, which the budget lacks; add that, or remove the key"
    elif draft.is_sound("measure"):
        measured = draft.config.get("measure", {}).get("batch_sizes", Measure().batch_sizes)
        if budget["batch_size"] not in measured:
            yield (
                f"budget.batch_size: the time of {budget['batch_size']} texts at once is not measured; add it to "
                f"measure.batch_sizes, or choose from {', '.join(map(str, sorted(measured)))}"
            )


def _layer_problems(draft: Draft, limit: int) -> Iterator[str]:
    """Limits on the layers that no model reaches, and those that no arm of a model and task can hold."""
    stacks = known_stacks(draft)
    known = {model: stack for model, stack in stacks.items() if stack is not None}
    deepest = max((stack.num_layers for stack in known.values()), default=0)
    if draft.knows_all("models") and len(known) == len(stacks) and limit > deepest:
        yield (
            f"budget.layers: {limit} is more than the {deepest} layers that the study's models have at most; lower it, "
            "or remove the key"
        )
    if not draft.is_sound("strategies"):
        return
    found = {model: _fewest_layers(draft, model, stack) for model, stack in known.items()}
    for model, by_task in found.items():
        short = {task: fewest for task, fewest in by_task.items() if fewest > limit}
        if short:
            fewest, surplus = min(short.values()), known[model].num_layers - limit
            yield (
                f"budget.layers: no arm of {model} on {listed(list(short))} keeps as few as {limit}, the fewest are "
                f"{fewest}; drop {counted(surplus, 'layer')} in an entry of strategies, or raise the limit"
            )


def _fewest_layers(draft: Draft, model: str, stack: Stack) -> dict[str, int]:
    """The fewest layers that the arms of a model keep, by task; 1 where scores decide on the number.

    Tasks on which no layers of the model are dropped are left out.
    """
    kept: dict[str, list[int]] = {}
    for index, strategy in draft.entries("strategies"):
        name, limits = strategy["name"], {axis: limit_of(draft, index, strategy, axis) for axis in AXES}
        kind = STRATEGIES[name].amount
        has_runs = any(origin in ORIGINS and kind in ORIGINS[origin].amounts for origin in limits["origins"])
        if model not in limits["models"] or not has_runs:
            continue
        for amount in sound_amounts(draft, index, strategy):
            if check_amount(name, amount, stack) is None:
                dropped = kind.num_dropped(amount, stack.num_layers)
                for task in limits["tasks"]:
                    kept.setdefault(task, []).append(1 if dropped is None else stack.num_layers - dropped)
    return {task: min(numbers) for task, numbers in kept.items()}
