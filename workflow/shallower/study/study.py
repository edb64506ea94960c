"""A study: what each step needs of it.

A `Study` has passed every check and has its defaults filled in (`shallower.study.resolve`). It is written once, as
results/{study}/study.json, which the steps read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shallower.core.files import fingerprint, read_json, write_json
from shallower.core.runs import Run
from shallower.core.variants import INT8, ONNX
from shallower.sources.glue import GLUE_TASKS
from shallower.study.grid import expand
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES, amount_label

# Keys of an entry that say how a study uses it, not which data or model it is.
UNLABELLED_KEYS = ("unlabelled_file", "unlabelled_examples", "unlabelled_text", "unlabelled_unit")
# Of these one of the first three says where test examples are, depending on the source.
TEST_KEYS = ("test_file", "test_split", "test_qrels_file", "test_queries_file", "test_examples")
# Settings of scoring that say which answers count, where a study names them.
ANSWER_KEYS = ("positive_class", "threshold", "strict_entities")
TASK_USE_KEYS = {"name", "train", "refine", "metrics", "seeds", "counterpart", "calibration", "thresholds"}
TASK_USE_KEYS |= {*ANSWER_KEYS, *UNLABELLED_KEYS, *TEST_KEYS}
MODEL_USE_KEYS = {"counterpart"}


@dataclass(frozen=True)
class Study:
    """A study that passed every check, with its defaults filled in."""

    config: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> "Study":
        """Read a study.json. Raises UserError, naming the file, when it cannot be read or is not JSON."""
        return cls(read_json(path))

    def write(self, path: str | Path) -> None:
        """Write the study as JSON, from which `read` gets an equal one."""
        write_json(path, self.config)

    @property
    def name(self) -> str:
        """Name of the study; its outputs are in results/{name}."""
        name: str = self.config["study"]
        return name

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

    @cached_property
    def judged(self) -> list[tuple[str, str, str]]:
        """Model, task and origin of each place where strategies are judged: where `keep` names subsets of layers."""
        if not self.config.get("oracle"):
            return []
        return list(dict.fromkeys((run.model, run.task, run.origin) for run in self.runs if run.strategy == "keep"))

    def seeds(self, task: str) -> list[int]:
        """Seeds of a task's runs: its own, or the study's."""
        return list(_named(self.config["tasks"], task).get("seeds", self.config["seeds"]))

    @property
    def counterparts(self) -> dict[str, dict[str, str | None]]:
        """The paper's counterpart of each model and task; None where there is none."""
        axes = ("models", "tasks")
        return {axis: {entry["name"]: entry.get("counterpart") for entry in self.config[axis]} for axis in axes}

    @cached_property
    def protected_arms(self) -> list[list[str]]:
        """Model, task, origin, strategy and amount of the arms that do not choose among all layers."""
        return [list(arm) for arm in dict.fromkeys(run.key for run in self.runs if self.protected(vars(run)))]

    @cached_property
    def arms_scored_elsewhere(self) -> list[list[str]]:
        """The same of the arms whose layers are scored on the examples of another task."""
        found = (run for run in self.runs if self.scored_task(vars(run)) != run.task)
        return [list(arm) for arm in dict.fromkeys(run.key for run in found)]

    def model_definition(self, name: str) -> dict[str, Any]:
        """What says which model this is and where it comes from."""
        entry = _named(self.config["models"], name)
        return model_definition(entry, self.config["tasks"])

    def task_definition(self, name: str) -> dict[str, Any]:
        """What says which data this task is; not how the study uses it.

        Calibration examples are part of it only where the training split has to do without them.
        """
        entry = _named(self.config["tasks"], name)
        definition = task_definition(entry)
        if "train_examples" not in entry and (size := self.calibration_examples(name)) is not None:
            definition["calibration_examples"] = size
        return definition

    def sliced_splits(self, task: str) -> list[str]:
        """The splits of a task ("train", "validation") of which its definition takes a part only."""
        definition = self.task_definition(task)
        parts = {"train": ("train_examples", "calibration_examples"), "validation": ("validation_examples",)}
        return [split for split, keys in parts.items() if any(key in definition for key in keys)]

    def calibration_examples(self, task: str) -> int | None:
        """Number of a task's calibration examples: its own, or the study's; None where there are none."""
        settings = _named(self.config["tasks"], task).get("calibration") or self.config.get("calibration")
        return None if settings is None else int(settings["examples"])

    def chooses_by_calibration(self, task: str) -> bool:
        """Whether layers of runs, on a task or on others, or thresholds are chosen on its calibration examples."""
        if self.calibration_examples(task) is None:
            return False
        if self.tunes_thresholds(task) or any(task == judged for _, judged, _ in self.judged):
            return True
        scored = (run for run in self.runs if not run.is_baseline and self.scored_task(vars(run)) == task)
        scores = (STRATEGIES[run.strategy].score for run in scored)
        return any(score is not None and score.runs_model for score in scores)

    def tunes_thresholds(self, task: str) -> bool:
        """Whether each label of a task has a threshold of its own, by its calibration examples."""
        return "thresholds" in _named(self.config["tasks"], task)

    def unlabelled_definition(self, task: str) -> dict[str, Any] | None:
        """What says which texts without labels a task has, and what they must not have in common with; None for none.

        None also where no run of the task learns from a teacher.
        """
        entry = _named(self.config["tasks"], task)
        if "unlabelled_file" not in entry or task not in self.taught_tasks:
            return None
        size = self.calibration_examples(task)
        return unlabelled_definition(entry) | ({} if size is None else {"calibration_examples": size})

    def unlabelled_key(self, task: str) -> str | None:
        """What the folder of a task's texts without labels ends in: other texts get another folder; None for none."""
        definition = self.unlabelled_definition(task)
        if definition is None:
            return None
        keys = (*UNLABELLED_KEYS, "calibration_examples")
        always = dict.fromkeys(("unlabelled_file", "unlabelled_examples", "calibration_examples"))
        # Texts of test examples are left out, too.
        test = {} if (key := self.test_key(task)) is None else {"test": key}
        return fingerprint(always | {key: definition[key] for key in keys if key in definition} | test)

    def trimmed_key(self, task: str) -> str:
        """What the folder of a task's trimmed tokenizer ends in: by how often texts use a token that it keeps.

        Texts without labels count as well, of which other ones get another folder.
        """
        minimum_count, key = self.config["deliver"]["minimum_count"], self.unlabelled_key(task)
        return str(minimum_count) if key is None else f"{minimum_count}-{key}"

    def test_definition(self, task: str) -> dict[str, Any] | None:
        """What says which test examples a task has, in addition to its other data; None for none."""
        entry = _named(self.config["tasks"], task)
        return self.task_definition(task) | keys_of_test(entry) if has_test(entry) else None

    def test_key(self, task: str) -> str | None:
        """What the folder of a task's test examples ends in: other examples get another folder; None for none."""
        entry = _named(self.config["tasks"], task)
        return fingerprint(keys_of_test(entry)) if has_test(entry) else None

    @cached_property
    def tested_tasks(self) -> list[str]:
        """Names of the tasks that have test examples."""
        return [task for task in self.tasks if self.test_key(task) is not None]

    @property
    def model_classes(self) -> list[str]:
        """transformers' classes of the models that answer its tasks."""
        from shallower.task_kinds.registry import task_kind  # with numpy, which steps that read a study do not need

        return sorted({task_kind(target_of(task)).model_class for task in self.config["tasks"]})

    @property
    def exports_onnx(self) -> bool:
        """Whether models are exported to ONNX."""
        return not {ONNX, INT8}.isdisjoint((self.config.get("deliver") or {}).get("runtimes", []))

    def augmentation(self, task: str) -> dict[str, Any] | None:
        """How texts for a teacher are made from those of a task; None for none. All of its runs have the same."""
        found = [settings["augment"] for settings in self._teaching.get(task, []) if "augment" in settings]
        return dict(found[0]) if found else None

    def augmentation_key(self, task: str) -> str | None:
        """What the folder of the tokens of these texts ends in: others get another folder; None for none."""
        settings = self.augmentation(task)
        return None if settings is None else fingerprint(settings)

    def teaches_vectors(self, task: str) -> bool:
        """Whether a run of a task learns its teacher's vectors."""
        return any("vectors" in settings for settings in self._teaching.get(task, []))

    @property
    def taught_tasks(self) -> set[str]:
        """Names of the tasks of which any run learns from a teacher."""
        return {*self._teaching}

    @cached_property
    def _teaching(self) -> dict[str, list[Mapping[str, Any]]]:
        """What runs learn from a teacher, by task: the settings of each origin whose runs have one."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for task, origin in dict.fromkeys((run.task, run.origin) for run in self.runs if not run.is_baseline):
            settings = self.refine_settings(task, origin)
            if "distill" in settings:
                found.setdefault(task, []).append(settings["distill"])
        return found

    def model_key(self, name: str) -> str:
        """Folder of the model under resources/models: another definition gets another folder."""
        return f"{name}-{fingerprint(self.model_definition(name))}"

    def task_key(self, name: str) -> str:
        """Folder of the task under resources/tasks: another definition gets another folder."""
        return f"{name}-{fingerprint(self.task_definition(name))}"

    def amount(self, strategy: str, label: str) -> Any:
        """The amount behind its label in a path, such as 2, 0.95 or [3, 5]."""
        return self._amounts[strategy, label]

    def protected(self, run: Mapping[str, str]) -> list[int]:
        """Layers that a run must keep, by its strategy, amount (its label), model, task and origin."""
        return list(self._entry(run).get("protect", []))

    def scored_task(self, run: Mapping[str, str]) -> str:
        """The task on whose examples the layers of a run are scored: its own, or the one that its strategy names."""
        task: str = self._entry(run).get("scores_from", run["task"])
        return task

    def _entry(self, run: Mapping[str, str]) -> Mapping[str, Any]:
        """The strategies' entry of a run, by its strategy, amount (its label), model, task and origin.

        It is empty for baselines.
        """
        entries = (
            entry
            for entry in self.config["strategies"]
            if entry["name"] == run["strategy"]
            and run["amount"] in map(amount_label, entry["amounts"])
            and all(run[axis] in entry.get(f"{axis}s", [run[axis]]) for axis in ("model", "task", "origin"))
        )
        return next(entries, {})

    @cached_property
    def _amounts(self) -> dict[tuple[str, str], Any]:
        strategies = self.config["strategies"]
        return {(entry["name"], amount_label(amount)): amount for entry in strategies for amount in entry["amounts"]}

    def max_length(self, task: str) -> int:
        """Number of tokens that inputs of the task are cut to."""
        length: int = self._train(task)["max_length"]
        return length

    @property
    def measured_length(self) -> int:
        """Most tokens of the sequences whose time is measured at each depth."""
        measure = self.config["measure"]
        length: int = self.max_length(measure["task"]) if measure["task"] else measure["sequence_length"]
        return length

    def train_settings(self, task: str) -> dict[str, Any]:
        """Settings of the baseline's fine-tuning on a task."""
        return _without_none({key: value for key, value in self._train(task).items() if key != "max_length"})

    def refine_settings(self, task: str, origin: str) -> dict[str, Any]:
        """Settings of the tuning after layers were dropped: train, overridden by refine of the study, origin and task.

        The task's refine comes last, and then how many times as many epochs the origin trains.
        """
        overlays = (
            self.config["refine"],
            _named(self.config["origins"], origin).get("refine", {}),
            _named(self.config["tasks"], task).get("refine", {}),
        )
        settings = self.train_settings(task)
        for overlay in overlays:
            settings |= overlay
        settings["epochs"] *= ORIGINS[origin].times_epochs
        return _without_none(settings)

    def race_settings(self, task: str, origin: str) -> dict[str, Any]:
        """Settings of the trainings of a race: those of the refining, from labels alone, for epochs of its own."""
        settings = self.refine_settings(task, origin)
        return {key: value for key, value in settings.items() if key not in ("distill", "epochs")}

    def preparation_settings(self, task: str, origin: str) -> dict[str, Any]:
        """Settings of the trainings of an origin's runs before their last layers are dropped: train, then its stage."""
        return _without_none({**self.train_settings(task), **_named(self.config["origins"], origin).get("stage", {})})

    def tunings(self, task: str, origin: str | None = None) -> list[dict[str, Any]]:
        """Settings of each training of an origin's runs; without an origin, those of the baseline."""
        settings = [self.train_settings(task)]
        if origin is not None:
            settings += [self.refine_settings(task, origin), self.preparation_settings(task, origin)]
        return settings

    def evaluate_settings(self, task: str) -> dict[str, Any]:
        """Settings of the scoring of a task's predictions.

        With its metrics, the primary one first, and the index of its positive class and its threshold, where the study
        names them, or that these are tuned (`thresholds`).
        """
        entry = _named(self.config["tasks"], task)
        settings = dict(self.config["evaluate"]) | {"metrics": entry["metrics"]}
        if "positive_class" in entry:
            settings["positive_class"] = entry["labels"].index(entry["positive_class"])
        settings |= {key: entry[key] for key in ("threshold", "thresholds") if key in entry}
        if entry.get("strict_entities"):
            settings["strict_entities"] = True
        return settings

    def score_settings(self, task: str) -> dict[str, Any]:
        """The first metric of a task, by which layers are chosen, its positive class and its threshold."""
        settings = self.compare_settings(task)
        return {key: settings[key] for key in ("metrics", *ANSWER_KEYS) if key in settings}

    @property
    def probe_score_settings(self) -> dict[str, Any]:
        """Metrics by task, and positive classes and thresholds by the tasks for which the study names any."""
        of_tasks = {task: self.evaluate_settings(task) for task in self.tasks}
        keys = ("metrics", *ANSWER_KEYS)
        found = {key: {task: each[key] for task, each in of_tasks.items() if key in each} for key in keys}
        return {key: values for key, values in found.items() if values}

    def choice_settings(self, task: str) -> dict[str, Any]:
        """What a task's models are compared by: its first metric, and what says which answers count."""
        settings = self.compare_settings(task)
        return {key: settings[key] for key in ("metrics", *ANSWER_KEYS, "thresholds") if key in settings}

    def compare_settings(self, task: str) -> dict[str, Any]:
        """Settings of the comparison with the baseline, which is by the primary metric alone."""
        settings = self.evaluate_settings(task)
        return settings | {"metrics": settings["metrics"][:1]}

    def _train(self, task: str) -> dict[str, Any]:
        return {**self.config["train"], **_named(self.config["tasks"], task).get("train", {})}


