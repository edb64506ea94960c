"""Test examples: from every source, read as the other splits are, and what of them other splits have."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from package_archives import tar_bytes
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of
from shallower.sources.glue import HUB_REVISION
from shallower.sources.repeats import in_others, num_compared, repeated_texts
from shallower.sources.task_sources import TASK_SOURCES
from shallower.sources.tasks import check_task, fetch_calibration, fetch_task, fetch_test, local_data
from tiny import make_task_files, make_test_file

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A task in files in the working directory, with ten test rows, the last of which is a training row."""
    monkeypatch.chdir(tmp_path)
    found = make_task_files("data", 40, 20)
    make_test_file("data", 9)
    return found | {"test_file": "data/test.csv"}


def test_test_examples_have_the_form_of_other_splits(definition: dict[str, Any]) -> None:
    assert check_task(definition) == []
    assert local_data(definition).rows == {"train": 40, "validation": 20, "test": 10}
    fetch_test(definition, "test")
    fetch_task(definition, "out")
    table = pq.read_table("test/test.parquet")
    assert table.schema.equals(pq.read_table("out/validation.parquet").schema)
    rows = [line.rsplit(",", 1) for line in Path("data/test.csv").read_text().splitlines()[1:]]
    assert table["id"].to_pylist() == [*range(10)]
    assert table["text"].to_pylist() == [text for text, _ in rows]
    assert table["label"].to_pylist() == [("bad", "good").index(label) for _, label in rows]
    manifest = read_json("test/manifest.json")
    assert manifest["originals"] == {"test": {"file": "test.csv", "sha256": sha256_of("data/test.csv")}}
    assert manifest["rows"] == {"test": 10}
    assert sum(manifest["classes"]["test"].values()) == 10
    assert manifest["sha256"] == {"test.parquet": sha256_of("test/test.parquet")}


def test_a_part_of_the_test_examples(definition: dict[str, Any]) -> None:
    fetch_test(definition | {"test_examples": 4}, "part")
    fetch_test(definition, "whole")
    part, whole = (pq.read_table(f"{name}/test.parquet").to_pylist() for name in ("part", "whole"))
    assert len(part) == 4
    assert all(row in whole for row in part)


def test_the_other_splits_do_not_depend_on_test_examples(definition: dict[str, Any]) -> None:
    """Not even where those to train on are few: a test row may have a class that these lack by chance."""
    sliced = definition | {"train_examples": 6, "validation_examples": 5}
    without = {key: value for key, value in sliced.items() if key != "test_file"}
    for name, asked in (("with", sliced), ("without", without)):
        fetch_task(asked, name)
        fetch_calibration(asked, 10, f"{name}/calibration")
    for table in ("train.parquet", "validation.parquet", "calibration/calibration.parquet"):
        assert pq.read_table(f"with/{table}").equals(pq.read_table(f"without/{table}")), table
    assert [*read_json("with/calibration/manifest.json")["originals"]] == ["calibration"]


def test_labels_are_read_as_those_of_other_splits(definition: dict[str, Any]) -> None:
    """A test file whose labels are numbers, which are ids by themselves, next to classes that numbers name."""
    Path("data/train.csv").write_text("text,label\na,1\nb,0\nc,1\n")
    Path("data/validation.csv").write_text("text,label\nd,0\ne,1\n")
    Path("data/test.csv").write_text("text,label\nf,0\ng,1\n")
    fetch_test(definition | {"labels": ["1", "0"]}, "named")
    assert pq.read_table("named/test.parquet")["label"].to_pylist() == [1, 0]
    fetch_test(definition, "ids")
    assert pq.read_table("ids/test.parquet")["label"].to_pylist() == [0, 1]


# --- texts in several splits ----------------------------------------------------------------------------------------


def tables(**texts: list[str]) -> dict[str, pa.Table]:
    return {split: pa.table({"text": found}) for split, found in texts.items()}


def test_rows_that_other_splits_have_are_counted_for_each_split() -> None:
    found = tables(train=["a", "b", "b"], validation=["c", "a"], calibration=["d"], test=["a", "b", "b", "d", "e", "A"])
    assert in_others(found, "test") == {"test_in_train": 4, "test_in_validation": 2, "test_in_calibration": 1}
    assert repeated_texts(found) == {"train": 1, "validation_in_train": 1, **in_others(found, "test")}


def test_queries_of_a_collection_are_looked_for_in_both_texts_of_training_pairs() -> None:
    """Two queries and three documents; the one query is trained on, and one of another test collection's is a query."""
    train = pa.table({"text": ["a", "x"], "text_pair": ["d1", "b"]})
    documents = [[2], [3], [], [], []]
    validation = pa.table({"text": ["b", "c", "d1", "d2", "d3"], "documents": documents})
    test = pa.table({"text": ["c", "a", "d1", "d2", "d3"], "documents": documents})
    found = repeated_texts({"train": train, "validation": validation, "test": test})
    assert (found["validation_in_train"], found["compared"], found["train"]) == (1, {"validation": 2, "test": 2}, 0)
    assert (found["test_in_train"], found["test_in_validation"]) == (1, 1)
    assert num_compared(test) == 2


