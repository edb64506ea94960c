"""Signals end a step at once and a training with a checkpoint, each with one line."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import tiny
from shallower.core import signals
from shallower.core.environment import STARTED_BY
from shallower.core.files import read_json, sha256_of
from shallower.core.signals import SIGNALS, Interrupted, noting_interruptions, raise_interrupted
from token_sets import make_tokens, write_task

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
# 8 steps each: a second at least, in which to interrupt.
EPOCHS = 20


@pytest.fixture(autouse=True)
def handlers():
    """No signal is ignored, even if the tests were started so; afterwards the handlers are restored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_step_ends_at_once(number):
    raise_interrupted()
    with pytest.raises(Interrupted, match=f"^stopped by {number.name}$"):
        signal.raise_signal(number)


def test_signals_that_a_process_was_started_to_ignore_stay_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise_interrupted()
    signal.raise_signal(signal.SIGHUP)
    with noting_interruptions({}) as asked_to_end:
        signal.raise_signal(signal.SIGHUP)
        assert asked_to_end() is None


def test_the_first_signal_is_recorded_and_a_later_one_ends_at_once(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    before = signal.getsignal(signal.SIGTERM)
    with noting_interruptions({}) as asked_to_end:
        assert asked_to_end() is None
        signal.raise_signal(signal.SIGTERM)
        now = 101.0
        signal.raise_signal(signal.SIGTERM)  # what srun passes on
        assert asked_to_end() == signal.SIGTERM
        now = 110.0
        with pytest.raises(Interrupted, match="SIGINT"):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_that_follow_do_not_disturb_what_an_interrupted_step_still_does():
    with pytest.raises(Interrupted, match=r"^stopped by SIGINT: a checkpoint$"), noting_interruptions({}):
        signal.raise_signal(signal.SIGINT)
        raise Interrupted(signal.SIGINT, "a checkpoint")
    for number in SIGNALS:
        signal.raise_signal(number)


def test_the_end_of_the_waiting_process_counts_as_a_signal():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with noting_interruptions({STARTED_BY: str(process.pid)}) as asked_to_end:
        assert asked_to_end() is None
        process.kill()
        deadline = time.monotonic() + 30
        while asked_to_end() is None:  # a zombie until it is waited for
            assert time.monotonic() < deadline
        process.communicate()
        assert asked_to_end() == signal.SIGHUP


def test_a_process_that_has_ended_before_is_not_watched():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with noting_interruptions({STARTED_BY: str(process.pid)}) as asked_to_end:
        assert asked_to_end() is None


def finetune(warm_python, folder, output):
    return [
        *(*warm_python, ROOT / "workflow" / "scripts" / "finetune.py", "--output-dir", folder / output),
        *("--model-dir", folder / "model", "--tokenizer-dir", folder / "model", "--label", "mine"),
        *("--tokens", folder / "tokens.safetensors", "--task", folder / "task.json"),
        *("--settings", json.dumps({"epochs": EPOCHS}), "--seed", "1", "--device", "cpu"),
        *("--scratch", folder / f"scratch-{output}"),
    ]


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, warm_python):
    tokens, task = make_tokens(tiny.make_model(tmp_path / "model", "bert"), 64)
    write_task(tmp_path, tokens, task)
    often = {**ENVIRONMENT, "CHECKPOINT_SECONDS": "0.01"}
    for attempt, number in enumerate((signal.SIGTERM, signal.SIGINT), start=1):
        process = subprocess.Popen(
            finetune(warm_python, tmp_path, "mine"), env=often, stderr=subprocess.PIPE, text=True
        )
        known = {path.name for path in tmp_path.glob("scratch-mine/*/step-*")}
        while not {path.name for path in tmp_path.glob("scratch-mine/*/step-*")} - known:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(number)
        log = process.communicate(timeout=60)[1]
        assert process.returncode == 128 + number, log
        assert "Traceback" not in log
        last = log.splitlines()[-1]
        assert last.startswith(f"stopped by {number.name}: mine: checkpoint after step "), log
        assert last.endswith(f" of {8 * EPOCHS}; the next run goes on from there")
        step = int(last.split()[7])
        assert [path.name for path in tmp_path.glob("scratch-mine/*/step-*")] == [f"step-{step:09d}"], attempt
        assert not (tmp_path / "mine").exists()
    for output in ("mine", "unbroken"):
        subprocess.run(
            finetune(warm_python, tmp_path, output), env={**ENVIRONMENT, "CHECKPOINT_SECONDS": "60"}, check=True
        )
    mine, unbroken = (read_json(tmp_path / name / "manifest.json") for name in ("mine", "unbroken"))
    assert (mine["resumed"], unbroken["resumed"]) == (2, 0)
    assert mine["sha256"] == unbroken["sha256"]
    assert sha256_of(tmp_path / "mine/model.safetensors") == unbroken["sha256"]["model.safetensors"]


def run_script(tmp_path: Path, body: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "script.py").write_text(
        "import argparse, signal\nfrom shallower.core.cli import run_step\n"
        f"def main(arguments):\n    {body}\nrun_step(argparse.ArgumentParser(), main)\n"
    )
    return subprocess.run(
        [sys.executable, tmp_path / "script.py"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_step_prints_one_line(tmp_path, number):
    finished = run_script(tmp_path, f"signal.raise_signal({int(number)})")
    assert (finished.returncode, finished.stderr) == (128 + number, f"stopped by {number.name}\n")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("pass", 0, ""),
        ("raise UserError('mistake')", 1, "error: mistake\n"),
        ("signal.raise_signal(signal.SIGTERM)", 128 + signal.SIGTERM, "stopped by SIGTERM\n"),
        ("raise Interrupted(signal.SIGINT, 'saved')", 128 + signal.SIGINT, "stopped by SIGINT: saved\n"),
    ],
)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_a_step_exits_is_ignored(tmp_path, number, body, status, message):
    late = f"import atexit\n    atexit.register(signal.raise_signal, {int(number)})\n    "
    imported = "from shallower.core.errors import UserError\n    from shallower.core.signals import Interrupted\n    "
    finished = run_script(tmp_path, late + imported + body)
    assert (finished.returncode, finished.stderr) == (status, message)


def test_an_interrupt_of_a_workflow_whose_steps_run_elsewhere_is_noted(monkeypatch):
    monkeypatch.setattr(signals, "_interrupted", threading.Event())
    signals.note_interrupts()
    assert not signals.was_interrupted()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signals.was_interrupted()
