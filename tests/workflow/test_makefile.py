"""Targets of the Makefile find the folder of a study whether its file is YAML or JSON, and report an invalid file."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Makefile, the code, and the environment of the tests."""
    folder = tmp_path / "a project"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "workflow").symlink_to(ROOT / "workflow")
    shutil.copy(ROOT / "Makefile", folder)
    return folder


# Study files with the name mine.
STUDIES = [("a study.yaml", 'seeds: [1]\nstudy: "mine"  # quoted\n'), ("a study.json", '{"study": "mine"}')]


def make(folder: Path, target: str, study: str, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run a target; the environment counts as up to date."""
    command = ["make", "--no-print-directory", "--assume-old=.venv/.ready", target, f"STUDY={study}", *variables]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def make_with_stand_in(folder: Path, target: str, study: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """The same with a program in the place of snakemake that prints its arguments and ends with a status."""
    program = folder / "stand-ins/snakemake"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '<%s>' \"$@\"\necho\nexit {status}\n")
    program.chmod(0o755)
    return make(folder, target, study, 'IN_VENV=PATH="$$PWD/stand-ins:$$PWD/.venv/bin:$$PATH"')


@pytest.mark.parametrize(("file", "content"), STUDIES)
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("verify", "error: results/mine/SHA256SUMS: file not found"),
        ("publish", "error: results/mine/SHA256SUMS: file not found"),
        ("provenance", "error: results/mine: this study is not finished; run it first"),
    ],
)
def test_the_folder_of_the_study_is_found_and_an_error_is_shown(target, message, file, content, folder):
    (folder / file).write_text(content)
    finished = make(folder, target, file, "TO=published")
    assert finished.returncode != 0
    assert message in finished.stderr
    assert not (folder / "published").exists()


@pytest.mark.parametrize(("file", "content"), STUDIES)
def test_provenance_of_a_finished_study(file, content, folder):
    (folder / file).write_text(content)
    (folder / "results/mine").mkdir(parents=True)
    (folder / "results/mine/SHA256SUMS").write_text("")
    finished = make_with_stand_in(folder, "provenance", file)
    assert finished.returncode == 0, finished.stderr
    arguments, printed = finished.stdout.splitlines()
    assert f"<--configfile><{file}>" in arguments
    assert "<--report><results/mine/provenance.html>" in arguments
    assert "<all>" not in arguments  # which would hide errors
    assert printed == "results/mine/provenance.html"


def test_provenance_that_fails_names_no_page(folder):
    (folder / "study.yaml").write_text("study: mine\n")
    (folder / "results/mine").mkdir(parents=True)
    (folder / "results/mine/SHA256SUMS").write_text("")
    finished = make_with_stand_in(folder, "provenance", "study.yaml", status=3)
    assert finished.returncode != 0
    assert finished.stdout.count("provenance.html") == 1  # in the arguments


@pytest.mark.parametrize(("file", "content"), STUDIES)
@pytest.mark.parametrize("target", ["run", "plan", "run-slurm"])
def test_snakemake_gets_the_file_of_the_study(target, file, content, folder):
    (folder / file).write_text(content)
    finished = make_with_stand_in(folder, target, file)
    assert finished.returncode == 0, finished.stderr
    assert f"<--configfile><{file}>" in finished.stdout


def test_steps_write_byte_code_where_the_environment_switches_it_off(folder, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (folder / "study.yaml").write_text("study: mine\n")
    (folder / "workflow").unlink()
    shutil.copytree(ROOT / "workflow", folder / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    make_with_stand_in(folder, "plan", "study.yaml")
    assert list((folder / "workflow/shallower/study/__pycache__").glob("file.*.pyc"))


def test_publish_asks_for_the_folder(folder):
    (folder / "study.yaml").write_text("study: mine\n")
    finished = make(folder, "publish", "study.yaml")
    assert finished.returncode != 0
    assert "make publish TO=folder" in finished.stderr and "SHA256SUMS" not in finished.stderr


@pytest.mark.parametrize(("target", "variables"), [("check-delivered", []), ("publish", ["REPOSITORY=me/mine"])])
def test_a_study_without_delivered_models_is_named(target, variables, folder):
    (folder / "study.yaml").write_text("study: mine\n")
    finished = make(folder, target, "study.yaml", *variables)
    assert finished.returncode != 0
    assert "error: results/mine/delivered: no delivered model in it" in finished.stderr


@pytest.mark.parametrize("target", ["verify", "provenance", "check-hub"])
def test_an_invalid_file_is_reported_and_ends_the_target(target, folder):
    (folder / "study.yaml").write_text("study: [\n")
    finished = make(folder, target, "study.yaml")
    assert finished.returncode != 0
    assert "error: study.yaml: line 2" in finished.stderr
    assert "SHA256SUMS" not in finished.stderr and "provenance.html" not in finished.stdout
