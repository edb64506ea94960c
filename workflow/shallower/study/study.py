"""A study: read, checked as a whole, and resolved into what each step needs.

Everything that is wrong is found together, before any job runs, and told with the key and the cure.
"""

import difflib
import math
import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import fingerprint
from shallower.core.runs import Run
from shallower.evaluation.metrics import METRICS, metric_names
from shallower.models.families import family_of, position_limit
from shallower.sources.docstrings import DOCS_TASKS
from shallower.sources.glue import GLUE_TASKS
from shallower.sources.models import check_model, local_config
from shallower.sources.tasks import check_task, task_files, task_target
from shallower.study.grid import expand
from shallower.surgery.strategies import COUNT, STRATEGIES, amount_label, check_amount
from shallower.task_kinds.registry import task_kind

SCHEMA_FILE = Path(__file__).parents[2] / "schemas" / "study.schema.yaml"

# Folders and files that the pipeline itself makes beside those named after models.
RESERVED_MODEL_NAMES = {
    *("tables", "figures", "paper", "provenance.html", "report.html", "resamples.parquet"),
    *("results.csv", "runs.csv", "scores.csv", "states.csv"),
}
RESERVED_TASK_NAMES = {"cost.json"}

# Keys of a task's entry that say how it is used, not what its data is.
TASK_USE_KEYS = {"name", "train", "refine", "metrics", "seeds", "counterpart"}
# Keys of a model's entry that say beside what it is shown, not which model it is.
MODEL_USE_KEYS = {"counterpart"}
# Gradual dropping trains for so many epochs between two layers (paper section 4).
STAGE_SETTINGS = {"epochs": 2}

# Beyond this a whole number has no like among the floats.
LARGEST = 10.0**300

# How many unknown keys of a mapping are told.
TOLD_KEYS = 10


