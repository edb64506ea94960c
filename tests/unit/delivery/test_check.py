"""Delivered folders are checked file by file and form by form, in processes with the form's own packages alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.delivery import answering
from shallower.delivery.check import check_folder, delivered_folders

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(delivered_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(delivered_folder, tmp_path / "delivered" / "minilm" / "mrpc"))


def changed(folder: Path, name: str, change: Callable[[dict], None]) -> None:
    """Change a JSON file, and its SHA-256 on record."""
    content = read_json(folder / name)
    change(content)
    write_json(folder / name, content)
    manifest = read_json(folder / "manifest.json")
    manifest["sha256"][name] = sha256_of(folder / name)
    write_json(folder / "manifest.json", manifest)


def test_every_form_answers_in_a_process_of_its_own(pairs_folder):
    """transformers, which had no part in making the files, finds the same logits, of pairs, padded and cut."""
    files, *forms = check_folder(pairs_folder)
    assert str(files) == "minilm/stsb, files: 8 files with the recorded SHA-256"
    assert [finding.subject for finding in forms] == [
        "minilm/stsb, torch",
        "minilm/stsb, onnx",
        "minilm/stsb, onnx-int8",
    ]
    assert [finding.problem for finding in forms] == ["", "", ""]
    assert "with torch 2" in str(forms[0]) and "transformers" in str(forms[0])
    for finding in forms[1:]:
        assert "with onnxruntime" in str(finding) and "torch and transformers not importable" in str(finding)


def test_without_torch_the_other_forms_are_checked(folder, without_torch):
    findings = list(check_folder(folder))
    assert str(findings[1]) == "minilm/mrpc, torch: not checked, as torch is not installed here"
    assert [finding.problem for finding in findings] == [""] * 4


@pytest.mark.parametrize("name", ["model.safetensors", "onnx/model.onnx", "onnx/model-int8.onnx", "README.md"])
def test_a_changed_file_is_named_and_nothing_is_run(folder, name):
    with (folder / name).open("r+b") as file:
        file.seek(200)
        file.write(b"\0?")
    (finding,) = check_folder(folder)
    assert finding.problem.startswith(f"{folder / name}: damaged")


def test_missing_and_unknown_files_are_named(folder):
    (folder / "onnx/extra.onnx").write_bytes(b"")
    (finding,) = check_folder(folder)
    assert "onnx/extra.onnx: not a file of the delivered model" in finding.problem
    (folder / "onnx/extra.onnx").rename(folder / "onnx/model.onnx")
    (folder / "tokenizer.json").unlink()
    (finding,) = check_folder(folder)
    assert finding.problem


def test_wrong_answers_are_named_by_form_and_file(folder, without_torch):
    def change(record):
        record["logits"]["fp32"][1][0] += 0.01

    changed(folder, "parity.json", change)
    findings = list(check_folder(folder))
    assert [bool(finding.problem) for finding in findings] == [False, False, True, False]
    assert str(findings[2]).startswith("minilm/mrpc, onnx: onnx/model.onnx: logits are up to 0.01 off the stored ones")


def test_a_tokenizer_for_other_tokens_is_found(folder, without_torch):
    def change(tokenizer):
        words = tokenizer["model"]["vocab"]
        words["good"], words["bad"] = words["bad"], words["good"]

    changed(folder, "tokenizer.json", change)
    assert [bool(finding.problem) for finding in check_folder(folder)][2]


def test_a_manifest_that_is_none_is_refused(folder):
    write_json(folder / "manifest.json", {"sha256": {}})
    (finding,) = check_folder(folder)
    assert "not the manifest of a delivered model" in finding.problem


def test_a_folder_without_models_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no delivered model in it"):
        delivered_folders(tmp_path)


def test_the_script_ends_with_1_and_names_what_is_wrong(folder):
    (folder / "onnx/model.onnx").write_bytes(b"short")
    done = subprocess.run(
        [sys.executable, ROOT / "workflow/scripts/check_delivered.py", "--delivered-dir", folder.parents[1]],
        env={"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "minilm/mrpc, files:" in done.stdout and "onnx/model.onnx: damaged" in done.stdout
    assert done.stderr == "error: 1 of 1 checks failed; see above\n"


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_absent_packages_cannot_be_imported(package):
    """The proof that the check relies on: these packages are installed here."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import answering\n"
        "sys.meta_path.insert(0, answering.Absent(['torch', 'transformers']))\n"
        f"import {package}.nn"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, Path(answering.__file__).parent], capture_output=True, text=True
    )
    assert done.returncode == 1 and f"ModuleNotFoundError: No module named '{package}'" in done.stderr


def test_the_answering_process_sees_neither_the_library_nor_tokens(folder, monkeypatch):
    from shallower.delivery import parity

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in json.dumps(parity._environment())
