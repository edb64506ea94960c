"""What is found in local files is found once for each content."""

import os
import shutil
import time
from pathlib import Path

import pytest

import tiny
from shallower.core.files import read_json
from shallower.sources import file_digests, tasks
from shallower.sources import local_data as module
from shallower.sources.tasks import check_task, local_data

MINUTES_AGO = time.time_ns() - 300 * 10**9


@pytest.fixture
def definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A task of files that have been there for a while, in the working directory."""
    monkeypatch.chdir(tmp_path)
    found = tiny.make_task_files(Path("data"), 40, 20)
    settle()
    start_again()
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tasks whose files are read."""
    read, names = tasks._examples, []

    def spy(definition, files):
        names.append(definition["name"])
        return read(definition, files)

    monkeypatch.setattr(tasks, "_examples", spy)
    return names


def settle(later: int = 0) -> None:
    for path in Path("data").iterdir():
        os.utime(path, ns=(MINUTES_AGO + later, MINUTES_AGO + later))


def start_again() -> None:
    """As a new process: only records on disk are left."""
    module._known.clear()
    module._code.cache_clear()
    file_digests._known.cache_clear()


def test_files_are_read_once_and_again_when_their_content_changes(definition, reads):
    assert local_data(definition).rows == {"train": 40, "validation": 20}
    start_again()
    assert local_data(definition).rows == {"train": 40, "validation": 20}
    assert check_task(definition) == []
    assert len(reads) == 1
    start_again()
    settle(later=1)  # touched
    assert local_data(definition).rows == {"train": 40, "validation": 20}
    assert len(reads) == 1
    with Path("data/train.csv").open("a") as file:
        file.write("one more,good\n")
    settle(later=2)
    start_again()
    assert local_data(definition).rows == {"train": 41, "validation": 20}
    assert len(reads) == 2


def test_a_change_of_as_many_bytes_is_seen(definition, reads):
    local_data(definition)
    path = Path("data/train.csv")
    path.write_text(path.read_text().replace("good", "GOOD"))
    settle(later=1)
    start_again()
    assert "GOOD" in check_task(definition)[0]
    assert len(reads) == 2


def test_what_is_wrong_is_told_each_time(definition, reads):
    path = Path("data/train.csv")
    path.write_text(path.read_text() + "some text,ugly\n")
    settle()
    for _ in range(2):
        start_again()
        assert "ugly" in check_task(definition)[0]
    assert len(reads) == 2
    assert [path.name for path in Path(".scratch/checked").iterdir()] == ["sha256.json"]


def test_a_definition_with_keys_that_no_study_has_is_read(definition, reads):
    assert check_task(definition | {5: 1, None: 2}) == []
    assert check_task(definition | {"extra": float("nan")}) == []
    assert len(reads) == 2


def test_another_definition_or_other_code_reads_again(definition, reads, monkeypatch):
    local_data(definition)
    local_data(definition | {"train_examples": 10})
    assert len(reads) == 2
    start_again()
    monkeypatch.setattr(module, "code_digest", lambda *_: "other code")
    local_data(definition)
    assert len(reads) == 3


def test_a_change_of_moments_ago_is_seen(definition, reads):
    """Even one of as many bytes within the resolution of the file system's clock."""
    path = Path("data/train.csv")
    content = path.read_text()
    moment = time.time_ns()
    for label in ("good", "evil"):
        path.write_text(content.replace("good", label))
        os.utime(path, ns=(moment, moment))
        found = check_task(definition)
    assert "evil" in found[0]
    assert len(reads) == 2


def test_what_changes_while_it_is_read_is_not_recorded(definition, reads, monkeypatch):
    read = tasks._examples

    def changing(*arguments):
        with Path("data/train.csv").open("a") as file:
            file.write("one more,good\n")
        return read(*arguments)

    monkeypatch.setattr(tasks, "_examples", changing)
    assert local_data(definition).rows == {"train": 41, "validation": 20}
    assert [path.name for path in Path(".scratch/checked").iterdir()] == ["sha256.json"]


def test_a_file_that_vanishes_while_it_is_read(definition, reads, monkeypatch):
    read = tasks._examples

    def vanishing(*arguments):
        found = read(*arguments)
        Path("data/train.csv").unlink()
        return found

    monkeypatch.setattr(tasks, "_examples", vanishing)
    assert local_data(definition).rows == {"train": 40, "validation": 20}


def test_a_name_that_is_not_utf_8(definition, reads):
    Path("data/train.csv").rename("data/tr\udcff.csv")
    assert local_data(definition | {"train_file": "data/tr*.csv"}).rows == {"train": 40, "validation": 20}


def test_a_folder_that_cannot_be_written_to_and_a_damaged_record(definition, reads):
    Path(".scratch").write_text("a file stands here")
    assert local_data(definition).rows == {"train": 40, "validation": 20}
    Path(".scratch").unlink()
    start_again()
    local_data(definition)
    records = [*Path(".scratch/checked").iterdir()]
    (record,) = [path for path in records if path.name != "sha256.json"]
    assert read_json(record)["rows"] == {"train": 40, "validation": 20}
    for number, damage in enumerate(("{", "[]", '{"data/train.csv": 5}'), start=3):
        for path in records:
            path.write_text(damage)
        start_again()
        assert local_data(definition).rows == {"train": 40, "validation": 20}
        assert len(reads) == number
    shutil.rmtree("data")
    start_again()
    assert "file not found" in check_task(definition)[0]
