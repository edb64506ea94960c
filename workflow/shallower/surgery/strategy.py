"""What a strategy is, and the layer scores that it may go by."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.amounts import AmountKind

Function = Callable[..., Iterable[int]]


def layer_numbers(scores: Mapping[str, Any], stack: Stack) -> list[float]:
    """One number for each layer, as most scores files have it. Raises UserError when these do not fit the model."""
    num_layers = stack.num_layers
    method, values = scores["method"], [float(value) for value in scores["scores"]]
    if len(values) != num_layers:
        raise UserError(f"{len(values)} {method} scores for {num_layers} layers; score this model again")
    if bad := [layer for layer, value in enumerate(values) if not math.isfinite(value)]:
        raise UserError(f"the {method} scores of layers {bad} are not finite; check the model's weights")
    return values


@dataclass(frozen=True)
class LayerScore:
    """A number for each layer, which strategies rank layers by; or for each of many subsets of layers.

    Attributes:
        name: its folder under scores/, and "method" in a scores file.
        script: the script that computes it.
        runs_model: whether the script runs the model on examples, as a job with torch; otherwise it only reads the
            weights.
        compares_weights: whether it can tell layers apart only by weights that each has of its own.
        of_subsets: whether subsets are scored (`shallower.surgery.subsets`).
        of_runs: whether each run has its own, and not the model that it starts from.
        needs_labels: whether it goes by the labels of examples, which takes calibration examples of the task.
        drops_highest: of a number for each layer, whether the layers with the highest, which are cosines, go first.
        forward_passes: what it costs, in forward passes of the full model over the examples that it goes by, of which a
            pass with gradients takes three; None where its file says so.
        parse: (content of a scores file, the model's layers) -> the scores as strategies take them.
    """

    name: str
    script: str
    runs_model: bool = True
    compares_weights: bool = False
    of_subsets: bool = False
    of_runs: bool = False
    needs_labels: bool = False
    drops_highest: bool = False
    forward_passes: float | None = 1
    parse: Callable[[Mapping[str, Any], Stack], Any] = layer_numbers


@dataclass(frozen=True)
class Strategy:
    """A rule that chooses the layers to drop.

    Attributes:
        name: in studies and in the folders of runs.
        description: one sentence.
        section: where the paper defines it.
        amount: what its amounts are.
        score: the score that it ranks layers by, or None if it needs only their positions.
        function: (the model's layers, amount[, scores]) -> dropped layers, in the order of dropping, none of them
            protected; called with amounts that passed the check.
        extra_check: what else can be wrong with an amount for the layers of a known model.
        needs_head: whether it goes by the answers of a fine-tuned model.
        needs_kinds: whether it goes by the layers' kinds of attention.
        needs_all_subsets: whether it needs the scores of all subsets of layers, not only of the most promising ones.
    """

    name: str
    description: str
    section: str
    amount: AmountKind
    score: LayerScore | None
    function: Function
    extra_check: Callable[[Any, Stack], str | None]
    needs_head: bool = False
    needs_all_subsets: bool = False
    needs_kinds: bool = False


def registering(strategies: dict[str, Strategy]) -> Callable[..., Callable[[Function], Function]]:
    """The decorator that enters a function with its facts as a strategy."""

    def register(
        name: str,
        description: str,
        section: str,
        amount: AmountKind,
        score: LayerScore | None = None,
        extra_check: Callable[[Any, Stack], str | None] = lambda amount, stack: None,
        **needs: bool,
    ) -> Callable[[Function], Function]:
        def enter(function: Function) -> Function:
            strategies[name] = Strategy(name, description, section, amount, score, function, extra_check, **needs)
            return function

        return enter

    return register
