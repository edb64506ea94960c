"""Identical runs are trained only once."""

import errno
import json
import logging
import os
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import tiny
from shallower.core.files import read_json, sha256_of, write_json
from shallower.engine import devices
from shallower.engine.run_cache import RESULT_FILES, FinishedRun
from token_sets import make_tokens, write_task

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "workflow" / "scripts" / "finetune.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}

KEY = {"seed": 1, "settings": {"learning_rate": 5e-5}}
MANIFEST = {"seed": 1, "train_seconds": 12.5}


@pytest.fixture
def trained(tmp_path):
    """The folder of a finished run, which is on record."""
    folder = tmp_path / "trained"
    folder.mkdir()
    for name in (*RESULT_FILES, "tokenizer.json"):
        (folder / name).write_text(f"content of {name}")
    FinishedRun(tmp_path / "record.json", KEY).write(folder, MANIFEST)
    return folder


def copy(tmp_path, key=KEY, target="copy"):
    return FinishedRun(tmp_path / "record.json", key).copy_to(tmp_path / target)


def test_a_recorded_result_is_copied(tmp_path, trained):
    assert copy(tmp_path) == {**MANIFEST, "trained_as": str(trained)}
    assert {path.name for path in (tmp_path / "copy").iterdir()} == set(RESULT_FILES)
    assert all(sha256_of(tmp_path / "copy" / name) == sha256_of(trained / name) for name in RESULT_FILES)


def test_a_copy_of_a_copy_names_the_training(tmp_path, trained):
    manifest = copy(tmp_path)
    FinishedRun(tmp_path / "record.json", KEY).write(tmp_path / "copy", manifest)
    (trained / "model.safetensors").unlink()
    assert copy(tmp_path, target="second") == manifest


def test_a_training_that_comes_back_from_its_copy_is_no_copy(tmp_path, trained):
    """Its folder was deleted and made again: the hours of its training must count somewhere."""
    manifest = copy(tmp_path)
    FinishedRun(tmp_path / "record.json", KEY).write(tmp_path / "copy", manifest)
    trained.rename(tmp_path / "deleted")
    assert copy(tmp_path, target="trained") == MANIFEST


def test_a_copy_that_cannot_be_written_is_no_reason_to_train(tmp_path, trained, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        copy(tmp_path)


@pytest.mark.parametrize("change", [Path.unlink, lambda file: file.write_text("another model")])
def test_a_result_that_is_gone_before_it_is_copied_is_not_used(tmp_path, trained, monkeypatch, caplog, change):
    """As models are that are not kept, after their last use."""
    whole = shutil.copyfile

    def late(source, target):
        if source.exists():
            change(source)
        return whole(source, target)

    monkeypatch.setattr(shutil, "copyfile", late)
    with caplog.at_level(logging.INFO):
        assert copy(tmp_path) is None
    assert "cannot be used" in caplog.text


def test_without_a_record_there_is_nothing_to_copy(tmp_path):
    assert copy(tmp_path) is None
    assert not (tmp_path / "copy").exists()


def test_the_record_of_another_key_is_not_used(tmp_path, trained):
    assert copy(tmp_path, key={**KEY, "seed": 2}) is None


def test_a_result_that_is_in_place_already_is_not_copied(tmp_path, trained):
    before = {path.name: path.stat().st_ino for path in trained.iterdir()}
    assert copy(tmp_path, target="trained") == MANIFEST
    assert copy(tmp_path, target="copy/../trained") == MANIFEST
    assert {path.name: path.stat().st_ino for path in trained.iterdir()} == before
    (trained / "model.safetensors").write_text("another model")
    assert copy(tmp_path, target="trained") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "model.safetensors").write_text("another model"),
        lambda folder: (folder / "config.json").write_text("{}"),
        lambda folder: (folder / "training.jsonl").write_text(""),
        lambda folder: folder.rename(folder.with_name("moved")),
        lambda folder: folder.with_name("record.json").write_text('{"key": '),
        lambda folder: write_json(folder.with_name("record.json"), {"folder": str(folder)}),
        lambda folder: write_json(folder.with_name("record.json"), []),
    ],
)
def test_a_record_that_does_not_hold_is_not_used_and_that_is_logged(tmp_path, trained, damage, caplog):
    damage(trained)
    with caplog.at_level(logging.INFO):
        assert copy(tmp_path) is None
    assert "record.json" in caplog.text
    assert not list(tmp_path.rglob("*.part"))


def finetune_arguments(folder, output):
    options = {
        "model-dir": folder / "model",
        "tokenizer-dir": folder / "model",
        "tokens": folder / "tokens.safetensors",
        "task": folder / "task.json",
        "settings": json.dumps({"epochs": 8}),
        "seed": 1,
        "device": "cpu",
        "scratch": folder / "scratch",
        "checkpoint-seconds": 60,
        "label": output,
        "output-dir": folder / output,
    }
    return [str(part) for name, value in options.items() for part in (f"--{name}", value)]


@pytest.fixture
def threads():
    """torch's number of threads, which the script changes."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_two_identical_jobs_at_once_are_trained_once(tmp_path, threads, monkeypatch, caplog, warm_python):
    tokens, task = make_tokens(tiny.make_model(tmp_path / "model", "bert"), 32)
    write_task(tmp_path, tokens, task)
    command = [*warm_python, SCRIPT, *finetune_arguments(tmp_path, "one")]
    other = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("scratch/*.lock")):
        assert other.poll() is None, other.stderr.read()
        time.sleep(0.002)
    # The other process trains; this one runs the same script meanwhile. (Importing torch once saves half the time.)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *finetune_arguments(tmp_path, "two")])
    # A GPU's slot is not held while it waits.
    has_ended = []
    monkeypatch.setattr(devices, "hold_gpu_slot", lambda _: has_ended.append((tmp_path / "one/manifest.json").exists()))
    with caplog.at_level(logging.INFO):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert other.wait(timeout=60) == 0
    assert has_ended == [True]
    one, two = tmp_path / "one", tmp_path / "two"
    assert f"two: identical to {one}, which is copied" in caplog.text
    assert read_json(two / "manifest.json") == {**read_json(one / "manifest.json"), "trained_as": str(one)}
    files = {path.name for path in one.iterdir()}
    assert files == {*RESULT_FILES, "manifest.json", "tokenizer.json", "tokenizer_config.json"}
    for name in files - {"manifest.json"}:
        assert (two / name).read_bytes() == (one / name).read_bytes()
    assert {path.suffix for path in (tmp_path / "scratch").iterdir()} == {".lock", ".json"}
