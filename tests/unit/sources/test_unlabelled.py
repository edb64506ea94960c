"""Texts without labels: which are left for a teacher to answer, and what is wrong with their files."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collection_files import make_collection
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of
from shallower.core.text_figures import unlabelled_in_words
from shallower.sources.tasks import fetch_calibration, fetch_task, fetch_test
from shallower.sources.unlabelled import UNITS, check_unlabelled, fetch_unlabelled, left_over, local_unlabelled
from tiny import make_task_files, make_test_file

NEW = ["a new text", "another one", "the third"]


@pytest.fixture
def definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A task in files in the working directory, with its tables under out/ and three new texts without labels."""
    monkeypatch.chdir(tmp_path)
    found = make_task_files("data", 40, 20)
    fetch_task(found, "out")
    write("data/new.csv", NEW)
    return found | {"unlabelled_file": "data/new.csv"}


def write(path: str, texts: list[str]) -> None:
    Path(path).write_text("\n".join(["text", *texts, ""]), encoding="utf-8")


def texts_of(split: str, folder: str = "out") -> list[str]:
    return pq.read_table(f"{folder}/{split}.parquet")["text"].to_pylist()


def fetched(definition: dict[str, Any], *others: str) -> tuple[pa.Table, dict[str, Any]]:
    """The table and the manifest."""
    fetch_unlabelled(definition, Path("out"), list(map(Path, others)), Path("unlabelled"))
    return pq.read_table("unlabelled/unlabelled.parquet"), read_json("unlabelled/manifest.json")


def test_a_row_counts_once_for_the_first_reason() -> None:
    table = pa.table({"id": range(8), "text": ["v", "V ", "c", "t", "a  b", "A B", "new", "v c"]})
    found = {"train": ["t", "v", "c"], "validation": ["v"], "calibration": ["c", "v"]}
    others = {split: pa.table({"text": texts}) for split, texts in found.items()}
    left, counts = left_over(table, others)
    assert left["id"].to_pylist() == [4, 6, 7]
    assert counts == {"read": 8, "validation": 2, "calibration": 1, "train": 1, "repeated": 1, "left": 3}
    assert unlabelled_in_words(counts) == (
        "8 rows read, 5 were left out: 2 with texts of validation rows, 1 with texts of calibration rows, 1 with texts"
        " of training rows, 1 that repeat an earlier one"
    )


def test_parts_of_texts_that_are_scored_on_are_left_out() -> None:
    """Where texts without labels are taken sentence by sentence, those of a validation text are among them."""
    table = pa.table({"id": range(3), "text": ["It rains.", "Snow falls.", "The sun shines."]})
    others = {"train": pa.table({"text": ["none"]}), "validation": pa.table({"text": ["It rains. Snow falls."]})}
    left, counts = left_over(table, others, UNITS["sentence"])
    assert left["text"].to_pylist() == ["The sun shines."]
    assert counts["validation"] == 2
    assert left_over(table, others)[1]["left"] == 3
    lines = {"train": pa.table({"text": ["none"]}), "validation": pa.table({"text": ["Snow falls.\nIT rains.\n"]})}
    for unit in ("line", "sentence"):
        assert left_over(table, lines, UNITS[unit])[0]["text"].to_pylist() == ["The sun shines."]


def test_rows_of_test_examples_are_left_out(definition: dict[str, Any]) -> None:
    make_test_file("data", 5)
    fetch_test(definition | {"test_file": "data/test.csv"}, "test")
    known = texts_of("test", "test")
    assert known[-1] in texts_of("train")
    write("data/new.csv", [*NEW, known[0].upper(), known[-1]])
    table, manifest = fetched(definition, "test/test.parquet")
    assert table["text"].to_pylist() == NEW
    counts = {"read": 5, "test": 2, "validation": 0, "calibration": 0, "train": 0, "repeated": 0, "left": 3}
    assert manifest["found"] == counts
    assert unlabelled_in_words(counts) == "5 rows read, 2 were left out: 2 with texts of test rows"
    assert manifest["compared_with"]["test.parquet"] == sha256_of("test/test.parquet")
    assert "test" not in fetched(definition)[1]["found"]


def test_pairs_are_compared_as_pairs() -> None:
    table = pa.table({"id": [0, 1, 2], "text": ["a", "a", "a b"], "text_pair": ["x", "y", "c"]})
    train = pa.table({"text": ["a", "x", "a"], "text_pair": ["x", "a", "b c"]})
    left, counts = left_over(table, {"train": train, "validation": train[:1]})
    assert left["id"].to_pylist() == [1, 2]
    assert (counts["validation"], counts["train"]) == (1, 0)


def test_nothing_left_out_is_said_shortly() -> None:
    _, counts = left_over(pa.table({"id": [0], "text": ["a"]}), {"train": pa.table({"text": ["b"]})})
    assert unlabelled_in_words(counts) == "1 rows read, 0 were left out"