@dataclass(frozen=True)
class Study:
    """A study that passed every check, with its defaults filled in."""

    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the study; its outputs are in results/{name}."""
        return self.config["study"]

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order of the study."""
        return [model["name"] for model in self.config["models"]]

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in the order of the study."""
        return [task["name"] for task in self.config["tasks"]]

    @cached_property
    def grid(self) -> dict[str, Any]:
        """Names on each axis, as `shallower.study.grid.expand` takes them."""
        return {
            "study": self.name,
            "models": self.models,
            "tasks": [[task, self.seeds(task)] for task in self.tasks],
            "arms": [
                [
                    origin["name"],
                    strategy["name"],
                    amount_label(amount),
                    strategy.get("models", self.models),
                    strategy.get("tasks", self.tasks),
                ]
                for origin in self.config["origins"]
                for strategy in self.config["strategies"]
                if origin["name"] in strategy.get("origins", [origin["name"]])
                for amount in strategy["amounts"]
            ],
        }

    @cached_property
    def runs(self) -> list[Run]:
        """Every run, baselines included."""
        return expand(self.grid)

    def seeds(self, task: str) -> list[int]:
        """Seeds of a task's runs: its own, or the study's."""
        return list(_named(self.config["tasks"], task).get("seeds", self.config["seeds"]))

    @property
    def counterparts(self) -> dict[str, dict[str, str | None]]:
        """What the paper calls our models and tasks, or the one that each is shown beside; None without one."""
        axes = ("models", "tasks")
        return {axis: {entry["name"]: entry.get("counterpart") for entry in self.config[axis]} for axis in axes}

    def model_definition(self, name: str) -> dict[str, Any]:
        """What says which model this is and where it comes from."""
        entry = _named(self.config["models"], name)
        return {key: value for key, value in entry.items() if key not in MODEL_USE_KEYS}

    def task_definition(self, name: str) -> dict[str, Any]:
        """What says which data this task is; not how the study uses it."""
        entry = _named(self.config["tasks"], name)
        return {"name": name} | {key: value for key, value in entry.items() if key not in TASK_USE_KEYS}

    def model_key(self, name: str) -> str:
        """Folder of the model under resources/models: another definition gets another folder."""
        return f"{name}-{fingerprint(self.model_definition(name))}"

    def task_key(self, name: str) -> str:
        """Folder of the task under resources/tasks: another definition gets another folder."""
        return f"{name}-{fingerprint(self.task_definition(name))}"

    def amount(self, strategy: str, label: str) -> Any:
        """The amount behind its label in a path, such as 2, 0.95 or [3, 5]."""
        entries = (entry for entry in self.config["strategies"] if entry["name"] == strategy)
        return next(amount for entry in entries for amount in entry["amounts"] if amount_label(amount) == label)

    def max_length(self, task: str) -> int:
        """Number of tokens that inputs of the task are cut to."""
        return self._train(task)["max_length"]

    def train_settings(self, task: str) -> dict[str, Any]:
        """Settings of the baseline's fine-tuning on a task."""
        return {key: value for key, value in self._train(task).items() if key != "max_length"}

    def refine_settings(self, task: str, origin: str) -> dict[str, Any]:
        """Settings of the tuning after layers were dropped: train, then what refine says otherwise.

        The study's refine comes first, then the origin's, then the task's.
        """
        overlays = (
            self.config["refine"],
            _named(self.config["origins"], origin).get("refine", {}),
            _named(self.config["tasks"], task).get("refine", {}),
        )
        settings = self.train_settings(task)
        for overlay in overlays:
            settings |= overlay
        return settings

    def stage_settings(self, task: str) -> dict[str, Any]:
        """Settings of the tuning between two layers of gradual dropping."""
        return self.train_settings(task) | _named(self.config["origins"], "gradual")["stage"]

    def tunings(self, task: str, origin: str | None = None) -> list[dict[str, Any]]:
        """Settings of each tuning that the runs of an origin go through; of the baseline's without one."""
        settings = [self.train_settings(task)]
        if origin is not None:
            settings.append(self.refine_settings(task, origin))
        if origin == "gradual":
            settings.append(self.stage_settings(task))
        return settings

    def evaluate_settings(self, task: str) -> dict[str, Any]:
        """Settings of the scoring of a task's predictions, with its metrics, the primary one first."""
        entry = _named(self.config["tasks"], task)
        return dict(self.config["evaluate"]) | {"metrics": entry["metrics"]}

    def compare_settings(self, task: str) -> dict[str, Any]:
        """Settings of the comparison with the baseline, which is by the primary metric alone."""
        settings = self.evaluate_settings(task)
        return settings | {"metrics": settings["metrics"][:1]}

    def _train(self, task: str) -> dict[str, Any]:
        return dict(self.config["train"]) | _named(self.config["tasks"], task).get("train", {})


def resolve_study(config: Mapping[str, Any]) -> Study:
    """Check a study and fill in its defaults.

    Raises StudyErrors with everything that is wrong: first against the schema, then, where the schema holds, names,
    amounts, metrics, model folders and data files. Reads local files only and starts no download.
    """
    schema = _schema()
    problems = list(_schema_problems(schema, config))
    if not problems:
        config = _with_defaults(schema, config)
        problems = [
            *_name_problems(config),
            *_strategy_problems(config),
            *_model_problems(config),
            *_task_problems(config),
        ]
    if problems:
        raise StudyErrors(problems)
    return Study(config)


@cache
def _schema() -> dict[str, Any]:
    """The schema of a study; not to be changed."""
    return yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8"))


def local_model_files(definition: Mapping[str, Any]) -> list[str]:
    """Files of a model on this machine whose content its import depends on; none for other sources."""
    if definition["source"] != "local":
        return []
    directory = Path(definition["directory"])
    # Tokenizers come as JSON, as word lists (vocab.txt, merges.txt) or as SentencePiece models.
    patterns = ("*.json", "*.safetensors", "*.txt", "*.model")
    names = (path for pattern in patterns for path in directory.glob(pattern))
    # No file that is needed has braces in its name, and Snakemake would look for the wildcard that they name.
    return sorted(str(path) for path in names if not {*"{}"} & {*path.name})


