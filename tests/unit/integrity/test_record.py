"""The record of a study: what it says, and which files it lists."""

import hashlib
import json
from pathlib import Path

import pytest

from shallower.core.code_digest import code_digest, code_files
from shallower.core.runs import BASELINE, NO_AMOUNT, NO_STRATEGY, Run
from shallower.integrity.record import record_study
from shallower.study.study import Study

LIBRARY = Path(__file__).parents[3] / "workflow"
TASK = {"name": "t", "target": "classification"}
RUNS = [
    Run("s", "m", "t", BASELINE, NO_STRATEGY, NO_AMOUNT, 1),
    Run("s", "m", "t", "gradual", "top", "2", 1),
]


def make_study(folder: Path, keep_models: bool = True) -> Study:
    """Files like those of a finished study below a folder."""
    study = Study(
        {
            "study": "s",
            "models": [{"name": "m"}],
            "tasks": [TASK],
            "origins": [{"name": "gradual"}],
            "strategies": [{"name": "top", "amounts": [2]}],
            "seeds": [1],
            "train": {"max_length": 8, "epochs": 1},
            "refine": {},
            "keep_models": keep_models,
        }
    )
    for run in RUNS:
        for name in ("layers.json", "manifest.json", "model.safetensors", "metrics.json"):
            write(folder / run.directory / name, json.dumps({"arm": run.arm}))
    results = folder / "results/s"
    write(results / "m/t/gradual/top-2/seed1/stage0/manifest.json", json.dumps({"stage": 0}))
    for name in (
        "study.json",
        "runs.csv",
        "results.csv",
        "m/cost.json",
        "m/t/reloaded.csv",
        "figures/m/t/a.png",
        "m/t/gradual/top-2/comparison.json",
    ):
        write(results / name, name)
    for place in (f"models/{study.model_key('m')}", f"tasks/{study.task_key('t')}"):
        write(folder / "resources" / place / "manifest.json", json.dumps({"made": place}))
    return study


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def listed(folder: Path) -> dict[str, str]:
    lines = (folder / "results/s/SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def record(study: Study, folder: Path) -> dict:
    record_study(study, LIBRARY, folder)
    return json.loads((folder / "results/s/provenance.json").read_text())


def test_the_record_says_what_made_the_study(tmp_path: Path):
    study = make_study(tmp_path)
    said = record(study, tmp_path)
    assert said["study"] == study.config
    key = study.model_key("m")
    assert said["models"] == {"m": {"key": key, "manifest": {"made": f"models/{key}"}}}
    assert [run["folder"] for run in said["runs"]] == ["m/t/baseline/seed1", "m/t/gradual/top-2/seed1"]
    assert said["runs"][1]["manifest"]["arm"] == "gradual/top-2"
    assert said["runs"][1]["before"] == {"stage0": {"stage": 0}}
    assert said["tokens"] == {}
    script = LIBRARY / "scripts/finetune.py"
    assert said["code"]["steps"]["finetune"] == code_digest(code_files(script, LIBRARY), LIBRARY)
    assert {"torch", "snakemake"} <= set(said["packages"])


def test_calibration_examples_that_layers_are_chosen_on_are_recorded(tmp_path: Path):
    study = make_study(tmp_path)
    study = Study({**study.config, "calibration": {"examples": 30}, "tasks": [TASK | {"train_examples": 9}]})
    key = study.task_key("t")
    write(tmp_path / f"resources/tasks/{key}/manifest.json", json.dumps({"made": "t"}))
    assert record(study, tmp_path)["calibration"] == {}
    entry = {"name": "subset-readout", "amounts": [2], "origins": ["gradual"]}
    study = Study({**study.config, "strategies": [*study.config["strategies"], entry]})
    write(tmp_path / f"resources/tasks/{key}/calibration30/manifest.json", json.dumps({"seed": 0}))
    tokens = f"tokens/{study.model_key('m')}/{key}/length8/calibration30/calibration.safetensors"
    write(tmp_path / "resources" / tokens, "tokens")
    for name in ("layers.json", "manifest.json"):
        write(tmp_path / f"results/s/m/t/gradual/subset-readout-2/seed1/{name}", "{}")
    said = record(study, tmp_path)
    assert said["calibration"] == {
        "t": {"folder": f"tasks/{key}/calibration30", "manifest": {"seed": 0}, "tokens": [tokens]}
    }
    assert said["tokens"] == {tokens: hashlib.sha256(b"tokens").hexdigest()}


def test_texts_without_labels_are_recorded_where_a_run_is_taught(tmp_path: Path):
    study = make_study(tmp_path)
    task = TASK | {"unlabelled_file": "new.csv"}
    study = Study({**study.config, "tasks": [task], "refine": {}})
    assert record(study, tmp_path)["unlabelled"] == {}
    study = Study({**study.config, "refine": {"distill": {}}})
    key, folder = study.task_key("t"), f"unlabelled-{study.unlabelled_key('t')}"
    write(tmp_path / f"resources/tasks/{key}/{folder}/manifest.json", json.dumps({"seed": 0}))
    tokens = f"tokens/{study.model_key('m')}/{key}/length8/{folder}/unlabelled.safetensors"
    write(tmp_path / "resources" / tokens, "tokens")
    said = record(study, tmp_path)
    assert said["unlabelled"] == {"t": {"folder": f"tasks/{key}/{folder}", "manifest": {"seed": 0}, "tokens": [tokens]}}
    assert said["tokens"] == {tokens: hashlib.sha256(b"tokens").hexdigest()}


def test_texts_that_are_made_for_a_teacher_are_recorded_by_their_tokens(tmp_path: Path):
    study = make_study(tmp_path)
    study = Study({**study.config, "refine": {"distill": {"augment": {"copies": 2}}}})
    folder = f"tokens/{study.model_key('m')}/{study.task_key('t')}/length8/augmented-{study.augmentation_key('t')}"
    write(tmp_path / "resources" / folder / "augmented.safetensors", "tokens")
    said = record(study, tmp_path)
    assert said["unlabelled"] == {"t": {"tokens": [f"{folder}/augmented.safetensors"]}}
    assert said["tokens"] == {f"{folder}/augmented.safetensors": hashlib.sha256(b"tokens").hexdigest()}


def test_test_examples_are_recorded_where_a_task_has_them(tmp_path: Path):
    study = make_study(tmp_path)
    left = [
        *("test-results.csv", "test-resamples.parquet", "test-texts.json"),
        *(f"{run.directory.removeprefix('results/s/')}/test/metrics.json" for run in study.runs),
    ]
    for name in left:
        write(tmp_path / "results/s" / name, "{}")
    # What an earlier version of the study had is no part of it.
    assert "test" not in record(study, tmp_path)
    assert not {*left} & {*listed(tmp_path)}
    study = Study({**study.config, "tasks": [TASK | {"test_file": "test.csv"}]})
    key, folder = study.task_key("t"), f"test-{study.test_key('t')}"
    write(tmp_path / f"resources/tasks/{key}/{folder}/manifest.json", json.dumps({"seed": 0}))
    tokens = f"tokens/{study.model_key('m')}/{key}/length8/{folder}/test.safetensors"
    write(tmp_path / "resources" / tokens, "tokens")
    said = record(study, tmp_path)
    assert said["test"] == {"t": {"folder": f"tasks/{key}/{folder}", "manifest": {"seed": 0}, "tokens": [tokens]}}
    assert said["tokens"] == {tokens: hashlib.sha256(b"tokens").hexdigest()}
    assert {*left} <= {*listed(tmp_path)}


def test_tokens_that_are_there_are_recorded(tmp_path: Path):
    study = make_study(tmp_path)
    name = f"tokens/{study.model_key('m')}/{study.task_key('t')}/length8/train.safetensors"
    write(tmp_path / "resources" / name, "tokens")
    assert record(study, tmp_path)["tokens"] == {name: hashlib.sha256(b"tokens").hexdigest()}


def test_every_file_of_the_study_is_listed_with_its_hash(tmp_path: Path):
    record(make_study(tmp_path), tmp_path)
    results = tmp_path / "results/s"
    files = {path.relative_to(results).as_posix(): path for path in results.rglob("*") if path.is_file()}
    del files["SHA256SUMS"]
    assert listed(tmp_path) == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


@pytest.mark.parametrize(
    "name",
    [
        "m/t/finetuned/top-1/seed1/metrics.json",  # a run of an earlier version of the study
        "m/t/gradual/top-2/seed2/model.safetensors",
        "m/t/finetuned/top-1/comparison.json",
        "figures/m/other/a.png",
        "other/cost.json",
        "m/t/gradual/top-2/seed1/dropped/model.safetensors",  # kept by --notemp
        "m/t/gradual/top-2/seed1/dropped/manifest.json",
        "m/t/gradual/top-2/seed1/stage1/dropped/manifest.json",
        "m/t/gradual/top-2/seed1/stage0/config.json",
        "provenance.html",  # Snakemake's own report
    ],
)
def test_what_is_not_of_the_study_is_not_listed(name: str, tmp_path: Path):
    study = make_study(tmp_path)
    write(tmp_path / "results/s" / name, "")
    record(study, tmp_path)
    assert name not in listed(tmp_path)
    assert "m/t/gradual/top-2/seed1/stage0/manifest.json" in listed(tmp_path)


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("reproduction", {"paper/table-2.html", "paper/observations.csv", "states.csv", "scores.csv"}),
        ("oracle", {"oracle/oracle.html"}),
    ],
)
def test_what_a_study_had_once_is_not_listed(key: str, names: set[str], tmp_path: Path):
    study = make_study(tmp_path)
    for name in names:
        write(tmp_path / "results/s" / name, "of an earlier version")
    record(study, tmp_path)
    assert names.isdisjoint(listed(tmp_path))
    record(Study({**study.config, key: True}), tmp_path)
    assert names <= {*listed(tmp_path)}


def test_what_is_recommended_belongs_to_a_study_with_a_budget(tmp_path: Path):
    study = make_study(tmp_path)
    write(tmp_path / "results/s/recommended.csv", "of an earlier version")
    record(study, tmp_path)
    assert "recommended.csv" not in listed(tmp_path)
    record(Study({**study.config, "budget": {"layers": 2}}), tmp_path)
    assert "recommended.csv" in listed(tmp_path)


def test_models_that_are_not_kept_are_not_listed(tmp_path: Path):
    record(make_study(tmp_path, keep_models=False), tmp_path)
    assert not any(name.endswith("model.safetensors") for name in listed(tmp_path))
