"""A study is checked as a whole, and what each step gets is only what concerns it."""

import copy
import re
from pathlib import Path

import pytest
import yaml

import tiny
from shallower.core.errors import StudyErrors
from shallower.study.study import SCHEMA_FILE, resolve_study

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A sound study of a package model of six layers, a task from files and a GLUE task."""
    folder = tmp_path_factory.mktemp("data")
    task = tiny.make_task_files(folder, rows_train=8, rows_validation=8)
    return {
        "study": "s",
        "models": [
            {"name": "m", "source": "package", "package": "p", "version": "1.0", "path": "p/model", "num_layers": 6}
        ],
        "tasks": [
            task,
            {"name": "mrpc", "source": "glue", "subset": "mrpc", "train": {"epochs": 5}},
        ],
        "origins": [{"name": "pretrained"}, {"name": "finetuned", "refine": {"epochs": 1}}],
        "strategies": [{"name": "top", "amounts": [1, 2]}, {"name": "custom", "amounts": [[3, 5]]}],
        "seeds": [1, 2],
        "refine": {"learning_rate": 1.0e-5},
    }


@pytest.fixture
def study(base):
    return copy.deepcopy(base)


def problems_of(study) -> list[str]:
    with pytest.raises(StudyErrors) as caught:
        resolve_study(study)
    return caught.value.problems


def test_defaults_are_the_papers_and_overlays_apply_in_order(study):
    resolved = resolve_study(study)
    assert resolved.train_settings("tiny") == {
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 5e-5,
        "weight_decay": 0.0,
        "warmup_ratio": 0.0,
        "max_grad_norm": 1.0,
    }
    assert resolved.max_length("tiny") == 128
    assert resolved.train_settings("mrpc")["epochs"] == 5
    assert resolved.refine_settings("mrpc", "pretrained")["epochs"] == 5
    assert resolved.refine_settings("mrpc", "finetuned")["epochs"] == 1
    assert resolved.refine_settings("mrpc", "finetuned")["learning_rate"] == 1e-5
    study["tasks"][1]["refine"] = {"epochs": 2}
    assert resolve_study(study).refine_settings("mrpc", "finetuned")["epochs"] == 2


def test_metrics_come_from_the_task_or_from_glue(study):
    resolved = resolve_study(study)
    assert resolved.evaluate_settings("tiny")["metrics"] == ["accuracy", "f1"]
    assert resolved.evaluate_settings("mrpc")["metrics"] == ["accuracy", "f1"]


def test_keys_tell_data_apart_but_not_its_use(study):
    before = resolve_study(study)
    study["tasks"][1]["train"] = {"epochs": 1}
    study["tasks"][1]["metrics"] = ["f1"]
    assert resolve_study(study).task_key("mrpc") == before.task_key("mrpc")
    study["tasks"][1]["train_examples"] = 100
    assert resolve_study(study).task_key("mrpc") != before.task_key("mrpc")


def test_amounts_come_back_from_their_labels(study):
    resolved = resolve_study(study)
    assert ["pretrained", "custom", "3.5", ["m"], ["tiny", "mrpc"]] in resolved.grid["arms"]
    assert resolved.amount("custom", "3.5") == [3, 5]
    assert len(resolved.runs) == 2 * (1 + 2 * 3) * 2


def test_entries_of_strategies_are_limited_to_models_tasks_and_origins(study):
    study["models"].append(study["models"][0] | {"name": "n", "num_layers": 12})
    study["strategies"] = [
        {"name": "top", "amounts": [2], "origins": ["finetuned"]},
        {"name": "top", "amounts": [8, 9], "models": ["n"], "tasks": ["mrpc"], "origins": ["pretrained"]},
    ]
    resolved = resolve_study(study)
    arms = {(run.model, run.task, run.arm) for run in resolved.runs if not run.is_baseline}
    assert arms == {
        *((model, task, "finetuned/top-2") for model in ("m", "n") for task in ("tiny", "mrpc")),
        *(("n", "mrpc", f"pretrained/top-{amount}") for amount in (8, 9)),
    }
    assert resolved.amount("top", "9") == 9


def test_a_task_can_have_its_own_seeds(study):
    study["tasks"][1]["seeds"] = [3]
    resolved = resolve_study(study)
    assert (resolved.seeds("tiny"), resolved.seeds("mrpc")) == ([1, 2], [3])
    assert {run.seed for run in resolved.runs if run.task == "mrpc"} == {3}


def test_counterparts_are_glues_own_or_as_given_and_no_part_of_what_is_downloaded(study):
    before = resolve_study(study)
    assert before.counterparts == {"models": {"m": None}, "tasks": {"tiny": None, "mrpc": "MRPC"}}
    study["models"][0]["counterpart"] = "DistilBERT"
    study["tasks"][0]["counterpart"] = "SST-2"
    study["tasks"][1]["counterpart"] = None
    after = resolve_study(study)
    assert after.counterparts == {"models": {"m": "DistilBERT"}, "tasks": {"tiny": "SST-2", "mrpc": None}}
    assert after.model_key("m") == before.model_key("m")
    assert after.task_key("mrpc") == before.task_key("mrpc")


def test_gradual_dropping_tunes_two_epochs_between_layers_unless_told_otherwise(study):
    study["origins"] = [{"name": "gradual"}]
    study["strategies"] = [{"name": "top", "amounts": [2]}]
    assert resolve_study(study).preparation_settings("mrpc", "gradual")["epochs"] == 2
    study["origins"] = [{"name": "gradual", "stage": {"epochs": 1, "batch_size": 4}}]
    settings = resolve_study(study).preparation_settings("mrpc", "gradual")
    assert (settings["epochs"], settings["batch_size"], settings["learning_rate"]) == (1, 4, 5e-5)


@pytest.mark.parametrize(
    "path", ["config.yaml", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "studies").glob("*.yaml"))]
)
def test_shipped_studies_are_sound(path):
    resolve_study(yaml.safe_load((ROOT / path).read_text()))


def test_the_tuned_study_differs_from_the_papers_in_training_only():
    paper, tuned = (
        yaml.safe_load((ROOT / "studies" / f"{name}.yaml").read_text()) for name in ("paper", "paper-tuned")
    )
    for study in (paper, tuned):
        del study["study"], study["train"]
        for task in study["tasks"]:
            task.pop("train", None)
    assert paper == tuned


def test_every_key_of_the_schema_is_described():
    schema = yaml.safe_load(SCHEMA_FILE.read_text())

    def described(rule):
        return "description" in rule or ("$ref" in rule and described(schema["$defs"][rule["$ref"].split("/")[-1]]))

    def undescribed(node, path):
        if isinstance(node, dict):
            for key, rule in node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ():
                if key not in ("name", "source", "sha256") and not described(rule):
                    yield f"{path}.{key}"
            for key, value in node.items():
                yield from undescribed(value, f"{path}.{key}")
        elif isinstance(node, list):
            for value in node:
                yield from undescribed(value, path)

    assert list(undescribed(schema, "schema")) == []


def change(path, value):
    """A change of the study at a path such as "train.epochs" or "tasks.0.name"; None removes the key."""

    def apply(study):
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in parents:
            study = study.setdefault(part, {}) if isinstance(study, dict) else study[part]
        if value is None:
            del study[last]
        else:
            study[last] = value

    return apply


BAD = [
    (change("studdy", "x"), r"study file: unknown key 'studdy'; did you mean 'study'\?"),
    (change("seeds", None), r"study file: missing 'seeds'; add it"),
    (change("study", "a/b"), r"study: 'a/b' is not allowed here"),
    (change("train.epochs", 0), r"train\.epochs: 0 is less than the minimum of 1"),
    (change("train.learning_rate", "2e-5"), r"train\.learning_rate: '2e-5' is not of type number.*write 2\.0e-05"),
    (change("train.epochs", "3"), r"train\.epochs: '3' is not of type integer.*write 3 without quotes"),
    (change("train.epochs", True), r"train\.epochs: True is not of type integer"),
    (change("refine.max_length", 64), r"refine: unknown key 'max_length'"),
    (change("tasks.1.train.epoch", 1), r"tasks\[1\] \(mrpc\)\.train: unknown key 'epoch'; did you mean 'epochs'"),
    (change("models.0.version", 1.0), r"models\[0\] \(m\)\.version: 1\.0 is not of type string"),
    (change("models.0.source", "hubb"), r"models\[0\] \(m\)\.source: unknown value 'hubb'; did you mean 'hub'"),
    (change("models.0.sha256", "abc"), r"sha256: 'abc' is not allowed here"),
    (
        change("models.0", {"name": "m", "source": "hub", "repository": "a/b", "revision": "main"}),
        r"revision: 'main' is not a commit; pin the revision by its 40 hexadecimal digits",
    ),
    (
        change("models.0", {"name": "m", "source": "local", "directory": "no/such"}),
        r"models\[0\] \(m\)\.directory: there is no folder no/such; correct",
    ),
    (change("models.0.name", "tables"), r"'tables' is one of the pipeline's own folders"),
    (change("models.0.name", "../x"), r"models\[0\] \(\.\./x\)\.name: '\.\./x' is not allowed here"),
    (change("tasks.1.name", "TINY"), r"tasks: the name 'tiny' is used more than once"),
    (change("tasks.1.subset", "mprc"), r"unknown value 'mprc'; did you mean 'mrpc'"),
    (change("tasks.0.label", "lable"), r"tasks\[0\] \(tiny\): .*lable"),
    (change("tasks.0.labels", ["bad", "fine"]), r"tasks\[0\] \(tiny\): .*'good'"),
    (change("tasks.0.labels", None), r"missing 'labels'; list the names of the classes"),
    (change("tasks.0.metrics", ["pearson"]), r"metrics: pearson does not suit classification"),
    (change("tasks.0.train_file", "no.csv"), r"tasks\[0\] \(tiny\): .*no\.csv"),
    (change("strategies.0.name", "tops"), r"unknown strategy 'tops'; did you mean 'top'\?"),
    (change("strategies.0.amounts", [6]), r"6 of 6 layers cannot be dropped.*\(model m\)"),
    (change("strategies.0.amounts", [1, 1]), r"strategies\[0\] \(top\)\.amounts: 1 is listed more than once"),
    (change("strategies.0", {"name": "symmetric", "amounts": [3]}), r"leave 3.*write an even number"),
    (change("strategies.0.amounts", ["2"]), r"amounts\[0\]: '2' is not of type .*write 2 without quotes"),
    (change("strategies.1.amounts", [[6]]), r"there is no layer 6"),
    (change("strategies.0.models", ["n"]), r"strategies\[0\] \(top\)\.models: unknown model 'n'; .*known: m"),
    (change("strategies.0.tasks", ["mrcp"]), r"unknown task 'mrcp'; did you mean 'mrpc'\?"),
    (change("strategies.0.origins", ["gradual"]), r"unknown origin 'gradual'"),
    (
        change("strategies.1", {"name": "top", "amounts": [2], "tasks": ["mrpc"]}),
        r"strategies\[1\] \(top\)\.amounts: 2 stands in strategies\[0\] too",
    ),
    (
        change("origins.0", {"name": "gradual"}),
        r"strategies\[1\] \(custom\): origin gradual needs a number of layers, but",
    ),
    (change("origins.0.stage", {"epochs": 1}), r"origins\[0\] \(pretrained\)\.stage: only for gradual; remove the key"),
    (change("tasks.1.seeds", [1, 1]), r"tasks\[1\] \(mrpc\)\.seeds: 1 is listed more than once"),
    (change("seeds", [1, 1]), r"seeds: 1 is listed more than once"),
    (change("origins.1.name", "pretrained"), r"origins: the name 'pretrained' is used more than once"),
]


@pytest.mark.parametrize(("apply", "told"), BAD, ids=[told for _, told in BAD])
def test_what_is_wrong_is_told_with_its_place_and_cure(study, apply, told):
    apply(study)
    problems = problems_of(study)
    assert problems
    assert all(re.search(told, problem) for problem in problems), problems


def test_problems_are_told_together(study):
    study["strategies"][0]["amounts"] = [7]
    study["seeds"] = [1, 1]
    study["tasks"][0]["train_file"] = "no.csv"
    assert len(problems_of(study)) == 3


def test_nothing_at_all():
    assert "missing 'study', 'models', 'tasks', 'origins', 'strategies', 'seeds'" in problems_of({})[0]
