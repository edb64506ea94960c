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


def make(folder: Path, target: str, study: str) -> subprocess.CompletedProcess[str]:
    """Run a target; the environment counts as up to date."""
    command = ["make", "--assume-old=.venv/.ready", target, f"STUDY={study}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("file", "content"),
    [("a study.yaml", 'seeds: [1]\nstudy: "mine"  # quoted\n'), ("study.json", '{"study": "mine"}')],
)
def test_verify_finds_the_folder_of_the_study(file, content, folder):
    (folder / file).write_text(content)
    finished = make(folder, "verify", file)
    assert finished.returncode != 0
    assert "error: results/mine/SHA256SUMS: file not found" in finished.stderr


def test_publish_asks_for_the_folder(folder):
    (folder / "study.yaml").write_text("study: mine\n")
    finished = make(folder, "publish", "study.yaml")
    assert finished.returncode != 0
    assert "make publish TO=folder" in finished.stderr and "SHA256SUMS" not in finished.stderr


@pytest.mark.parametrize("target", ["verify", "provenance", "check-hub"])
def test_an_invalid_file_is_reported_and_ends_the_target(target, folder):
    (folder / "study.yaml").write_text("study: [\n")
    finished = make(folder, target, "study.yaml")
    assert finished.returncode != 0
    assert "error: study.yaml: line 2" in finished.stderr
    assert "SHA256SUMS" not in finished.stderr and "provenance.html" not in finished.stdout