def test_what_is_left_and_the_record_of_it(definition: dict[str, Any]) -> None:
    own = make_task_files("data", 40, 20) | {"train_examples": 15}
    fetch_task(own, "out")
    fetch_calibration(own, 10, "calibration")
    others = [texts_of("validation")[3], texts_of("calibration", "calibration")[0], texts_of("train")[7]]
    write("data/new.csv", [NEW[0], *others, *NEW])
    asked = definition | own | {"calibration_examples": 10}
    table, manifest = fetched(asked, "calibration/calibration.parquet")
    assert table.to_pylist() == [{"id": row, "text": text} for row, text in ((0, NEW[0]), (5, NEW[1]), (6, NEW[2]))]
    assert manifest["found"] == {
        "read": 7,
        "validation": 1,
        "calibration": 1,
        "train": 1,
        "repeated": 1,
        "left": 3,
    }
    assert manifest["source"] == asked
    assert manifest["rows"] == {"unlabelled": 3}
    assert manifest["text_bytes"] == sum(map(len, NEW))
    assert manifest["originals"] == {"unlabelled": {"file": "new.csv", "sha256": sha256_of("data/new.csv")}}
    assert manifest["sha256"] == {"unlabelled.parquet": sha256_of("unlabelled/unlabelled.parquet")}
    assert manifest["compared_with"] == {
        "train.parquet": sha256_of("out/train.parquet"),
        "validation.parquet": sha256_of("out/validation.parquet"),
        "calibration.parquet": sha256_of("calibration/calibration.parquet"),
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("new.tsv", "label\ttext\nunheard of\ta new text\n\tanother one\n\tthe third\n"),
        ("new.csv.gz", gzip.compress("text\na new text\nanother one\nthe third\n".encode("utf-8-sig"))),
        ("new.jsonl", "".join(json.dumps({"text": text, "label": 99}) + "\n" for text in NEW)),
        ("new.parquet", lambda path: pq.write_table(pa.table({"label": [None] * 3, "text": NEW}), path)),
    ],
    ids=["tsv", "csv.gz", "jsonl", "parquet"],
)
def test_files_of_all_kinds_give_the_same_and_their_labels_are_not_looked_at(
    definition: dict[str, Any], name: str, content: str | bytes | Callable[[Path], None]
) -> None:
    path = Path("data") / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    asked = definition | {"unlabelled_file": str(path)}
    assert check_unlabelled(asked) == []
    assert local_unlabelled(asked).rows == {"unlabelled": 3}
    assert fetched(asked)[0].equals(fetched(definition)[0])


def test_files_without_names_of_columns_are_read_by_those_of_the_task(definition: dict[str, Any]) -> None:
    Path("data/new.csv").write_text("x,a new text,\ny,another one,\nz,the third,good\n")
    asked = definition | {"columns": ["id", "text", "label"]}
    assert fetched(asked)[0]["text"].to_pylist() == NEW
    Path("data/new.csv").write_text("a new text\n")
    (problem,) = check_unlabelled(asked)
    assert "row 1 has 1 fields, the study names 3" in problem


def test_several_files_are_one_after_another(definition: dict[str, Any]) -> None:
    write("data/new-1.csv", NEW[:2])
    write("data/new-2.csv", [NEW[1], NEW[2]])
    table, manifest = fetched(definition | {"unlabelled_file": "data/new-*.csv"})
    assert table["id"].to_pylist() == [0, 1, 3]
    assert {name: file["file"] for name, file in manifest["originals"].items()} == {
        "unlabelled 1": "new-1.csv",
        "unlabelled 2": "new-2.csv",
    }


def test_a_slice_is_drawn_from_what_is_left(definition: dict[str, Any]) -> None:
    write("data/new.csv", [*texts_of("train"), *(f"new text {number}" for number in range(100))])
    whole, manifest = fetched(definition)
    part, of_part = fetched(definition | {"unlabelled_examples": 30})
    assert (len(whole), len(part)) == (100, 30)
    assert part.to_pylist() == [row for row in whole.to_pylist() if row in part.to_pylist()]
    assert part.to_pylist() != whole[:30].to_pylist()
    assert part.equals(fetched(definition | {"unlabelled_examples": 30})[0])
    assert of_part["found"] == manifest["found"]
    assert of_part["rows"] == {"unlabelled": 30}


def test_nothing_left_is_one_line_with_the_reasons(definition: dict[str, Any]) -> None:
    write("data/new.csv", [*texts_of("train")[:3], texts_of("validation")[0].upper()])
    with pytest.raises(UserError) as caught:
        fetched(definition)
    assert str(caught.value) == (
        "data/new.csv: no row is left to learn from; of 4 rows read, 4 were left out: 1 with texts of validation rows, "
        "3 with texts of training rows; name a file of other texts"
    )
    assert not Path("unlabelled").exists()


def test_fewer_left_than_the_study_asks_for(definition: dict[str, Any]) -> None:
    write("data/new.csv", [*NEW, NEW[0]])
    asked = definition | {"unlabelled_examples": 4}
    assert check_unlabelled(asked) == []
    with pytest.raises(UserError, match=r"unlabelled_examples asks for 4, but 3 are left; of 4 rows read.*ask for few"):
        fetched(asked)
    (problem,) = check_unlabelled(definition | {"unlabelled_examples": 5})
    assert problem == "data/new.csv: has 4 rows, unlabelled_examples asks for 5; ask for fewer"


def test_parts_of_invisible_characters_are_no_texts(tmp_path: Path) -> None:
    collection = make_collection(tmp_path / "data")
    (tmp_path / "new.csv").write_text('text\n"Hello.\n\u200b\nWorld."\n', encoding="utf-8")
    asked = collection | {"unlabelled_file": str(tmp_path / "new.csv"), "unlabelled_unit": "line"}
    assert local_unlabelled(asked).rows == {"unlabelled": 2}


def test_bad_rows_of_all_files_are_told(definition: dict[str, Any]) -> None:
    write("data/new-1.csv", ["one", '""'])
    Path("data/new-2.csv").write_text("sentence\none\n")
    problems = check_unlabelled(definition | {"unlabelled_file": "data/new-*.csv"})
    assert problems == [
        "data/new-1.csv: row 2: text is empty; fill it or remove the row",
        "data/new-2.csv: no column 'text'; it has 'sentence'",
    ]


def test_damaged_data_of_the_task_is_not_compared_with(definition: dict[str, Any]) -> None:
    pq.write_table(pq.read_table("out/train.parquet")[:5], "out/train.parquet")
    with pytest.raises(UserError, match=r"out/train\.parquet.*damaged"):
        fetched(definition)
