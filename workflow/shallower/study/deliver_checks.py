"""What can be wrong with what a study says of delivered models: what they depend on, and settings that say nothing."""

from collections.abc import Iterator, Mapping

from shallower.study.draft import Draft


def deliver_problems(draft: Draft) -> Iterator[str]:
    """All that is wrong with `deliver`, and with what is there for its sake only."""
    deliver, budget = draft.config.get("deliver"), draft.config.get("budget")
    if deliver is None:
        if isinstance(budget, Mapping) and "prefer" in budget and draft.is_sound("budget"):
            yield "budget.prefer: is for models that are delivered; add 'deliver: {}', or remove the key"
        return
    if budget is None:
        yield "deliver: the study recommends no model, since it has no budget; add one, or remove the key"
    if draft.config.get("keep_models") is False:
        yield "deliver: keep_models is false, so there is no model left to deliver; remove one of the two"
    if not isinstance(deliver, Mapping) or not draft.is_sound("deliver"):
        return
    if "minimum_count" in deliver and "trimmed" not in deliver.get("vocabularies", []):
        yield "deliver.minimum_count: is for the trimmed vocabulary; add it to vocabularies, or remove the key"
    if deliver.get("exclude_operators") and "onnx-int8" not in deliver.get("runtimes", ["onnx-int8"]):
        yield "deliver.exclude_operators: is for the runtime onnx-int8; add it to runtimes, or remove the key"
