"""What is wrong with a study is reported all at once, each problem with its place and what to write instead."""

import copy
import re
from pathlib import Path

import pytest
import yaml

import tiny
from shallower.core.errors import StudyErrors
from shallower.study.resolve import resolve_study
from shallower.study.settings import StudySettings

ROOT = Path(__file__).parents[3]


def problems_of(study) -> list[str]:
    with pytest.raises(StudyErrors) as caught:
        resolve_study(study)
    return caught.value.problems


@pytest.mark.parametrize(
    "path", ["config.yaml", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "studies").glob("*.yaml"))]
)
def test_shipped_studies_are_sound(path, tmp_path):
    study = yaml.safe_load((ROOT / path).read_text())
    for model in study["models"]:
        if model["source"] == "local":  # a folder of the user's
            model["directory"] = str(tiny.make_model(tmp_path / model["name"], "bert", num_layers=model["num_layers"]))
    resolve_study(study)


def test_within_a_job_data_and_models_are_not_looked_into_again(study, monkeypatch):
    expected = resolve_study(study)
    for name in ("check_task", "check_model", "known_config"):
        monkeypatch.setattr(f"shallower.study.checks.{name}", lambda *_: pytest.fail("looked into again"))
    assert resolve_study(study, is_checked=True) == expected


def test_the_tuned_study_differs_from_the_papers_in_training_only():
    paper, tuned = (
        yaml.safe_load((ROOT / "studies" / f"{name}.yaml").read_text()) for name in ("paper", "paper-tuned")
    )
    for study in (paper, tuned):
        del study["study"], study["train"]
        for task in study["tasks"]:
            task.pop("train", None)
    assert paper == tuned


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
    (change("kept_weights", "bf16"), r"study file: unknown key 'kept_weights'; did you mean 'pruned_dtype'\?"),
    (change("train.weight_decay", 10**400), r"train\.weight_decay: 1000.*is not finite; write a finite number"),
    (change("study", "s\n"), r"study: 's\\n' is not allowed here; write letters"),
    (change("models.0.source", None), r"models\[0\] \(m\): missing 'source'; add it"),
    (change("studdy", "x"), r"study file: unknown key 'studdy'; did you mean 'study'\?"),
    (change("seeds", None), r"study file: missing 'seeds'; add it"),
    (change("study", "a/b"), r"study: 'a/b' is not allowed here"),
    (change("train.epochs", -1), r"train\.epochs: -1 is less than the minimum of 0"),
    (change("train.learning_rate", "2e-5"), r"train\.learning_rate: '2e-5' is not a number.*write 2\.0e-05"),
    (change("train.epochs", "3"), r"train\.epochs: '3' is not a whole number.*write 3 without quotes"),
    (change("train.epochs", True), r"train\.epochs: True is not a whole number"),
    (change("refine.max_length", 64), r"refine: unknown key 'max_length'"),
    (change("tasks.1.train.epoch", 1), r"tasks\[1\] \(mrpc\)\.train: unknown key 'epoch'; did you mean 'epochs'"),
    (change("models.0.version", 1.0), r"models\[0\] \(m\)\.version: 1\.0 is not text"),
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
    (change("models.0.name", "tables"), r"'tables' is one of the pipeline's own files"),
    (change("models.0.name", "../x"), r"models\[0\] \(\.\./x\)\.name: '\.\./x' is not allowed here"),
    (change("tasks.1.name", "TINY"), r"tasks: the name 'tiny' is used more than once"),
    (change("tasks.1.subset", "mprc"), r"unknown value 'mprc'; did you mean 'mrpc'"),
    (change("tasks.0.label", "lable"), r"tasks\[0\] \(tiny\): .*lable"),
    (change("tasks.0.labels", ["bad", "fine"]), r"tasks\[0\] \(tiny\): .*'good'"),
    (change("tasks.0.labels", None), r"missing 'labels'; list the names of the classes"),
    (change("tasks.0.metrics", ["pearson"]), r"metrics: pearson does not suit classification"),
    (change("tasks.0.train_file", "no.csv"), r"tasks\[0\] \(tiny\): .*no\.csv"),
    (
        change("strategies.0.name", "subset-readout"),
        r"this strategy chooses .* none of tiny and mrpc; add",
    ),
    (change("strategies.0.name", "tops"), r"unknown strategy 'tops'; did you mean 'top'\?"),
    (change("strategies.0.amounts", [6]), r"6 of 6 layers cannot be dropped.*\(model m\)"),
    (change("strategies.0.amounts", [1, 1]), r"strategies\[0\] \(top\)\.amounts: 1 is listed more than once"),
    (change("strategies.0", {"name": "symmetric", "amounts": [3]}), r"leave 3.*write an even number"),
    (change("strategies.0.amounts", ["2"]), r"amounts\[0\]: '2' is not a number.*write 2 without quotes"),
    (change("strategies.1.amounts", [[6]]), r"there is no layer 6"),
    (change("strategies.0.models", ["n"]), r"strategies\[0\] \(top\)\.models: unknown model 'n'; .*known: m"),
    (change("strategies.0.tasks", ["mrcp"]), r"unknown task 'mrcp'; did you mean 'mrpc'\?"),
    (change("strategies.0.origins", ["gradual"]), r"unknown origin 'gradual'"),
    (
        change("strategies.1", {"name": "top", "amounts": [2], "tasks": ["mrpc"]}),
        r"strategies\[1\] \(top\)\.amounts: 2 is in strategies\[0\] too",
    ),
    (
        change("origins.0", {"name": "gradual"}),
        r"strategies\[1\] \(custom\): origin gradual needs a number of layers",
    ),
    (
        change("origins.0.stage", {"epochs": 1}),
        r"origins\[0\] \(pretrained\)\.stage: is only for the origin 'gradual'; remove the key",
    ),
    (change("tasks.1.seeds", [1, 1]), r"tasks\[1\] \(mrpc\)\.seeds: 1 is listed more than once"),
    (change("seeds", [1, 1]), r"seeds: 1 is listed more than once"),
    (change("origins.1.name", "pretrained"), r"origins: the name 'pretrained' is used more than once"),
]


