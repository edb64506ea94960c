"""The record of a study: what it says, and which files it lists."""

import csv
import hashlib
import json
from pathlib import Path

import pytest

from shallower.core.code_digest import code_digest, code_files
from shallower.integrity.record import record_study

LIBRARY = Path(__file__).parents[3] / "workflow"
FIELDS = ("study", "model", "task", "origin", "strategy", "amount", "seed", "directory")


def make_study(folder: Path, keep_models: bool = True) -> tuple[Path, dict, list[Path]]:
    """A folder like that of a finished study: its path, its settings, and manifests of its model and task."""
    results = folder / "results/s"
    runs = []
    for arm in ("baseline", "gradual/top-2"):
        directory = f"results/s/m/t/{arm}/seed1"
        origin, _, rest = arm.partition("/")
        strategy, _, amount = rest.partition("-")
        runs.append(("s", "m", "t", origin, strategy or "none", amount or "0", "1", directory))
        for name in ("layers.json", "manifest.json", "model.safetensors", "metrics.json"):
            write(folder / directory / name, json.dumps({"arm": arm, "settings": {"max_length": 8}}))
    write(results / "m/t/gradual/top-2/seed1/stage0/manifest.json", json.dumps({"stage": 0}))
    for name in (
        "results.csv",
        "m/cost.json",
        "m/t/reloaded.csv",
        "figures/m/t/a.png",
        "m/t/gradual/top-2/comparison.json",
    ):
        write(results / name, name)
    with (results / "runs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([FIELDS, *runs])
    manifests = [folder / f"resources/{kind}/x/manifest.json" for kind in ("models", "tasks")]
    for path, name in zip(manifests, "mt", strict=True):
        write(path, json.dumps({"source": {"name": name}, "sha256": {}}))
    return results, {"study": "s", "keep_models": keep_models}, manifests


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def listed(results: Path) -> dict[str, str]:
    lines = (results / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def record(results, config, manifests):
    record_study(results, config, manifests[:1], manifests[1:], LIBRARY)
    return json.loads((results / "provenance.json").read_text())


def test_the_record_says_what_made_the_study(tmp_path: Path):
    results, config, manifests = make_study(tmp_path)
    said = record(results, config, manifests)
    assert said["study"] == config
    assert said["models"]["m"] == {
        "folder": (tmp_path / "resources/models/x").as_posix(),
        "manifest": {"source": {"name": "m"}, "sha256": {}},
    }
    assert [run["folder"] for run in said["runs"]] == ["m/t/baseline/seed1", "m/t/gradual/top-2/seed1"]
    assert said["runs"][1]["manifest"]["arm"] == "gradual/top-2"
    assert said["runs"][1]["before"] == {"stage0": {"stage": 0}}
    assert said["tokens"] == {}
    script = LIBRARY / "scripts/finetune.py"
    assert said["code"]["steps"]["finetune"] == code_digest(code_files(script, LIBRARY), LIBRARY)
    assert {"torch", "snakemake"} <= set(said["packages"])


def test_tokens_that_are_there_are_recorded(tmp_path: Path):
    results, config, manifests = make_study(tmp_path)
    file = tmp_path / "resources/tokens/x/x/length8/train.safetensors"
    write(file, "tokens")
    assert record(results, config, manifests)["tokens"] == {file.as_posix(): hashlib.sha256(b"tokens").hexdigest()}


def test_every_file_of_the_study_is_listed_with_its_hash(tmp_path: Path):
    results, config, manifests = make_study(tmp_path)
    record(results, config, manifests)
    files = {path.relative_to(results).as_posix(): path for path in results.rglob("*") if path.is_file()}
    del files["SHA256SUMS"]
    assert listed(results) == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


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
    results, config, manifests = make_study(tmp_path)
    write(results / name, "")
    record(results, config, manifests)
    assert name not in listed(results)
    assert "m/t/gradual/top-2/seed1/stage0/manifest.json" in listed(results)


def test_models_that_are_not_kept_are_not_listed(tmp_path: Path):
    results, config, manifests = make_study(tmp_path, keep_models=False)
    record(results, config, manifests)
    assert not any(name.endswith("model.safetensors") for name in listed(results))