def target_of(task: Mapping[str, Any]) -> str:
    """The kind of a task, by its entry in a study."""
    found: str = task["target"] if "target" in task else GLUE_TASKS[task["subset"]].target
    return found


def model_definition(entry: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What of a model's entry says which model it is, and how tasks (their entries) want it."""
    from shallower.task_kinds.registry import task_kind  # with numpy, which steps that read a study do not need

    definition = {key: value for key, value in entry.items() if key not in MODEL_USE_KEYS}
    if any(task_kind(target_of(task)).answers_with_vectors for task in tasks):
        definition["sentence_embedding"] = True
    return definition


def _without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a training, without weights of classes where it has none, so that these change no parameters."""
    return {key: value for key, value in settings.items() if (key, value) != ("class_weights", "none")}


def task_definition(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a task's entry says which data it is; not how the study uses it."""
    return {"name": entry.get("name")} | {key: value for key, value in entry.items() if key not in TASK_USE_KEYS}


def unlabelled_definition(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a task's entry says which texts without labels it has, and how they are read."""
    own = {key: entry[key] for key in UNLABELLED_KEYS if key in entry}
    return task_definition(entry) | own | (keys_of_test(entry) if has_test(entry) else {})


def has_test(entry: Mapping[str, Any]) -> bool:
    """Whether a task has test examples."""
    return any(key in entry for key in TEST_KEYS[:3])


def keys_of_test(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a task's entry says which its test examples are."""
    return {key: entry[key] for key in TEST_KEYS if key in entry}


def _named(entries: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)
