"""What can be wrong with a study beyond its keys by themselves: names, amounts, metrics, models and data.

Each check looks at the parts of a study that are well-formed, so that one mistake does not hide another.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from shallower.core.errors import UserError
from shallower.core.wording import listed
from shallower.evaluation.metrics import METRICS, metric_names
from shallower.models.families import family_of, position_limit
from shallower.sources.glue import GLUE_TASKS
from shallower.sources.model_sources import model_source
from shallower.sources.models import check_model, local_config
from shallower.sources.tasks import check_task
from shallower.study.defaults import resolved_task
from shallower.study.messages import KeyPath, place, shown, unknown
from shallower.study.names import RESERVED_NAMES
from shallower.study.step_settings import Measure
from shallower.study.study import MODEL_USE_KEYS, TASK_USE_KEYS, task_definition
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES, amount_label, check_amount
from shallower.task_kinds.registry import task_kind

AXES = ("models", "tasks", "origins")


@dataclass(frozen=True)
class Draft:
    """A study as it is written, of which some parts may be malformed.

    `malformed` are the paths of values that their types refuse and of keys that are missing. Unknown keys do not count.
    """

    config: Mapping[str, Any]
    malformed: Collection[KeyPath]

    @cached_property
    def _malformed_within(self) -> Mapping[KeyPath, set[int | str]]:
        """For each path to something malformed, the keys or indices in which that is."""
        within: dict[KeyPath, set[int | str]] = {}
        for path in self.malformed:
            for depth, part in enumerate(path):
                within.setdefault(path[:depth], set()).add(part)
        return within

    @cached_property
    def _malformed(self) -> frozenset[KeyPath]:
        return frozenset(self.malformed)

    def is_sound(self, *path: int | str, but: Collection[str] = ()) -> bool:
        """Whether a value is well-formed with all that it holds, `but` for some of its keys; or is not there."""
        if any(path[:depth] in self._malformed for depth in range(len(path) + 1)):
            return False
        return self._malformed_within.get(path, set()) <= {*but}

    def entries(self, axis: str) -> list[tuple[int, Mapping[str, Any]]]:
        """The entries of a list that are mappings, with their indices."""
        entries = self.config.get(axis)
        return [
            (index, entry)
            for index, entry in enumerate(entries if isinstance(entries, list) else [])
            if isinstance(entry, Mapping)
        ]

    def names(self, axis: str) -> list[str]:
        """The names of entries, allowed or not."""
        return [entry["name"] for _, entry in self.entries(axis) if isinstance(entry.get("name"), str)]

    def knows_all(self, axis: str) -> bool:
        """Whether every entry has a name, so that a name that is not there is a mistake."""
        return bool(names := self.names(axis)) and len(names) == len(self.config[axis])

    def place(self, *path: int | str) -> str:
        """The path as a person writes it."""
        return place(self.config, path)


def problems(draft: Draft) -> Iterator[str]:
    """All that is wrong; reads local files only."""
    yield from _name_problems(draft)
    yield from _seed_problems(draft)
    yield from _origin_problems(draft)
    yield from _strategy_problems(draft)
    yield from _model_problems(draft)
    yield from _task_problems(draft)


def _repeated(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def _name_problems(draft: Draft) -> Iterator[str]:
    for axis in AXES:
        # Folders are named after entries, and some file systems do not distinguish upper from lower case.
        for name in _repeated(name.casefold() for name in draft.names(axis)):
            yield f"{axis}: the name {shown(name)} is used more than once; give each entry its own name"
    for axis, reserved in RESERVED_NAMES.items():
        for index, entry in draft.entries(axis):
            name = entry.get("name")
            if isinstance(name, str) and name.casefold() in reserved:
                yield f"{axis}[{index}]: the name {name!r} is one of the pipeline's own files; choose another"


def _seed_problems(draft: Draft) -> Iterator[str]:
    lists: list[tuple[tuple[int | str, ...], Mapping[str, Any]]] = [(("seeds",), draft.config)]
    lists += [(("tasks", index, "seeds"), task) for index, task in draft.entries("tasks")]
    for path, owner in lists:
        if draft.is_sound(*path):
            for seed in _repeated(owner.get("seeds", [])):
                yield f"{draft.place(*path)}: {seed} is listed more than once; remove the repeats"


def _origin_problems(draft: Draft) -> Iterator[str]:
    staged = [name for name, origin in ORIGINS.items() if origin.stage is not None]
    for index, origin in draft.entries("origins"):
        if "stage" in origin and draft.is_sound("origins", index, "name") and origin.get("name") not in staged:
            known = listed([repr(name) for name in staged])
            yield f"{draft.place('origins', index, 'stage')}: is only for the origin {known}; remove the key"


# --- strategies ----------------------------------------------------------------------------------------------------


def _strategy_problems(draft: Draft) -> Iterator[str]:
    models = [(index, model) for index, model in draft.entries("models") if isinstance(model.get("name"), str)]
    depths = {model["name"]: _known_num_layers(draft, index, model) for index, model in models}
    sharing = {model["name"] for index, model in models if _shares_layers(draft, index, model)}
    arms: dict[tuple[str, ...], int] = {}
    for index, strategy in draft.entries("strategies"):
        here = draft.place("strategies", index)
        limits = {axis: _limit(draft, index, strategy, axis) for axis in AXES}
        for axis, limit in limits.items():
            if draft.knows_all(axis):
                known = draft.names(axis)
                for other in (other for other in limit if other not in known):
                    yield f"{here}.{axis}: {unknown(axis.removesuffix('s'), other, known)}"
        amounts = _sound_amounts(draft, index, strategy)
        labels = [amount_label(amount) for amount in amounts]
        for label in _repeated(labels):
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
        named = [model for model in limits["models"] if model in depths]
        yield from (f"{here}.amounts: {problem}" for problem in _amount_problems(name, amounts, named, depths))


def _limit(draft: Draft, index: int, strategy: Mapping[str, Any], axis: str) -> list[str]:
    """The names that an entry is for on an axis, as far as they are known."""
    if not draft.is_sound("strategies", index, axis):
        return []
    names: list[str] = strategy.get(axis, draft.names(axis))
    return names


def _sound_amounts(draft: Draft, index: int, strategy: Mapping[str, Any]) -> list[Any]:
    amounts = strategy.get("amounts")
    if not isinstance(amounts, list):
        return []
    return [
        amount for position, amount in enumerate(amounts) if draft.is_sound("strategies", index, "amounts", position)
    ]


def _amount_problems(
    strategy: str, amounts: Iterable[Any], models: Collection[str], depths: Mapping[str, int | None]
) -> Iterator[str]:
    """What is wrong with the amounts of an entry, for the models whose depth is known; each problem once."""
    for amount in amounts:
        found: dict[str, str] = {}
        for model in models or [""]:  # without a model, what can be said of any depth
            depth = depths.get(model)
            if problem := check_amount(strategy, amount, depth):
                found.setdefault(problem, f" (model {model})" if depth else "")
        yield from (problem + model for problem, model in found.items())


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


def _known_num_layers(draft: Draft, index: int, model: Mapping[str, Any]) -> int | None:
    """Depth of a model as far as it is known without a download."""
    if "num_layers" in model and draft.is_sound("models", index, "num_layers"):
        stated: int = model["num_layers"]
        return stated
    config = _known_config(draft, index, model)
    return None if config is None else family_of(config).num_layers(config)


def _shares_layers(draft: Draft, index: int, model: Mapping[str, Any]) -> bool:
    """Whether it is known without a download that all layers of a model share one set of weights."""
    config = _known_config(draft, index, model)
    return config is not None and family_of(config).shares_layers


def _known_config(draft: Draft, index: int, model: Mapping[str, Any]) -> dict[str, Any] | None:
    """The checked config.json of a model, if that is known without a download."""
    if not draft.is_sound("models", index, but={"name", "num_layers", *MODEL_USE_KEYS}):
        return None
    try:
        return local_config(model)
    except UserError:
        return None  # reported by _model_problems


# --- models and tasks ----------------------------------------------------------------------------------------------


def _model_problems(draft: Draft) -> Iterator[str]:
    for index, model in draft.entries("models"):
        if not draft.is_sound("models", index, but={"name", *MODEL_USE_KEYS}):
            continue
        if problem := check_model(model):
            keys = filter(None, [model_source(model).folder_key])
            yield f"{draft.place('models', index, *keys)}: {problem}"
        elif draft.is_sound("measure"):
            length = draft.config.get("measure", {}).get("sequence_length", Measure().sequence_length)
            limit = position_limit(local_config(model) or {})
            if limit is not None and length > limit:
                name = model.get("name", index)
                yield f"measure.sequence_length: {length} tokens, but model {name} has {limit} positions; lower it"


def _task_problems(draft: Draft) -> Iterator[str]:
    for index, task in draft.entries("tasks"):
        here = draft.place("tasks", index)

        def sound(*keys: str, index: int = index) -> bool:
            return all(draft.is_sound("tasks", index, key) for key in keys)

        yield from (f"{here}{problem}" for problem in _metric_problems(task, sound))
        found = list(_label_problems(task, sound))
        yield from (f"{here}{problem}" for problem in found)
        folder_is_sound = task.get("source") != "glue" or draft.is_sound("glue_directory")
        if folder_is_sound and draft.is_sound("tasks", index, but=TASK_USE_KEYS) and not found:
            # As the steps have it, so that what is found in its files is found once.
            definition = task_definition(resolved_task(task, draft.config.get("glue_directory")))
            yield from (f"{here}: {problem}" for problem in check_task(definition))


def _target(task: Mapping[str, Any], sound: Callable[..., bool]) -> str | None:
    """What the label of a task is; None where the study does not say it well."""
    match task.get("source"):
        case "glue" if sound("subset"):
            return GLUE_TASKS[task["subset"]].target
        case str() as source if source != "glue" and sound("source", "target"):
            target: str = task["target"]
            return target
        case _:
            return None


def _metric_problems(task: Mapping[str, Any], sound: Callable[..., bool]) -> Iterator[str]:
    target = _target(task, sound)
    if target is None or not sound("metrics"):
        return
    metrics = task.get("metrics", [])
    suitable = metric_names(target)
    for metric in metrics:
        if metric not in suitable:
            yield f".metrics: {metric} does not suit {target}; choose from {', '.join(sorted(suitable))}"
    classes = len(task.get("labels", [])) if sound("labels") else 0
    for metric in (METRICS[name] for name in metrics if name in suitable):
        if metric.most_classes is not None and classes > metric.most_classes:
            yield f".metrics: {metric.name} is for two classes, there are {classes}; use macro_f1"


def _label_problems(task: Mapping[str, Any], sound: Callable[..., bool]) -> Iterator[str]:
    if task.get("source") == "glue" or not sound("source", "target", "labels"):
        return
    has_classes = task_kind(task["target"]).has_classes
    if has_classes and "labels" not in task:
        yield ": missing 'labels'; list the names of the classes in the order of their ids"
    if not has_classes and "labels" in task:
        yield f".labels: a {task['target']} has no classes; remove the key"
    labels = task.get("labels", [])
    if "positive_class" not in task or not sound("positive_class"):
        return
    if not has_classes:
        yield f".positive_class: a {task['target']} has no classes; remove the key"
    elif labels and len(labels) != 2:
        yield f".positive_class: is for two classes, there are {len(labels)}; remove the key"
    elif labels and task["positive_class"] not in labels:
        yield f".positive_class: {unknown('class', task['positive_class'], labels)}"
