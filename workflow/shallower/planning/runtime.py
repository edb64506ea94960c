"""How long a step may take on a cluster, in minutes, from the model's size, the task's rows and the study's settings.

A scheduler ends a job that takes longer than it asked for, so these are upper bounds: all texts of the greatest length,
a machine several times slower than usual, and what loading takes on a file system that others keep busy. A job that is
ended all the same is tried again with more time, and its training goes on from its last checkpoint.
"""

import math
from collections.abc import Mapping

from shallower.models.size import ModelSize
from shallower.planning.estimate import CPU_RATE, GPU_RATE, GPU_SECONDS_A_LAYER
from shallower.study.study import Study

# Loading libraries and weights from a shared file system.
START_MINUTES = 10
# A machine may be so many times slower than the rates of shallower.planning.estimate say.
SAFETY = 3
# Loading a model with transformers and comparing its answers (assumed).
RELOADING_SECONDS = 30
# Fitting a linear model to one depth's vectors, for each of them (assumed).
FITTING_SECONDS = 0.005


def step_minutes(
    step: str,
    study: Study,
    size: ModelSize,
    task: str | None = None,
    origin: str | None = None,
    rows: Mapping[str, int] | None = None,
    runs: int = 1,
    on_gpu: bool = False,
) -> int:
    """Minutes to ask for, for a step of a study with a model of a size; `step` is the name of its script.

    `task` and `rows` (by split) are None for steps without a task, `origin` for baselines and where it makes no
    difference. `runs` is the number of models that the step loads again.
    Raises ValueError for a step without a formula.
    """
    rate = GPU_RATE if on_gpu else CPU_RATE * study.config["compute"]["threads"]

    def forward_seconds(examples: int, tokens: int) -> float:
        return examples * size.operations(size.num_layers, tokens) / rate

    match step:
        case "finetune":
            seconds = 0.0
            for settings in study.tunings(task, origin):
                computing = 3 * settings["epochs"] * forward_seconds(rows["train"], study.max_length(task))
                steps = settings["epochs"] * math.ceil(rows["train"] / settings["batch_size"])
                waiting = steps * size.num_layers * GPU_SECONDS_A_LAYER if on_gpu else 0.0
                seconds = max(seconds, computing, waiting)
        case "predict" | "score_layers":
            seconds = forward_seconds(rows["validation"], study.max_length(task))
        case "compare_states":
            seconds = 2 * forward_seconds(rows["validation"], study.max_length(task))
        case "probe_layers":
            trained = study.config["probe"]["train_examples"]
            seconds = forward_seconds(trained + rows["validation"], study.max_length(task))
            seconds += (size.num_layers + 1) * trained * FITTING_SECONDS
        case "reload_models":
            seconds = runs * RELOADING_SECONDS
        case "measure_cost":
            measure = study.config["measure"]
            # Every depth is timed beside the whole model.
            texts = 2 * size.num_layers * measure["repeats"] * sum(measure["batch_sizes"])
            seconds = forward_seconds(texts, measure["sequence_length"])
        case _:
            raise ValueError(f"no formula for the duration of {step}")
    return START_MINUTES + math.ceil(SAFETY * seconds / 60)
