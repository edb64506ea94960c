"""Which runs of a study each of the paper's tables and figures shows, so that it can be made without the others.

A function for each kind of item takes the runs of a study and its models: how many layers each has, and the paper's
model that it is compared with.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shallower.core.runs import Run


class Model(NamedTuple):
    """A model of the study; `counterpart` is the paper's model that it is compared with, or None."""

    num_layers: int
    counterpart: str | None


Models = Mapping[str, Model]
# The origins that drop layers from a fine-tuned model at once, and all that Table 7 compares.
FINETUNED = ("finetuned", "finetuned-frozen")
COMPARED_IN_TABLE_7 = ("pretrained", *FINETUNED)


def as_in_the_paper(runs: Iterable[Run], protected_arms: Iterable[Iterable[str]]) -> list[Run]:
    """Runs but those of arms of which some layers had to stay: a model, a task, an origin, a strategy and an amount."""
    protected = {tuple(arm) for arm in protected_arms}
    return [run for run in runs if run.key not in protected]


def cuts(num_layers: int) -> list[int]:
    """The numbers of layers that the paper drops: a sixth, a third and half of them (2, 4, 6 of 12; 1, 2, 3 of 6)."""
    return sorted({round(num_layers * part / 6) for part in (1, 2, 3)} - {0})


def without_albert(runs: Iterable[Run], models: Models) -> list[Run]:
    """Table 2: top layers dropped at the paper's depths, of all models but ALBERT."""
    return [run for run in top_cuts(runs, models) if models[run.model].counterpart != "ALBERT"]


def of_albert(runs: Iterable[Run], models: Models) -> list[Run]:
    """Table 5: the same of ALBERT."""
    return [run for run in top_cuts(runs, models) if models[run.model].counterpart == "ALBERT"]


def top_cuts(runs: Iterable[Run], models: Models) -> list[Run]:
    """Baselines, and top layers dropped from the pre-trained model at the paper's depths."""
    return [
        run
        for run in runs
        if run.is_baseline or (_is_top(run) and run.amount in map(str, cuts(models[run.model].num_layers)))
    ]


def top_half(runs: Iterable[Run], models: Models) -> list[Run]:
    """Baselines, and the top half dropped from the pre-trained model."""
    return [
        run
        for run in runs
        if run.is_baseline or (_is_top(run) and run.amount == str(cuts(models[run.model].num_layers)[-1]))
    ]


def top(runs: Iterable[Run], _models: Models) -> list[Run]:
    """Baselines, and any number of top layers dropped from the pre-trained model."""
    return [run for run in runs if run.is_baseline or _is_top(run)]


def deep_models(runs: Iterable[Run], models: Models) -> list[Run]:
    """Baselines, and all that is dropped from pre-trained models of more than six layers."""
    return [run for run in _pretrained(runs) if models[run.model].num_layers > 6]


def shallow_models(runs: Iterable[Run], models: Models) -> list[Run]:
    """The same of models of up to six layers."""
    return [run for run in _pretrained(runs) if models[run.model].num_layers <= 6]


def before_or_after_finetuning(runs: Iterable[Run], models: Models) -> list[Run]:
    """Table 7: what is dropped from the fine-tuned model, and the same and the top half from the pre-trained one."""
    runs = list(runs)
    arms = _arms(runs, FINETUNED)
    halves = set(top_half(runs, models))
    return [run for run in runs if run in halves or (run.origin in COMPARED_IN_TABLE_7 and _arm(run) in arms)]


def gradual_or_at_once(runs: Iterable[Run], _models: Models) -> list[Run]:
    """What is dropped gradually, and the same at once."""
    runs = list(runs)
    arms = _arms(runs, ("gradual",))
    return [run for run in runs if run.is_baseline or (run.origin in ("gradual", "pretrained") and _arm(run) in arms)]


def _is_top(run: Run) -> bool:
    return (run.origin, run.strategy) == ("pretrained", "top")


def _pretrained(runs: Iterable[Run]) -> list[Run]:
    return [run for run in runs if run.is_baseline or run.origin == "pretrained"]


def _arm(run: Run) -> tuple[str, str, str]:
    return run.model, run.strategy, run.amount


def _arms(runs: Iterable[Run], origins: Iterable[str]) -> set[tuple[str, str, str]]:
    return {_arm(run) for run in runs if run.origin in origins}
