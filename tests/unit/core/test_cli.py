"""Scripts: their arguments, and how they end."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

LIBRARY = Path(__file__).parents[3] / "workflow"


def run_script(tmp_path: Path, body: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(
        "import argparse\nfrom shallower.core.errors import UserError\n"
        "from shallower.core.cli import json_argument, run_step\n"
        f"def main(arguments):\n    {body}\n"
        "parser = argparse.ArgumentParser()\nparser.add_argument('--settings', type=json_argument)\n"
        "run_step(parser, main)\n"
    )
    command = [sys.executable, str(script), *arguments]
    environment = {"PYTHONPATH": str(LIBRARY), **settings}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)


def test_a_users_mistake_is_one_line_and_a_bug_a_traceback(tmp_path: Path):
    mistake = run_script(tmp_path, "raise UserError('file x: row 3 is empty; fill it')")
    assert (mistake.returncode, mistake.stderr) == (1, "error: file x: row 3 is empty; fill it\n")
    bug = run_script(tmp_path, "1 / 0")
    assert bug.returncode == 1
    assert "Traceback" in bug.stderr


def test_a_step_of_the_workflow_says_its_time_and_memory_at_last(tmp_path: Path):
    held = "memory = bytearray(300_000_000)"
    log = run_script(tmp_path, held, STARTED_BY="1").stderr
    found = re.fullmatch(r"[0-9:]+ script\.py: [0-9]+\.[0-9] s, peak memory ([0-9]+) MB\n", log)
    assert found and 300 <= int(found[1]) < 400
    assert run_script(tmp_path, held).stderr == ""


def test_settings_come_as_json(tmp_path: Path):
    assert run_script(tmp_path, "print(arguments.settings['a'])", "--settings", '{"a": 5}').stdout == "5\n"
    assert "not valid JSON" in run_script(tmp_path, "pass", "--settings", "{a").stderr


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "x: No space left on device; free some space"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            "x: Permission denied; make it readable",
        ),
        (OSError(errno.EROFS, "Read-only file system"), "x: Read-only file system; make it writable"),
        (SafetensorError("I/O error: No space left (os error 28)"), "x: No space left on device; free some space"),
    ],
)
def test_errors_of_the_system_are_one_line_with_the_name_of_the_file(tmp_path, raised, message):
    body = (
        "import errno\n    from safetensors import SafetensorError\n    from shallower.core.files import atomic_write\n"
        f"    with atomic_write('x'):\n        raise {raised!r}"
    )
    finished = run_script(tmp_path, body)
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"error: {message}"), finished.stderr
    assert finished.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def test_an_error_of_the_system_that_is_a_bug_keeps_its_traceback(tmp_path):
    finished = run_script(tmp_path, "open('absent')")
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr


@pytest.mark.parametrize(
    ("body", "is_bug"), [("print('a line\\n' * 100_000)", False), ("os.write(writer, b'x')", True)]
)
def test_a_reader_that_has_seen_enough_is_no_bug(tmp_path, body, is_bug):
    """Unlike a pipe of the step's own."""
    run_script(tmp_path, f"import os; reader, writer = os.pipe(); os.close(reader); {body}")
    command = f"{sys.executable} script.py | head -n 1"
    finished = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env={"PYTHONPATH": str(LIBRARY)}, capture_output=True, text=True
    )
    assert ("Traceback" in finished.stderr) is is_bug
    assert is_bug or (finished.stdout, finished.stderr) == ("a line\n", "")