def test_the_step_counts_by_task(definition: dict[str, Any]) -> None:
    asked = {key: value for key, value in definition.items() if key != "test_file"} | {"calibration_examples": 10}
    fetch_task(asked, "out")
    fetch_calibration(asked, 10, "calibration")
    fetch_test(definition, "test")
    files = ["test/test.parquet", "out/train.parquet", "out/validation.parquet", "calibration/calibration.parquet"]
    script = PROJECT / "workflow/scripts/compare_texts.py"
    command = [sys.executable, script, "--task", "tiny", *files, "--output", "found.json"]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(PROJECT / "workflow")}, capture_output=True)
    counts = json.loads(Path("found.json").read_text())["tiny"]
    assert counts["rows"] == 10
    # The training row, whether it was taken to calibrate or not.
    assert counts["repeats"]["test_in_train"] + counts["repeats"]["test_in_calibration"] == 1
    assert counts["repeats"]["test_in_validation"] == 0


# --- other sources --------------------------------------------------------------------------------------------------


def test_the_further_split_of_mnli(tmp_path: Path) -> None:
    source, asked = TASK_SOURCES["glue"], {"subset": "mnli", "test_split": "validation_mismatched"}
    on_hub = source.hub_files(asked | {"directory": None})
    assert on_hub is not None and on_hub.revision == HUB_REVISION
    assert on_hub.names["test"] == "mnli/validation_mismatched-00000-of-00001.parquet"
    assert on_hub.names["validation"] == "mnli/validation_matched-00000-of-00001.parquet"
    here = source.files_here(asked | {"directory": str(tmp_path)})
    assert here["test"] == [tmp_path / "validation_mismatched.parquet"]
    assert [*source.files_here({"subset": "mnli", "directory": str(tmp_path)})] == ["train", "validation"]


def test_a_file_of_a_repository_on_the_hub(definition: dict[str, Any]) -> None:
    asked = definition | {"source": "hub", "repository": "owner/data", "revision": "0" * 40}
    on_hub = TASK_SOURCES["hub"].hub_files(asked)
    assert on_hub is not None and on_hub.names["test"] == "data/test.csv"
    assert check_task(asked) == []
    assert check_task(asked | {"test_file": "data/test.txt"}) == [
        "data/test.txt: unknown kind of file; use .parquet, .csv, .tsv, .jsonl, .conll, .conllu"
    ]
    (problem,) = check_task(asked | {"test_file": "data/./train.csv"})
    assert problem == "train_file and test_file are the same file, data/train.csv; name two files without common rows"


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A task in a source archive with a file of twenty rows, and one of four test rows, one text of which is twice."""
    rows = "".join(f"text {number}\t{number % 2}\n" for number in range(20))
    more = "text 3\t1\nnew\t0\nnew\t0\nnewer\t1\n"
    archive = tmp_path / "index/some_data-1.0.tar.gz"
    archive.parent.mkdir()
    header = b"text\tlabel\n"
    # Both have one name, in folders of their own.
    files = {"a/rows.tsv": rows, "b/rows.tsv": more}
    archive.write_bytes(tar_bytes({f"some_data-1.0/{name}": header + text.encode() for name, text in files.items()}))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("SHALLOWER_CACHE", str(tmp_path / "cache"))
    return {
        "name": "packed",
        "source": "package",
        "package": "some-data",
        "version": "1.0",
        "format": "tsv",
        "sha256": sha256_of(archive),
        "path": "some_data-1.0/a/rows.tsv",
        "test_file": "some_data-1.0/b/rows.tsv",
        "text": ["text"],
        "label": "label",
        "target": "classification",
        "labels": ["no", "yes"],
        "validation_examples": 4,
    }


def test_a_file_of_its_own_in_a_package(packaged: dict[str, Any], tmp_path: Path) -> None:
    assert check_task(packaged) == []
    fetch_test(packaged, tmp_path / "test")
    rows = pq.read_table(tmp_path / "test/test.parquet").to_pylist()
    assert [(row["text"], row["label"]) for row in rows] == [("text 3", 1), ("new", 0), ("newer", 1)]
    without = {key: value for key, value in packaged.items() if key != "test_file"}
    for name, asked in (("with", packaged), ("without", without)):
        fetch_task(asked, tmp_path / name)
    for split in ("train", "validation"):
        both = [pq.read_table(tmp_path / name / f"{split}.parquet") for name in ("with", "without")]
        assert both[0].equals(both[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_examples": 4}, "rows.tsv: has 3 different texts, the study asks for 4 to test on; ask for fewer"),
        ({"test_file": "some_data-1.0/c.tsv"}, "some-data 1.0: has no file some_data-1.0/c.tsv"),
    ],
)
def test_a_package_without_such_test_examples(
    packaged: dict[str, Any], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as error:
        fetch_test(packaged | changes, tmp_path / "test")
    assert message in str(error.value)


def test_paths_in_a_package_are_checked(packaged: dict[str, Any]) -> None:
    (outside,) = check_task(packaged | {"test_file": "../b.tsv"})
    assert "'../b.tsv' must name a file inside the package" in outside
    (same,) = check_task(packaged | {"test_file": packaged["path"]})
    assert same.startswith("path and test_file are the same file, some_data-1.0/a/rows.tsv")
