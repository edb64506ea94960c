"""make verify: a sound study passes; whatever was changed, added or taken is named."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rerun_cases import BASE, RUN, append, byte_flipped, deleted, in_turn, replaced

from project import Project
from shallower.core.errors import UserError
from shallower.integrity.publish import publish_study
from shallower.integrity.record import record_study
from shallower.integrity.verify import verify
from shallower.study.study import Study

FROZEN = "results/tiny/bert/tiny/finetuned-frozen/top-1/seed1"


def swapped(first: str, second: str, *names: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        for name in names:
            one, other = project.folder / first / name, project.folder / second / name
            one.rename(other.with_suffix(".swap"))
            other.rename(one)
            other.with_suffix(".swap").rename(other)

    return change


def in_resources(pattern: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        [path] = project.folder.glob(f"resources/{pattern}")
        byte_flipped(str(path.relative_to(project.folder)))(project)

    return change


def recorded_again(project: Project) -> None:
    """Put the study as it is on record, so that every hash is right."""
    record_study(Study.read(project.folder / "results/tiny/study.json"), project.folder / "workflow", project.folder)


def edited_manifest(path: str, **changes: str) -> Callable[[Project], None]:
    """Change digests in a manifest."""

    def change(project: Project) -> None:
        file = project.folder / path
        manifest = json.loads(file.read_text())
        manifest["sha256"].update(changes)
        file.write_text(json.dumps(manifest))

    return change


FAULTS = {
    "a byte of weights": (
        byte_flipped(f"{RUN}/model.safetensors", keep_time=True),
        ["changed: ", "/model.safetensors"],
    ),
    "scores": (
        replaced(f"{RUN}/metrics.json", '"value": ', '"value": 1'),
        ["changed: ", "finetuned/top-1/seed1/metrics.json"],
    ),
    "a figure": (
        deleted("results/tiny/figures/bert/tiny/score-by-cost.svg"),
        [
            "missing: figures/bert/tiny/score-by-cost.svg",
            ": snakemake --cores all --forcerun results/tiny/figures/bert/tiny/score-by-cost.svg (and",
        ],
    ),
    "the record": (
        append("results/tiny/provenance.json", "\n"),
        ["changed: provenance.json", "snakemake --cores all --forcerun record_study (and your --configfile)"],
    ),
    "a new file": (
        append("results/tiny/tables/own.csv", "x"),
        ["unknown: tables/own.csv", "newer than the record of the study"],
    ),
    "a run that the study does not have": (
        append("results/tiny/bert/own.csv", "x"),
        ["unknown: bert/own.csv", "not part of this study"],
    ),
    "swapped models": (
        swapped(RUN, FROZEN, "model.safetensors"),
        ["changed: bert/tiny/finetuned/top-1/seed1/model", "changed: bert/tiny/finetuned-frozen/top-1/seed1/model"],
    ),
    # What follows is on record as if it had been made so: hashes are right, and the chain is not.
    "swapped models, recorded": (
        in_turn(swapped(RUN, FROZEN, "model.safetensors"), recorded_again),
        [
            "wrong weights: bert/tiny/finetuned/top-1/seed1/model",
            "wrong weights: bert/tiny/finetuned-frozen/top-1/seed1/model",
        ],
    ),
    "swapped runs, recorded": (
        in_turn(swapped(RUN, FROZEN, "model.safetensors", "manifest.json"), recorded_again),
        [
            "wrong starting weights: bert/tiny/finetuned/top-1/seed1/manifest.json",
            "wrong starting weights: bert/tiny/finetuned-frozen/top-1",
        ],
    ),
    "another baseline, recorded": (
        in_turn(
            byte_flipped(f"{BASE}/model.safetensors"),
            edited_manifest(f"{BASE}/manifest.json", **{"model.safetensors": "0" * 64}),
            recorded_again,
        ),
        [
            "wrong weights: bert/tiny/baseline",
            "wrong starting weights: bert/tiny/finetuned/top-1",
            "wrong starting weights: bert/tiny/finetuned/bottom-2",
        ],
    ),
    "other data of a run, recorded": (
        in_turn(edited_manifest(f"{RUN}/manifest.json", task="0" * 64), recorded_again),
        ["wrong data: bert/tiny/finetuned/top-1/seed1/manifest.json"],
    ),
    "data": (in_resources("tasks/*/train.parquet"), ["changed: ", "train.parquet"]),
    "tokens": (in_resources("tokens/*/*/*/train.safetensors"), ["changed: ", "length32/train.safetensors"]),
    "tokens, recorded": (
        in_turn(in_resources("tokens/*/*/*/train.safetensors"), recorded_again),
        ["wrong tokens: bert/tiny/baseline/seed1/manifest.json"],
    ),
    "a downloaded model": (in_resources("models/*/model.safetensors"), ["changed: ", "resources/models/bert"]),
}


@pytest.fixture
def project(finished_project, tmp_path: Path, monkeypatch) -> Project:
    project = finished_project.copy(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    return project


def test_a_sound_study_passes(project):
    files = [path for path in Path("results/tiny").rglob("*") if path.is_file()]
    # But for SHA256SUMS itself; of models, tasks and tokens 4, 3 and 2.
    assert verify("results/tiny", "resources") == len(files) - 1 + 4 + 3 + 2


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_named(name: str, project):
    change, expected = FAULTS[name]
    change(project)
    with pytest.raises(UserError) as caught:
        verify("results/tiny", "resources")
    faults = str(caught.value).splitlines()[1:]
    for text in expected:
        assert any(text in fault for fault in faults), faults
    kinds = {text.split(":")[0] for text in expected if ": " in text}
    assert all(fault.strip().split(":")[0] in kinds for fault in faults), faults


TAUGHT = "results/tiny/xlnet/tiny/finetuned/top-1/seed1/manifest.json"


def edited_source(**changes: str) -> Callable[[Project], None]:
    """Change digests of the texts without labels that a run was made from."""

    def change(project: Project) -> None:
        manifest = json.loads((project.folder / TAUGHT).read_text())
        manifest["unlabelled_made_from"]["sha256"].update(changes)
        (project.folder / TAUGHT).write_text(json.dumps(manifest))

    return change


FAULTS_WITHOUT_LABELS = {
    "texts": (in_resources("tasks/*/*/unlabelled.parquet"), ["changed: ", "unlabelled.parquet"]),
    "tokens": (in_resources("tokens/xlnet-*/*/*/*/unlabelled.safetensors"), ["changed: ", "unlabelled.safetensors"]),
    "texts of a run, recorded": (
        in_turn(edited_source(**{"unlabelled.parquet": "0" * 64}), recorded_again),
        ["wrong texts without labels: xlnet/tiny/finetuned/top-1/seed1/manifest.json"],
    ),
    "tokens of a run, recorded": (
        in_turn(edited_manifest(TAUGHT, unlabelled="0" * 64), recorded_again),
        ["wrong tokens: xlnet/tiny/finetuned/top-1/seed1/manifest.json"],
    ),
}


@pytest.mark.parametrize("name", FAULTS_WITHOUT_LABELS)
def test_faults_of_texts_without_labels_are_named(name: str, finished_families, tmp_path: Path, monkeypatch):
    project = finished_families.copy(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    assert verify("results/tiny", "resources")
    change, expected = FAULTS_WITHOUT_LABELS[name]
    change(project)
    with pytest.raises(UserError) as caught:
        verify("results/tiny", "resources")
    (fault,) = str(caught.value).splitlines()[1:]
    assert all(text in fault for text in expected), fault


DELIVERED = "results/tiny/delivered/bert/tiny"
VARIANTS = "results/tiny/bert/tiny/variants"

FAULTS_OF_DELIVERIES = {
    "a byte of an export": (
        byte_flipped(f"{VARIANTS}/baseline/seed1/full/onnx/model.onnx", keep_time=True),
        [
            "changed: bert/tiny/variants/baseline/seed1/full/onnx/model.onnx",
            f"--forcerun {VARIANTS}/exported-full.json",
        ],
    ),
    "scores of an export on test examples": (
        append(f"{VARIANTS}/baseline/seed1/full/onnx/test/metrics.json", " "),
        ["bert/tiny/variants/baseline/seed1/full/onnx/test/metrics.json", f"--forcerun {VARIANTS}/test-evaluated.json"],
    ),
    "a card": (
        append(f"{DELIVERED}/README.md", "edited"),
        ["changed: delivered/bert/tiny/README.md", f"--forcerun {DELIVERED}/manifest.json"],
    ),
    "a trimmed tokenizer": (
        in_resources("tokens/*/*/*/trimmed1/tokenizer.json"),
        ["changed: ", "trimmed1/tokenizer.json"],
    ),
    "its tokens": (
        in_resources("tokens/*/*/*/trimmed1/validation.safetensors"),
        ["changed: ", "trimmed1/validation.safetensors"],
    ),
    "a variant of an arm that is no candidate": (
        append(f"{VARIANTS}/own.json", "x"),
        ["unknown: bert/tiny/variants/own.json", "not part of this study"],
    ),
    "a delivered folder of another model": (
        append("results/tiny/delivered/other.txt", "x"),
        ["unknown: delivered/other.txt", "not part of this study"],
    ),
}


@pytest.mark.parametrize("name", FAULTS_OF_DELIVERIES)
def test_faults_of_delivered_models_are_named(name: str, finished_test, tmp_path: Path, monkeypatch):
    project = finished_test.copy(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    assert verify("results/tiny", "resources")
    change, expected = FAULTS_OF_DELIVERIES[name]
    change(project)
    with pytest.raises(UserError) as caught:
        verify("results/tiny", "resources")
    (fault,) = str(caught.value).splitlines()[1:]
    assert all(text in fault for text in expected), fault


def test_what_was_delivered_is_unknown_to_a_study_that_delivers_nothing(finished_test, tmp_path: Path, monkeypatch):
    project = finished_test.copy(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    study = json.loads(Path("results/tiny/study.json").read_text())
    study.pop("deliver")
    Path("results/tiny/study.json").write_text(json.dumps(study))
    recorded_again(project)
    with pytest.raises(UserError) as caught:
        verify("results/tiny", "resources")
    faults = str(caught.value).splitlines()[1:]
    assert all(fault.endswith("not part of this study: move or delete it") for fault in faults)
    unknown = [fault.split(";")[0].removeprefix("  unknown: ") for fault in faults]
    assert {"variants.csv", "figures/bert/tiny/score-by-variant.png"} <= {*unknown}
    kinds = ("variants.csv", "bert/tiny/variants/", "delivered/bert/tiny/", "figures/bert/tiny/score-by-variant.")
    assert all(name.startswith(kinds) for name in unknown), unknown


def test_results_copied_elsewhere(project, tmp_path: Path):
    """Without Snakemake, without the resources, with what `make provenance` writes later."""
    elsewhere = tmp_path / "else where"
    shutil.copytree("results/tiny", elsewhere / "mine")
    (elsewhere / "mine/provenance.html").write_text("made later")
    script = project.folder / "workflow/scripts/verify_study.py"

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, script, "--results-dir", "mine"],
            cwd=elsewhere,
            env={"PYTHONPATH": str(project.folder / "workflow")},
            capture_output=True,
            text=True,
        )

    sound = run()
    assert (sound.returncode, sound.stderr) == (0, "")
    assert "files verified, all checksums match; no folder resources" in sound.stdout
    (elsewhere / "mine/results.csv").unlink()
    broken = run()
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "error: 1 fault in study tiny (mine):\n  missing: results.csv" in broken.stderr
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd="results/tiny", check=True)


def test_a_study_without_a_record(project):
    Path("results/tiny/SHA256SUMS").unlink()
    with pytest.raises(UserError, match="a study has it once snakemake has finished"):
        verify("results/tiny")


def test_a_published_study_is_small_and_verifies_as_it_is_shipped(project, tmp_path: Path):
    target = tmp_path / "published"
    names = publish_study("results/tiny", target)
    files = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert files == {*names, "SHA256SUMS"}
    assert {"report.html", "results.csv", "study.json", "provenance.json", "tables/summary.csv"} <= files
    assert not any(name.endswith((".safetensors", ".svg", "section.json")) for name in files)
    assert "figures/bert/tiny/score-by-layers.png" in files
    assert verify(target) == len(names)
    (target / "results.csv").write_text("other\n")
    with pytest.raises(UserError, match=r"changed: results\.csv"):
        verify(target)


def test_delivered_models_are_not_published_with_their_study(finished_test, tmp_path: Path, monkeypatch):
    project = finished_test.copy(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    names = publish_study("results/tiny", tmp_path / "published")
    assert {"variants.csv", "recommended.csv", "figures/bert/tiny/score-by-variant.png"} <= {*names}
    assert not any(
        name.startswith(("delivered", "bert/")) or name.endswith((".onnx", "variant.json")) for name in names
    )
    assert verify(tmp_path / "published") == len(names)


def test_a_broken_study_is_not_published(project, tmp_path: Path):
    Path("results/tiny/results.csv").unlink()
    with pytest.raises(UserError, match=r"missing: results\.csv"):
        publish_study("results/tiny", tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_a_study_is_published_into_an_empty_folder_only(project, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(UserError, match="the folder is not empty"):
        publish_study("results/tiny", tmp_path)
