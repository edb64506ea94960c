"""GPU slots, with made-up GPUs and real processes."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shallower.core.errors import UserError
from shallower.engine import gpu_slots
from shallower.engine.gpu_slots import gpu_slot, parse_gpu_list, visible_gpus

ROOT = Path(__file__).parents[3]
TWO = "GPU 0: NVIDIA H200 (UUID: GPU-aaa)\nGPU 1: NVIDIA H200 (UUID: GPU-bbb)\n"
SPLIT = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-1)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-aaa/2/0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbb)
"""

# A process that takes a slot, prints its GPU, and holds the slot until it reads a line.
HOLD = """
import logging, os, sys
from shallower.engine import gpu_slots
logging.basicConfig(format="%(message)s", level=logging.INFO)
gpu_slots.has_gpu_driver = lambda: True
gpu_slots.POLL_SECONDS = 0.01
with gpu_slots.gpu_slot(sys.argv[1], int(sys.argv[2]), "cuda", "mine") as gpu:
    assert os.environ["CUDA_VISIBLE_DEVICES"] == gpu
    assert "torch" not in sys.modules
    print(gpu, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def fake_smi(tmp_path, monkeypatch):
    """An nvidia-smi that prints a text."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu_slots, "DRIVER_FOLDER", tmp_path / "none")

    def write(text, code=0):
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n")
        program.chmod(0o755)

    return write


@pytest.fixture
def hold(tmp_path):
    """Start processes that take a slot; they are killed after the test."""
    processes = []

    def start(gpus, runs_per_gpu):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "CUDA_VISIBLE_DEVICES": gpus}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        command = [sys.executable, "-c", HOLD, tmp_path / "scratch", str(runs_per_gpu)]
        processes.append(subprocess.Popen(command, env=environment, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def gpu_of(process):
    return process.stdout.readline().strip()


def test_gpus_and_their_mig_parts():
    assert parse_gpu_list(TWO) == ["GPU-aaa", "GPU-bbb"]
    assert parse_gpu_list(SPLIT) == ["MIG-1", "MIG-GPU-aaa/2/0", "GPU-bbb"]
    assert parse_gpu_list("No devices were found\n") == []


def test_the_driver_lists_the_gpus_where_the_environment_does_not(fake_smi):
    fake_smi(TWO)
    assert visible_gpus({}) == ["GPU-aaa", "GPU-bbb"]


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("1,0", ["1", "0"]),
        (" 0 , 2", ["0", "2"]),
        ("GPU-aaa,MIG-GPU-aaa/2/0", ["GPU-aaa", "MIG-GPU-aaa/2/0"]),
        ("", []),
        ("-1", []),
        ("0,-1,1", ["0"]),
        ("NoDevFiles", []),
        ("0,0", ["0"]),
    ],
)
def test_a_list_counts_up_to_the_first_that_is_no_gpu(fake_smi, listed, found):
    fake_smi(TWO)
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": listed}) == found


def test_a_failing_driver_is_logged(fake_smi, caplog):
    fake_smi("no communication\n", code=9)
    assert visible_gpus({}) == []
    assert "cannot list" in caplog.text


def test_the_kernel_lists_the_gpus_where_nvidia_smi_is_missing(tmp_path, monkeypatch):
    for name in ("0000:01:00.0", "0000:41:00.0"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(gpu_slots, "DRIVER_FOLDER", tmp_path)
    monkeypatch.setattr(gpu_slots.shutil, "which", lambda name: None)
    assert visible_gpus({}) == ["0", "1"]


def test_without_a_gpu_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_slots, "has_gpu_driver", lambda: False)
    monkeypatch.setattr(gpu_slots, "torch_has_cuda", lambda: True)
    for device in ("cpu", "auto", "cuda"):
        with gpu_slot(tmp_path / "scratch", 1, device, "mine") as gpu:
            assert gpu is None
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize(("device", "has_cuda"), [("cpu", True), ("auto", False)])
def test_runs_that_will_not_use_a_gpu_take_no_slot(tmp_path, monkeypatch, device, has_cuda):
    monkeypatch.setattr(gpu_slots, "visible_gpus", lambda: ["0"])
    monkeypatch.setattr(gpu_slots, "torch_has_cuda", lambda: has_cuda)
    with gpu_slot(tmp_path, 1, device, "mine") as gpu:
        assert gpu is None


@pytest.mark.parametrize("before", [None, "0,1"])
def test_the_environment_is_as_before_afterwards(tmp_path, monkeypatch, before):
    monkeypatch.setattr(gpu_slots, "visible_gpus", lambda: ["1"])
    if before is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    with gpu_slot(tmp_path, 1, "cuda", "mine"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def test_no_slots_at_all_are_refused(tmp_path):
    with pytest.raises(UserError, match="runs_per_gpu"), gpu_slot(tmp_path, 0, "cpu", "mine"):
        pass


def test_runs_spread_over_the_gpus_and_the_next_one_waits(hold):
    first = [hold("0,1", 2) for _ in range(4)]
    assert sorted(gpu_of(process) for process in first) == ["0", "0", "1", "1"]
    waiting = hold("0,1", 2)
    assert waiting.stderr.readline() == "mine: all 4 slots on 2 GPUs are in use; waiting for one\n"
    first[0].communicate("go\n", timeout=60)
    assert gpu_of(waiting) in ("0", "1")


def test_the_first_slots_of_all_gpus_come_first(hold):
    assert [gpu_of(hold("0,1,2", 2)) for _ in range(4)] == ["0", "1", "2", "0"]


def test_the_gpu_of_a_killed_process_is_free(hold):
    first = hold("MIG-GPU-aaa/2/0", 1)
    assert gpu_of(first) == "MIG-GPU-aaa/2/0"
    second = hold("MIG-GPU-aaa/2/0", 1)
    assert "waiting" in second.stderr.readline()
    first.send_signal(signal.SIGKILL)
    started = time.monotonic()
    assert gpu_of(second) == "MIG-GPU-aaa/2/0"
    assert time.monotonic() - started < 60


def test_jobs_of_slurm_have_gpus_of_their_own(hold, monkeypatch):
    """Each job may count its GPUs from 0, so that one name is not one GPU."""
    found = []
    for job in ("7", "8"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        found.append(gpu_of(hold("0", 1)))
    assert found == ["0", "0"]


def test_where_files_cannot_be_locked_nobody_waits(tmp_path, monkeypatch, caplog):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    monkeypatch.setattr(gpu_slots, "visible_gpus", lambda: ["0"])
    with gpu_slot(tmp_path, 1, "cuda", "mine") as first, gpu_slot(tmp_path, 1, "cuda", "mine") as second:
        assert (first, second) == ("0", "0")
    assert "No locks available" in caplog.text
