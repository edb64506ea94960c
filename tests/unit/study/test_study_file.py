"""A study's file as a file: what is taken. What is refused stands in tests/bad_inputs.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from shallower.core.errors import UserError
from shallower.study.file import check_study_file, study_name

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "content",
    [
        b"study: a\nseeds: [1, 2]\n",
        b"\xef\xbb\xbfstudy: a\r\nseeds: [1]\r\n",
        b'{"study": "a",\n\t"seeds": [1]}',  # JSON may hold tabs
        b"train: &train {epochs: 1}\nrefine: *train\n",
        b"train: {epochs: 1}\nrefine: {epochs: 1}\n",  # one key in two mappings
        "study: a # ünï 🙂\n1: x\n'1': y\n".encode(),
    ],
)
def test_sound_files_are_taken(content, tmp_path):
    (tmp_path / "study.yaml").write_bytes(content)
    check_study_file(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    "path", ["config.yaml", *(f"studies/{file.name}" for file in (ROOT / "studies").glob("*.yaml"))]
)
def test_shipped_files_are_taken(path):
    check_study_file(ROOT / path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="file not found; name a study with --configfile"):
        check_study_file(tmp_path / "no.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        check_study_file(tmp_path)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("study: mine", "mine"),
        ('"study":   "mine"  # quoted', "mine"),
        ("seeds: [1]\nstudy: 'a.b-c'", "a.b-c"),
        ('{"seeds": [1],\n\t"study": "mine"}', "mine"),
        ("train: {study: inner}\nstudy: mine", "mine"),
    ],
)
def test_the_name_of_a_study(content, name, tmp_path):
    (tmp_path / "study").write_text(content)
    assert study_name(tmp_path / "study") == name


@pytest.mark.parametrize("content", ["seeds: [1]", "study: 12", "study: ../elsewhere", "study: ''", "study: [mine]"])
def test_a_study_without_a_valid_name(content, tmp_path):
    (tmp_path / "study").write_text(content)
    with pytest.raises(UserError, match="is not a name"):
        study_name(tmp_path / "study")


def test_as_a_program_before_snakemake_reads_the_file(tmp_path):
    (tmp_path / "study.yaml").write_text("study: [\n")

    def check(path: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "shallower.study.file", path]
        return subprocess.run(command, cwd=ROOT / "workflow", capture_output=True, text=True)

    assert check("../config.yaml").returncode == 0
    refused = check(str(tmp_path / "study.yaml"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {tmp_path}/study.yaml: line 2")
    assert "Traceback" not in refused.stderr
