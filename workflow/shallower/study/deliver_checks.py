"""What can be wrong with what a study says of delivered models: what they depend on, and settings that say nothing."""

from collections.abc import Iterator, Mapping

from shallower.core.errors import UserError
from shallower.core.variants import INT8, ONNX, TRIMMED
from shallower.models.families import check_onnx_export, family_of
from shallower.sources.models import known_config
from shallower.study.draft import Draft
from shallower.study.step_settings import Deliver
from shallower.study.study import MODEL_USE_KEYS


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
    if "minimum_count" in deliver and TRIMMED not in deliver.get("vocabularies", []):
        yield "deliver.minimum_count: is for the trimmed vocabulary; add it to vocabularies, or remove the key"
    runtimes = deliver.get("runtimes", Deliver().runtimes)
    if deliver.get("exclude_operators") and INT8 not in runtimes:
        yield "deliver.exclude_operators: is for the runtime onnx-int8; add it to runtimes, or remove the key"
    if not {ONNX, INT8}.isdisjoint(runtimes):
        yield from _family_problems(draft)


def _family_problems(draft: Draft) -> Iterator[str]:
    """Models that are known not to be exported; others are looked at when they are downloaded."""
    for index, model in draft.entries("models"):
        if draft.is_sound("models", index, but={"name", *MODEL_USE_KEYS}):
            try:
                config = known_config(model)
            except UserError:
                continue  # reported where models are checked
            try:
                if config is not None:
                    check_onnx_export(family_of(config))
            except UserError as error:
                yield f"{draft.place('models', index)}: {error}"
