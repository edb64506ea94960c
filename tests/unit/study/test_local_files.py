"""The digest of files that rules have as a parameter."""

import os
import time
from pathlib import Path

import pytest

from shallower.sources import file_digests
from shallower.study.local_files import content_of


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str, age: float = 100) -> None:
    Path(name).write_text(text, encoding="utf-8")
    moment = time.time() - age
    os.utime(name, (moment, moment))


def test_it_is_of_the_content_whatever_the_date():
    write("a.csv", "one")
    first = content_of(["a.csv"])
    write("a.csv", "one", age=1000)
    assert content_of(["a.csv"]) == first
    # Of the same size, and older.
    write("a.csv", "two", age=5000)
    assert content_of(["a.csv"]) != first
    assert content_of([]) == "" != content_of(["none.csv"])


def test_a_file_is_read_once(monkeypatch):
    write("a.csv", "one")
    first = content_of(["a.csv"])
    file_digests._known.cache_clear()
    monkeypatch.setattr(file_digests, "sha256_of", None)
    assert content_of(["a.csv"]) == first


def test_what_was_written_just_now_is_read_again():
    """Another content of the same size within the resolution of the file system's clock leaves no trace."""
    write("a.csv", "one", age=0)
    first, state = content_of(["a.csv"]), Path("a.csv").stat()
    Path("a.csv").write_text("two", encoding="utf-8")
    os.utime("a.csv", ns=(state.st_mtime_ns, state.st_mtime_ns))
    assert content_of(["a.csv"]) != first