@pytest.mark.parametrize(("apply", "expected"), BAD, ids=[expected for _, expected in BAD])
def test_each_problem_is_reported_with_its_place_and_remedy(study, apply, expected):
    apply(study)
    problems = problems_of(study)
    assert problems
    assert all(re.search(expected, problem) for problem in problems), problems


def test_problems_of_every_kind_are_reported_together(study):
    study["models"].append({"name": "n", "source": "hub", "repository": "someone/model", "num_layers": 4})
    study["strategies"][0] |= {"name": "tops", "tasks": ["mrcp"]}
    study["strategies"].append({"name": "bottom", "amounts": [5]})
    study["tasks"][0]["train_file"] = "no.csv"
    study["train"] = {"learning_rate": "2e-5"}
    study["sedes"] = [1]
    assert [problem.split("'? known:")[0] for problem in problems_of(study)] == [
        "study file: unknown key 'sedes'; did you mean 'seeds",
        "models[1] (n): missing 'revision'; add it",
        "strategies[0] (tops).name: unknown strategy 'tops'; did you mean 'top",
        "train.learning_rate: '2e-5' is not a number; YAML reads this as text: write 2.0e-05 without quotes",
        "strategies[0] (tops).tasks: unknown task 'mrcp'; did you mean 'mrpc",
        "strategies[1] (custom).amounts: [3, 5]: there is no layer 5; the 4 layers are 0 to 3 (model n)",
        "strategies[2] (bottom).amounts: 5 of 4 layers cannot be dropped; drop at most 3 (model n)",
        "tasks[0] (tiny): no.csv: file not found",
    ]


def test_a_malformed_part_is_not_reported_twice(study):
    """What concerns a malformed value waits until it is well-formed; all else is checked."""
    study["tasks"][0] |= {"labels": ["bad", False], "train": {"epochs": -1}}
    study["models"][0] |= {"name": "a b", "num_layers": 1}
    study["strategies"][0] |= {"models": ["a b"], "amounts": [1, "2", 2, 1]}
    assert [problem.split(": ")[0] for problem in problems_of(study)] == [
        "models[0] (a b).name",
        "models[0] (a b).num_layers",
        "strategies[0] (top).amounts[1]",
        "tasks[0] (tiny).labels[1]",
        "tasks[0] (tiny).train.epochs",
        "strategies[0] (top).amounts",  # 1 is there twice
    ]


@pytest.mark.parametrize("part", sorted({*StudySettings.model_fields} - {"strategies"}))
def test_no_malformed_part_hides_what_is_wrong_with_others(study, part):
    study["strategies"][0]["name"] = "tops"
    study["tasks"][0]["train_file"] = "no.csv"
    expected = {"strategies[0] (tops).name", "tasks[0] (tiny)"} - ({"tasks[0] (tiny)"} if part == "tasks" else set())
    for value in (None, 5, "-", [], [None], [[]], {}, {"name": []}, [{"name": {}}], [{"source": "hub"}], {3: 4}):
        places = [problem.split(": ")[0] for problem in problems_of(study | {part: value})]
        assert expected <= {*places}, value


