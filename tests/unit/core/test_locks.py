"""Locks between real processes."""

import errno
import logging
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shallower.core.locks import exclusive_lock, try_lock

LIBRARY = Path(__file__).parents[3] / "workflow"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(LIBRARY)}

HOLD = """
import logging, sys
from shallower.core.locks import exclusive_lock
logging.basicConfig(format="%(message)s", level=logging.INFO)
with exclusive_lock(sys.argv[1], "waiting"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def hold():
    """Start processes that print "held" once they hold a lock, and release it after a line of input."""
    processes = []

    def start(path):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen([sys.executable, "-c", HOLD, path], env=ENVIRONMENT, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_second_process_waits_and_logs_it(tmp_path, hold):
    path = tmp_path / "scratch" / "key.lock"
    first = hold(path)
    assert first.stdout.readline() == "held\n"
    assert try_lock(path) is None
    second = hold(path)
    assert second.stderr.readline() == "waiting\n"
    assert not select.select([second.stdout], [], [], 0.2)[0]
    first.communicate("go\n", timeout=60)
    assert second.stdout.readline() == "held\n"
    second.communicate("go\n", timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)


def test_the_lock_of_a_killed_process_is_free(tmp_path, hold, caplog):
    process = hold(tmp_path / "key.lock")
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with caplog.at_level(logging.INFO), exclusive_lock(tmp_path / "key.lock", "waiting"):
        assert "waiting" not in caplog.text


def test_a_released_lock_is_free_and_its_file_stays(tmp_path):
    first = try_lock(tmp_path / "key.lock")
    assert try_lock(tmp_path / "key.lock") is None
    first.release()
    assert (tmp_path / "key.lock").read_bytes() == b""
    assert try_lock(tmp_path / "key.lock") is not None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP], ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_logged_and_nobody_waits(tmp_path, monkeypatch, caplog, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    path = tmp_path / "key.lock"
    with exclusive_lock(path, "waiting"), exclusive_lock(path, "waiting"):
        # A lock file that stands for a lock would outlive a killed process.
        assert path.read_bytes() == b""
    assert os.strerror(number) in caplog.text
    with pytest.raises(OSError, match=r"\[Errno"):
        try_lock(path)


def test_a_lock_file_that_cannot_be_opened_is_an_error(tmp_path):
    (tmp_path / "key.lock").mkdir()
    with pytest.raises(IsADirectoryError), exclusive_lock(tmp_path / "key.lock", "waiting"):
        pass
