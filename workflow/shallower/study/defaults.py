"""What a study leaves out, filled in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shallower.sources.glue import GLUE_TASKS
from shallower.study.settings import PackageTask, StudySettings
from shallower.study.step_settings import Distillation
from shallower.surgery.origins import ORIGINS

# Entries of the grid, and what differs from `train`: they have only the keys that the study gives them.
AS_WRITTEN = {"models", "tasks", "origins", "strategies", "refine"}


def with_defaults(settings: StudySettings) -> dict[str, Any]:
    """A study with all its defaults, and each task resolved to what its source needs."""
    filled = settings.model_dump(exclude=AS_WRITTEN) | {"refine": {}}
    filled |= settings.model_dump(include=AS_WRITTEN, exclude_unset=True)
    if filled["train"]["class_weights"] == "none":  # what is not asked for changes no parameter of a rule
        del filled["train"]["class_weights"]
    texts = {key: value for key in ("unlabelled_file",) if (value := filled.pop(key)) is not None}
    filled["tasks"] = [resolved_task({**texts, **task}, settings.glue_directory) for task in filled["tasks"]]
    filled["budget"] = resolved_budget(filled["budget"], filled["measure"]["batch_sizes"])
    if filled["budget"] and filled["deliver"]:
        filled["budget"] = {"prefer": "latency", **filled["budget"]}
    for origin in filled["origins"]:
        if (stage := ORIGINS[origin["name"]].stage) is not None:
            origin["stage"] = {**stage, **origin.get("stage", {})}
    for owner in (filled, *filled["origins"], *filled["tasks"]):
        if (distill := owner.get("refine", {}).get("distill")) is not None:
            owner["refine"]["distill"] = resolved_distillation(distill)
    return filled


def resolved_distillation(distill: Mapping[str, Any]) -> dict[str, Any]:
    """What is learnt from a teacher. What is not asked for is left out, so that it changes no parameter of a rule."""
    settings = Distillation(**distill).model_dump(exclude_none=True)
    return {key: value for key, value in settings.items() if key != "vectors" or value}


def resolved_budget(budget: Mapping[str, Any] | None, batch_sizes: Sequence[int]) -> dict[str, Any] | None:
    """A budget's limits, and the batch size that one of the latency is for."""
    if budget is None:
        return None
    limits = {key: value for key, value in budget.items() if value is not None}
    return {"batch_size": min(batch_sizes), **limits} if "latency_ms" in limits else limits


def resolved_task(task: Mapping[str, Any], glue_directory: str | None) -> dict[str, Any]:
    """A task's entry with its metrics and, for GLUE, its folder and its name in the paper."""
    match task["source"]:
        case "glue":
            glue = GLUE_TASKS[task["subset"]]
            directory = str(Path(glue_directory) / task["subset"]) if glue_directory else None
            is_own = task.get("target", glue.target) == glue.target
            metrics, counterpart = list(glue.metrics), glue.paper_name
            if not is_own:  # the rank correlation is what embeddings are compared by
                metrics, counterpart = metrics[::-1], None
            return {"metrics": metrics, "directory": directory, "counterpart": counterpart, **task}
        case "package":
            return {"format": PackageTask.model_fields["format"].default, **task}
        case _:
            return dict(task)