def local_task_files(definition: Mapping[str, Any]) -> list[str]:
    """Data files on this machine that a task is made of; none for other sources."""
    return [str(path) for path in task_files(definition)]


def _with_defaults(schema: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The study with defaults for what it leaves out, and each task resolved to what its source needs."""
    filled = dict(config)
    for key, rule in schema["properties"].items():
        if "default" in rule:
            filled.setdefault(key, rule["default"])
        if "$ref" in rule:
            rule = rule | schema["$defs"][rule["$ref"].removeprefix("#/$defs/")]
        if key != "refine" and isinstance(filled.get(key), Mapping):
            defaults = {name: part["default"] for name, part in rule["properties"].items() if "default" in part}
            filled[key] = defaults | dict(filled[key])
    filled["tasks"] = [_resolved_task(task, filled["glue_directory"]) for task in config["tasks"]]
    filled["origins"] = [
        {**origin, "stage": STAGE_SETTINGS | origin.get("stage", {})} if origin["name"] == "gradual" else origin
        for origin in config["origins"]
    ]
    return filled


def _resolved_task(task: Mapping[str, Any], glue_directory: str | None) -> dict[str, Any]:
    """The task's entry with its metrics and, for GLUE, its folder and its name in the paper."""
    match task["source"]:
        case "glue":
            directory = str(Path(glue_directory) / task["subset"]) if glue_directory else None
            known = {"metrics": list(GLUE_TASKS[task["subset"]].metrics), "directory": directory}
            return known | {"counterpart": GLUE_TASKS[task["subset"]].paper_name} | dict(task)
        case "installed-docs":
            return {"metrics": list(DOCS_TASKS[task["kind"]].metrics)} | dict(task)
        case _:
            return dict(task)


def _named(entries: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


# --- what can be wrong ---------------------------------------------------------------------------------------------


def _is_number(_: Any, value: Any) -> bool:
    """JSON has no NaN or infinity, but YAML has (.nan, .inf), and no comparison with a limit finds a NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def _is_whole_number(_: Any, value: Any) -> bool:
    """JSON Schema counts 3.0 as well, which is no number of epochs in Python."""
    return isinstance(value, int) and _is_number(_, value)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """In Python's search, `$` would let a line break at the end pass."""
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield jsonschema.ValidationError("does not match")


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"pattern": _pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_whole_number}
    ),
)


def _schema_problems(schema: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    errors = _Validator(schema).iter_errors(config)
    for error in sorted(errors, key=lambda error: [str(part) for part in error.absolute_path]):
        yield f"{_place(config, error.absolute_path)}: {_explain(error)}"


QUOTES = "'\""
_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 3, 80, 80


def _shown(value: Any) -> str:
    """A value as it stands in a message: one that is endless is cut short."""
    return _short.repr(value)


def _place(config: Any, path: Sequence[str | int]) -> str:
    """The key as a person writes it, with the name of list entries: tasks[1] (mrpc).train.epochs."""
    text, node = "", config
    for part in path:
        node = node[part]
        if isinstance(part, int):
            text += f"[{part}]"
            if isinstance(node, Mapping) and isinstance(node.get("name"), str):
                text += f" ({_shown(node['name']).strip(QUOTES)})"
        else:
            text += f".{part}" if text else part
    return text or "study file"


def _explain(error: jsonschema.ValidationError) -> str:
    """What is wrong and what to write instead."""
    value = error.instance
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema["properties"])
            unknown = sorted(str(key) for key in value if key not in known)[:TOLD_KEYS]
            return "; ".join(_unknown("key", key, known) for key in unknown)
        case "required":
            missing = [key for key in error.validator_value if key not in value]
            return f"missing {', '.join(repr(key) for key in missing)}; add it"
        case "type" | "anyOf":
            wanted = error.validator_value
            wanted = " or ".join(wanted) if isinstance(wanted, list) and isinstance(wanted[0], str) else wanted
            wanted = wanted if isinstance(wanted, str) else "a number above 0 or a list of layer indices"
            return f"{_shown(value)} is not of type {wanted}{_type_hint(value, wanted)}"
        case "enum":
            return _unknown("value", value, error.validator_value)
        case "pattern" if error.validator_value.startswith("^[0-9a-f]{40}"):
            return f"{_shown(value)} is not a commit; pin the revision by its 40 hexadecimal digits"
        case "pattern" if error.validator_value.startswith("^[^"):
            return (
                f"{_shown(value)}: a path must not hold braces, which Snakemake takes for wildcards, or control "
                "characters; rename the file or folder"
            )
        case "pattern":
            return f"{_shown(value)} is not allowed here (pattern {error.validator_value})"
        case "minItems" | "minLength":
            return f"{_shown(value)} is empty or too short; write at least {error.validator_value}"
        case "maxItems" | "maxLength":
            return f"{_shown(value)} is too long; write at most {error.validator_value}"
        case "uniqueItems":
            return f"{_shown(value)} holds something more than once; remove the repeats"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" | "const":
            return error.message
        case _:
            return f"{_shown(value)} is not allowed here ({error.validator}: {_shown(error.validator_value)})"


