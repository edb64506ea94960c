import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import canonical_json, csv_text, fingerprint, read_json, sha256_of, write_json

LIBRARY = Path(__file__).parents[3] / "workflow"


def test_equal_content_gives_equal_bytes(tmp_path: Path):
    write_json(tmp_path / "a" / "x.json", {"b": 1, "a": [0.1, "é"]})
    write_json(tmp_path / "y.json", {"a": [0.1, "é"], "b": 1})
    assert (tmp_path / "a" / "x.json").read_bytes() == (tmp_path / "y.json").read_bytes()
    assert read_json(tmp_path / "y.json") == {"a": [0.1, "é"], "b": 1}
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1, "b": 3})
    assert canonical_json({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'


def test_csv_quotes_what_needs_it_and_leaves_none_empty():
    rows = [[1, None, 'a "b", c'], [0.5, "", "d\ne"]]
    assert csv_text(["x", "y", "z"], rows) == 'x,y,z\n1,,"a ""b"", c"\n0.5,,"d\ne"\n'


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(ValueError, match="nan"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_bad_json_is_told_with_its_file(tmp_path: Path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match=r"x\.json: not valid JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(UserError, match=r"y\.json: file not found"):
        read_json(tmp_path / "y.json")


def test_sha256(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_all_problems_of_a_study_are_in_one_message():
    assert str(StudyErrors(["a", "b"])) == "2 problems in the study:\n  - a\n  - b"


def run_script(tmp_path: Path, body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(
        "import argparse\nfrom shallower.core.errors import UserError\n"
        "from shallower.core.cli import json_argument, run_step\n"
        f"def main(arguments):\n    {body}\n"
        "parser = argparse.ArgumentParser()\nparser.add_argument('--settings', type=json_argument)\n"
        "run_step(parser, main)\n"
    )
    environment = {"PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)


def test_a_users_mistake_is_one_line_and_a_bug_a_traceback(tmp_path: Path):
    mistake = run_script(tmp_path, "raise UserError('file x: row 3 is empty; fill it')")
    assert (mistake.returncode, mistake.stderr) == (1, "error: file x: row 3 is empty; fill it\n")
    bug = run_script(tmp_path, "1 / 0")
    assert bug.returncode == 1
    assert "Traceback" in bug.stderr


def test_settings_come_as_json(tmp_path: Path):
    assert run_script(tmp_path, "print(arguments.settings['a'])", "--settings", '{"a": 5}').stdout == "5\n"
    assert "not valid JSON" in run_script(tmp_path, "pass", "--settings", "{a").stderr


def test_what_a_killed_process_left_is_cleared_away_and_what_a_living_one_writes_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".x[1].json.{gone.pid}.part").write_text("half")
    (tmp_path / f".x[1].json.{os.getppid()}.part").write_text("half")
    (tmp_path / f".y.json.{gone.pid}.part").write_text("half")
    write_json(tmp_path / "x[1].json", {})
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"x[1].json", f".x[1].json.{os.getppid()}.part", f".y.json.{gone.pid}.part"}


@pytest.mark.parametrize(
    ("raised", "told"),
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
def test_what_the_machine_refuses_is_one_line_with_the_name_of_the_file(tmp_path, raised, told):
    body = (
        "import errno\n    from safetensors import SafetensorError\n    from shallower.core.files import atomic_write\n"
        f"    with atomic_write('x'):\n        raise {raised!r}"
    )
    finished = run_script(tmp_path, body)
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"error: {told}"), finished.stderr
    assert finished.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def test_an_error_of_the_system_that_is_a_bug_keeps_its_traceback(tmp_path):
    finished = run_script(tmp_path, "open('absent')")
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