def test_names_are_compared_only_where_all_of_them_are_known(study):
    study["strategies"][0] |= {"models": ["n"], "tasks": ["u"], "origins": ["gradual"]}
    del study["models"][0]["name"]
    study["tasks"] = "tiny"
    assert [problem.split(": ")[0] for problem in problems_of(study)] == [
        "models[0]",
        "tasks",
        "strategies[0] (top).origins",
    ]


def test_many_problems_are_in_the_order_of_their_places(study):
    study["seeds"] = [-1] * 12
    assert [problem.split(":")[0] for problem in problems_of(study)] == [f"seeds[{index}]" for index in range(12)]


def test_several_unknown_keys_of_a_mapping_are_one_problem(study):
    study["probe"] = {"examples": 1, 5: 2, None: 3}
    assert problems_of(study) == [
        "probe: unknown keys '5', 'None', 'examples' (did you mean 'train_examples'?); known: train_examples"
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "study file: missing 'study', 'models', 'tasks', 'origins', 'strategies', 'seeds'; add them"),
        ([], "study file: [] is not a mapping of keys to values"),
        (None, "study file: None is not a mapping of keys to values; write a value, or remove the key"),
        ({"\ud800": 1}, "study file: '\\ud800' holds half of a surrogate pair, which is no text; remove it"),
    ],
)
def test_what_is_no_study_at_all(config, expected):
    assert problems_of(config) == [expected]


def test_defaults_are_filled_in_and_entries_stay_as_written(study):
    study["models"][0]["counterpart"] = "DistilBERT"
    study["origins"].append({"name": "gradual", "stage": {"batch_size": 4}})
    study["strategies"][1]["origins"] = ["pretrained"]
    study["train"] = {"learning_rate": 1}
    before = copy.deepcopy(study)
    resolved = resolve_study(study)
    assert study == before
    assert resolved.config == {
        **study,
        "tasks": [
            study["tasks"][0],
            {"metrics": ["accuracy", "f1"], "directory": None, "counterpart": "MRPC", **study["tasks"][1]},
        ],
        "origins": [*study["origins"][:2], {"name": "gradual", "stage": {"epochs": 2, "batch_size": 4}}],
        "glue_directory": None,
        "parameter_scores": {"weights": "output-matrix"},
        "probe": {"train_examples": 5000},
        "reproduction": False,
        "oracle": False,
        "train": {
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 1,
            "weight_decay": 0.0,
            "warmup_ratio": 0.0,
            "max_grad_norm": 1.0,
            "max_length": 128,
        },
        "evaluate": {"confidence": 0.95, "bootstrap_samples": 1000},
        "calibration": None,
        "budget": None,
        "deliver": None,
        "subsets": {"layer_evaluations": 4095},
        "race": {"shortlist": 8, "epochs": 1},
        "measure": {"batch_sizes": [1, 32], "sequence_length": 64, "task": None, "repeats": 20, "texts": 32},
        "report": {
            "tolerances": [1, 2, 3],
            "warn_above": {"unknown_tokens": 5, "cut_texts": 20, "common_rows": 1},
        },
        "compute": {
            "device": "auto",
            "precision": "auto",
            "threads": 1,
            "runs_per_gpu": 1,
            "checkpoint_seconds": 60,
        },
        "keep_models": True,
        "pruned_dtype": "fp32",
    }
    assert type(resolved.config["train"]["learning_rate"]) is int
    assert {type(tolerance) for tolerance in resolved.config["report"]["tolerances"]} == {int}


def test_a_budget_has_its_limits_and_the_smallest_batch_size_for_a_time(study):
    assert resolve_study({**study, "budget": {"layers": 5}}).config["budget"] == {"layers": 5}
    timed = {**study, "budget": {"latency_ms": 4.5}, "measure": {"batch_sizes": [32, 2]}}
    assert resolve_study(timed).config["budget"] == {"latency_ms": 4.5, "batch_size": 2}
    timed["budget"] = {"latency_ms": 4.5, "batch_size": 32}
    assert resolve_study(timed).config["budget"] == {"latency_ms": 4.5, "batch_size": 32}


def test_folders_of_models_and_tasks_stay_the_same(study):
    """Another key would download the model again and repeat every run."""
    resolved = resolve_study(study)
    assert (resolved.model_key("m"), resolved.task_key("mrpc")) == ("m-3bdbce66", "mrpc-67a35a96")