def _type_hint(value: Any, wanted: str) -> str:
    """What may have gone wrong where a value is of another type than it should be."""
    match value:
        case None:
            return "; write a value, or remove the key"
        case bool() if wanted == "string":
            return "; YAML reads yes, no, on, off, true and false as such: put the text in quotes"
        case str() if number := _as_yaml_number(value):
            return f"; YAML reads this as text: write {number} without quotes"
        case float() | int() if not -LARGEST < value < LARGEST:
            return "; write a finite number"
        case float() if wanted == "integer" and value.is_integer():
            return f"; write {value:.0f}"
        case int() | float() if wanted == "string":
            return "; put the text in quotes"
        case _:
            return ""


def _as_yaml_number(text: str) -> str | None:
    """How to write a number that YAML takes for text, such as 2e-5; None for other texts."""
    if not re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?", text):
        return None
    number = float(text)
    if not math.isfinite(number):
        return None
    whole = number.is_integer() and abs(number) < 1e15
    return str(int(number)) if whole else re.sub(r"^(-?\d+)e", r"\1.0e", repr(number))


def _unknown(what: str, value: Any, known: Sequence[Any]) -> str:
    close = difflib.get_close_matches(str(value)[:80], [str(name) for name in known], n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown {what} {_shown(value)}; {hint}known: {', '.join(str(name) for name in known)}"


def _name_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for axis in ("models", "tasks", "origins"):
        # Folders are named after entries, and some file systems do not tell upper from lower case.
        counts = Counter(entry["name"].casefold() for entry in config[axis])
        for name in (name for name, count in counts.items() if count > 1):
            yield f"{axis}: the name {name!r} is used more than once; give each entry its own name"
    places = {"seeds": config["seeds"]}
    for index, task in enumerate(config["tasks"]):
        places[f"tasks[{index}] ({task['name']}).seeds"] = task.get("seeds", [])
    for place, seeds in places.items():
        for seed in (seed for seed, count in Counter(seeds).items() if count > 1):
            yield f"{place}: {seed} is listed more than once; remove the repeats"
    for index, model in enumerate(config["models"]):
        if model["name"].casefold() in RESERVED_MODEL_NAMES:
            yield f"models[{index}]: the name {model['name']!r} is one of the pipeline's own folders; choose another"
    for index, task in enumerate(config["tasks"]):
        if task["name"].casefold() in RESERVED_TASK_NAMES:
            yield f"tasks[{index}]: the name {task['name']!r} is one of the pipeline's own files; choose another"


def _strategy_problems(config: Mapping[str, Any]) -> Iterator[str]:
    depths = {model["name"]: _known_num_layers(model) for model in config["models"]}
    names = {axis: [entry["name"] for entry in config[axis]] for axis in ("models", "tasks", "origins")}
    arms: dict[tuple[str, ...], int] = {}
    for index, strategy in enumerate(config["strategies"]):
        place = f"strategies[{index}] ({strategy['name']})"
        if strategy["name"] not in STRATEGIES:
            yield f"{place}: {_unknown('strategy', strategy['name'], sorted(STRATEGIES))}"
            continue
        limits = {axis: strategy.get(axis, known) for axis, known in names.items()}
        for axis, limit in limits.items():
            yield from (
                f"{place}.{axis}: {_unknown(axis.removesuffix('s'), name, names[axis])}"
                for name in limit
                if name not in names[axis]
            )
        labels = Counter(amount_label(amount) for amount in strategy["amounts"])
        for label in (label for label, count in labels.items() if count > 1):
            yield f"{place}.amounts: {label} is listed more than once; remove the repeats"
        again = {
            label: arms[arm]
            for label in labels
            for arm in product([strategy["name"]], [label], *limits.values())
            if arms.setdefault(arm, index) != index
        }
        for label, other in again.items():
            yield f"{place}.amounts: {label} stands in strategies[{other}] too, for the same model, task and origin"
        if "gradual" in limits["origins"] and STRATEGIES[strategy["name"]].amount is not COUNT:
            yield (
                f"{place}: dropping gradually takes a number of layers, which is not this strategy's amount; "
                f"limit the entry by origins: {[name for name in names['origins'] if name != 'gradual']}"
            )
        for amount in strategy["amounts"]:
            # The same complaint for several models is one complaint.
            found = {}
            for model in (model for model in limits["models"] if model in depths):
                if problem := check_amount(strategy["name"], amount, depths[model]):
                    found.setdefault(problem, model)
            for problem, model in found.items():
                yield f"{place}.amounts: {problem}" + (f" (model {model})" if depths[model] else "")


def _known_num_layers(model: Mapping[str, Any]) -> int | None:
    """Depth of a model as far as it can be known without a download."""
    if "num_layers" in model:
        return model["num_layers"]
    try:
        config = local_config(model)
        return None if config is None else family_of(config).num_layers(config)
    except UserError:
        return None  # told by _model_problems


def _model_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for index, model in enumerate(config["models"]):
        place = f"models[{index}] ({model['name']})"
        if problem := check_model(model):
            key = {"local": ".directory", "package": ".path", "hub": ""}[model["source"]]
            yield f"{place}{key}: {problem}"
            continue
        length, limit = config["measure"]["sequence_length"], position_limit(local_config(model) or {})
        if limit is not None and length > limit:
            yield f"measure.sequence_length: {length} tokens, but model {model['name']} has {limit} positions; lower it"


def _task_problems(config: Mapping[str, Any]) -> Iterator[str]:
    for index, task in enumerate(config["tasks"]):
        place = f"tasks[{index}] ({task['name']})"
        target = task_target(task)
        kind, allowed = task_kind(target), metric_names(target)
        for metric in task["metrics"]:
            if metric not in allowed:
                yield f"{place}.metrics: {metric} does not suit {target}; choose from {', '.join(sorted(allowed))}"
        if task["source"] in ("files", "hub"):
            labels = task.get("labels")
            if kind.has_classes and not labels:
                yield f"{place}: missing 'labels'; list the names of the classes in the order of their ids"
                continue
            if labels and not kind.has_classes:
                yield f"{place}.labels: a {target} has no classes; remove the key"
                continue
            for metric in (METRICS[name] for name in allowed if name in task["metrics"]):
                if metric.most_classes and len(labels or ()) > metric.most_classes:
                    yield f"{place}.metrics: {metric.name} is for two classes, there are {len(labels)}; use macro_f1"
        definition = {"name": task["name"]} | {key: value for key, value in task.items() if key not in TASK_USE_KEYS}
        yield from (f"{place}: {problem}" for problem in check_task(definition))
