"""Serving processes: they take turns, and each way to fail is one message that names the variant."""

import sys
import time
from pathlib import Path

import pytest

from shallower.core.errors import UserError
from shallower.core.model_classes import SEQUENCE_CLASSIFICATION
from shallower.serving import processes
from shallower.serving.processes import ServingProcess

FAKE = (sys.executable, str(Path(__file__).with_name("fake_server.py")))


def started(runtime: str, path: str = "0") -> ServingProcess:
    settings = {"runtime": runtime, "path": path, "device": "cpu", "threads": 1, "example": "a"}
    settings["model_class"] = SEQUENCE_CLASSIFICATION
    return ServingProcess("the variant", settings, 2, FAKE)


def test_times_are_those_of_each_batch_and_waiting_takes_no_cpu_time():
    with started("torch", "0.03") as server:
        assert 0.03 <= server.started["load_seconds"] <= server.started["start_seconds"]
        time.sleep(0.2)
        turn = server.answer([["a", "b"], ["c"]], 1)
    assert len(turn["seconds"]) == 2
    assert all(seconds >= 0.03 for seconds in turn["seconds"])
    # Texts of the first batch, until 0.05 seconds have passed (once is enough on a busy machine), then both batches.
    assert turn["answered"] - 3 in (2, 2 * 2)
    assert turn["idle_cpu_seconds"] < 0.05 < 0.15 < turn["idle_wall_seconds"]
    assert turn["peak_memory_bytes"] > 5e6


def test_a_warm_up_takes_a_part_of_a_large_batch():
    with started("torch", "0.03") as server:
        turn = server.answer([["a"] * 32], 1)
    assert turn["answered"] - 32 in (8, 2 * 8)


@pytest.mark.parametrize(
    ("runtime", "problem"),
    [
        ("leaving", r"exit status 3 \(the last words\); run again"),
        ("not_finite", "ValueError: logits that are not finite numbers"),
        ("without_package", "No module named 'a_package_that_is_not_installed'; install that package"),
    ],
)
def test_a_process_that_cannot_start_is_one_error(runtime, problem):
    with pytest.raises(UserError, match=rf"^serving 'the variant' failed: .*{problem}"):
        started(runtime)


@pytest.mark.parametrize(
    ("runtime", "problem"),
    [("killed", "its process was ended by SIGKILL, as happens when memory runs out"), ("too_few", "for 2 texts")],
)
def test_a_process_that_ends_or_fails_while_it_serves_is_one_error(runtime, problem):
    with started(runtime) as server, pytest.raises(UserError, match=f"'the variant' failed: .*{problem}"):
        server.answer([["a", "b"]], 1)


def test_a_process_that_is_killed_while_it_waits_is_noticed():
    with started("torch") as server:
        server._process.kill()
        with pytest.raises(UserError, match="ended by SIGKILL"):
            server.answer([["a"]], 1)


def test_a_process_that_says_nothing_is_given_up_and_ended(monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE_SECONDS", 0.5)
    closed = []
    monkeypatch.setattr(
        ServingProcess, "close", lambda self, close=ServingProcess.close: closed.append(self) or close(self)
    )
    with pytest.raises(UserError, match="'the variant' failed: no answer within"):
        started("stuck")
    assert closed[0]._process.returncode is not None


def test_a_server_ends_when_nobody_listens_any_more():
    server = started("torch")
    server._pipe.close()
    assert server._process.wait(10) == 0
    server.close()
