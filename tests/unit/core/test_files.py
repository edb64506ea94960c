"""JSON, CSV and checksums; files that are written atomically."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shallower.core.errors import UserError
from shallower.core.files import (
    ascii_json,
    atomic_write,
    canonical_json,
    csv_text,
    fingerprint,
    read_json,
    sha256_of,
    write_json,
    write_text,
)


def test_equal_content_gives_equal_bytes(tmp_path: Path):
    write_json(tmp_path / "a" / "x.json", {"b": 1, "a": [0.1, "é"]})
    write_json(tmp_path / "y.json", {"a": [0.1, "é"], "b": 1})
    assert (tmp_path / "a" / "x.json").read_bytes() == (tmp_path / "y.json").read_bytes()
    assert read_json(tmp_path / "y.json") == {"a": [0.1, "é"], "b": 1}
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1, "b": 3})
    assert canonical_json({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'
    assert canonical_json({"a": [1.0, 0.5, -0.0], "b": {"c": 1e300}}) == '{"a": [1, 0.5, 0], "b": {"c": 1e+300}}'
    assert fingerprint({"a": 2.0}) == fingerprint({"a": 2})


def test_json_of_command_lines_is_ascii_and_means_the_same():
    content = {"b": "Grüße 😀", "a": [1, None]}
    assert ascii_json(content).isascii()
    assert json.loads(ascii_json(content)) == content
    assert ascii_json({"b": 1, "a": 2}) == canonical_json({"b": 1, "a": 2})


def test_csv_quotes_what_needs_it_and_leaves_none_empty():
    rows = [[1, None, 'a "b", c'], [0.5, "", "d\ne"]]
    assert csv_text(["x", "y", "z"], rows) == 'x,y,z\n1,,"a ""b"", c"\n0.5,,"d\ne"\n'


def test_a_failed_write_leaves_no_file(tmp_path: Path):
    with pytest.raises(ValueError, match="nan"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_errors_of_json_name_the_file(tmp_path: Path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match=r"x\.json: not valid JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(UserError, match=r"y\.json: file not found"):
        read_json(tmp_path / "y.json")


def test_sha256(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"abc")  # the first example of FIPS 180-2
    expected = "ba7816bf 8f01cfea 414140de 5dae2223 b00361a3 96177a9c b410ff61 f20015ad"
    assert sha256_of(tmp_path / "x") == expected.replace(" ", "")


def test_temporary_files_of_ended_processes_are_removed_and_those_of_running_ones_kept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".x[1].json.{ended.pid}.part").write_text("half")
    (tmp_path / f".x[1].json.{os.getppid()}.part").write_text("half")
    (tmp_path / f".y.json.{ended.pid}.part").write_text("half")
    write_json(tmp_path / "x[1].json", {})
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"x[1].json", f".x[1].json.{os.getppid()}.part", f".y.json.{ended.pid}.part"}


def test_a_file_is_replaced_only_when_the_block_has_ended(tmp_path: Path):
    path = tmp_path / "folder" / "x"
    write_text(path, "old")
    with atomic_write(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError), atomic_write(path) as part:
        part.write_text("newer")
        1 / 0  # noqa: B018
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]
