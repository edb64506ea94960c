"""Checkpoints are complete or not there, and used only by the same run."""

import logging

import pytest
import torch

from shallower.engine.checkpoints import STATE, TENSORS, Checkpoint, CheckpointFolder

KEY = {"seed": 1, "settings": {"learning_rate": 5e-5}}


def checkpoint(step: int) -> Checkpoint:
    tensors = {"weight": torch.rand(3, 5) / 3, "moment": torch.rand(7), "random": torch.get_rng_state()}
    return Checkpoint(step, tensors, {"losses": [0.1 + 0.2, 1 / 3], "tokens": 12})


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path / "run", KEY)


def test_what_is_loaded_is_exactly_what_was_saved(folder):
    saved = checkpoint(5)
    folder.save(saved)
    loaded = folder.load()
    assert (loaded.step, loaded.state) == (5, saved.state)
    assert loaded.tensors.keys() == saved.tensors.keys()
    assert all(torch.equal(loaded.tensors[name], saved.tensors[name]) for name in saved.tensors)


def test_only_the_newest_is_kept(folder):
    for step in (9, 10, 100):
        folder.save(checkpoint(step))
    assert [path.name for path in folder.folder.iterdir()] == ["step-000000100"]
    assert folder.load().step == 100


def test_nothing_to_load_at_first_and_after_removal(folder):
    assert folder.load() is None
    folder.save(checkpoint(1))
    folder.remove()
    assert folder.load() is None
    assert not folder.folder.exists()


def test_an_unfinished_checkpoint_is_ignored_and_later_removed(folder):
    folder.save(checkpoint(1))
    (folder.folder / "step-000000001").rename(folder.folder / ".step-000000001.77.part")
    assert folder.load() is None
    folder.save(checkpoint(2))
    assert [path.name for path in folder.folder.iterdir()] == ["step-000000002"]


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: flip_a_byte(path / TENSORS),
        lambda path: (path / TENSORS).write_bytes((path / TENSORS).read_bytes()[:100]),
        lambda path: (path / TENSORS).unlink(),
        lambda path: (path / STATE).write_text((path / STATE).read_text()[:-20]),
        lambda path: (path / STATE).write_text("[]"),
        lambda path: (path / STATE).unlink(),
    ],
)
def test_a_damaged_checkpoint_is_ignored_with_a_warning(folder, damage, caplog):
    folder.save(checkpoint(3))
    damage(folder.folder / "step-000000003")
    with caplog.at_level(logging.WARNING):
        assert folder.load() is None
    assert "step-000000003" in caplog.text


def test_a_checkpoint_of_another_run_is_ignored(folder, caplog):
    folder.save(checkpoint(3))
    other = CheckpointFolder(folder.folder, {**KEY, "seed": 2})
    assert other.load() is None
    assert "it belongs to a run with other inputs, settings or code" in caplog.text
