"""Tasks from every source come out in one form, and what is wrong with them is reported before any job runs."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glue_files import glue_folder
from hub_server import ALWAYS, Fault, HubServer
from package_archives import tar_bytes
from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of
from shallower.core.layout import SPLITS
from shallower.sources import task_sources
from shallower.sources.repeats import repeated_texts
from shallower.sources.tasks import check_task, fetch_calibration, fetch_task, local_data, task_files
from tiny import make_task_files

ROOT = Path(__file__).parents[3]


def own_task(
    folder: Path,
    rows_train: int = 40,
    rows_validation: int = 20,
    pair: bool = False,
    regression: bool = False,
    **others: Any,
) -> dict[str, Any]:
    """A task in files, as a study defines it."""
    return make_task_files(folder, rows_train, rows_validation, pair, regression) | others


def read(folder: Path) -> dict[str, pa.Table]:
    return {split: pq.read_table(folder / f"{split}.parquet") for split in ("train", "validation")}


# --- one's own files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [False, True])
def test_a_classification(tmp_path: Path, pair: bool) -> None:
    definition = own_task(tmp_path, pair=pair)
    fetch_task(definition, tmp_path / "out")
    tables = read(tmp_path / "out")
    columns = [("id", pa.int64()), ("text", pa.string()), ("text_pair", pa.string()), ("label", pa.int64())]
    expected = pa.schema([column for column in columns if pair or column[0] != "text_pair"])
    assert all(table.schema.equals(expected) for table in tables.values())
    described = read_json(tmp_path / "out" / "task.json")
    texts = [row[name] for table in tables.values() for row in table.to_pylist() for name in row if "text" in name]
    assert described.pop("text_bytes") == sum(len(text.encode()) for text in texts)
    assert described == {
        "name": "tiny",
        "target": "classification",
        "labels": ["bad", "good"],
        "has_pair": pair,
        "rows": {"train": 40, "validation": 20},
    }
    lines = (tmp_path / "train.csv").read_text().splitlines()[1:]
    rows = tables["train"].to_pylist()
    assert [row["id"] for row in rows] == list(range(40))
    again = [
        ",".join([*(row[name] for name in ("text", "text_pair") if name in row), ("bad", "good")[row["label"]]])
        for row in rows
    ]
    assert again == lines


def test_a_regression(tmp_path: Path) -> None:
    fetch_task(own_task(tmp_path, regression=True), tmp_path / "out")
    task = read_json(tmp_path / "out" / "task.json")
    assert (task["target"], task["labels"]) == ("regression", None)
    assert read(tmp_path / "out")["train"].schema.field("label").type == pa.float64()


def test_pairs_that_are_scored_alone(tmp_path: Path) -> None:
    definition = own_task(tmp_path / "data", 4, 12, pair=True, regression=True)
    del definition["train_file"]
    definition |= {"target": "embedding", "similarity_range": [0, 5]}
    assert check_task(definition) == []
    fetch_task(definition, tmp_path / "task")
    task = read_json(tmp_path / "task/task.json")
    assert (task["rows"], task["has_pair"]) == ({"train": 0, "validation": 12}, True)
    train, validation = (pq.read_table(tmp_path / f"task/{split}.parquet") for split in ("train", "validation"))
    assert train.schema == validation.schema
    assert read_json(tmp_path / "task/manifest.json")["repeats"] == {"train": 0, "validation_in_train": 0}
    (problem,) = check_task(definition | {"train_examples": 5})
    assert "has 0 rows, the study asks for 5" in problem


def test_the_manifest_says_what_was_used(tmp_path: Path) -> None:
    definition = own_task(tmp_path)
    fetch_task(definition, tmp_path / "out")
    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert manifest["source"] == definition
    assert manifest["reading"] == {"labels": "names", "remarks": []}
    assert manifest["originals"]["train"] == {"file": "train.csv", "sha256": sha256_of(tmp_path / "train.csv")}
    for name, digest in manifest["sha256"].items():
        assert digest == sha256_of(tmp_path / "out" / name)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "task.json",
        "train.parquet",
        "validation.parquet",
    ]


def test_repeated_rows_are_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    definition = own_task(tmp_path)
    train, validation = (tmp_path / f"{split}.csv" for split in ("train", "validation"))
    rows = ["one text,good", "another text,bad", "one text,bad", "One text,bad", "one text,good"]
    train.write_text("\n".join(["text,label", *rows]))
    validation.write_text("\n".join(["text,label", "one text,bad", "new,good", "one text,good", "other,bad"]))
    with caplog.at_level(logging.INFO):
        fetch_task(definition, tmp_path / "out")
    assert read_json(tmp_path / "out" / "manifest.json")["repeats"] == {"train": 3, "validation_in_train": 2}
    assert "train: 3 of 5 rows have the texts of an earlier one" in caplog.text
    assert "validation: 2 of 4 rows have the texts of training rows" in caplog.text
    assert local_data(definition).repeats == {"train": 3, "validation_in_train": 2}


def test_a_pair_is_repeated_as_a_whole() -> None:
    train = pa.table({"text": ["a", "a", "b"], "text_pair": ["x", "y", "x"]})
    validation = pa.table({"text": ["b", "a", "x"], "text_pair": ["y", "y", "b"]})
    assert repeated_texts({"train": train, "validation": validation}) == {"train": 0, "validation_in_train": 1}


def test_a_slice_is_a_fixed_part_in_the_same_order(tmp_path: Path) -> None:
    whole, part = own_task(tmp_path), own_task(tmp_path, train_examples=15, validation_examples=8)
    for name, definition in (("whole", whole), ("part", part), ("again", part)):
        fetch_task(definition, tmp_path / name)
    tables = {name: read(tmp_path / name)["train"].to_pylist() for name in ("whole", "part", "again")}
    assert tables["part"] == tables["again"] == [row for row in tables["whole"] if row in tables["part"]]
    assert len(tables["part"]) == 15
    assert tables["part"] != tables["whole"][:15], "drawn from all rows, not the first ones"
    assert read_json(tmp_path / "part" / "task.json")["rows"] == {"train": 15, "validation": 8}


def test_more_than_there_is(tmp_path: Path) -> None:
    (problem,) = check_task(own_task(tmp_path, validation_examples=21))
    assert problem == f"{tmp_path / 'validation.csv'}: has 20 rows, the study asks for 21; ask for fewer"


def test_slices_of_many_classes_hold_each(tmp_path: Path) -> None:
    names = [f"intent {number}" for number in range(50)]
    for split, rows in (("train", 500), ("validation", 100)):
        lines = [f"{split} text {number},{names[number % 50]}" for number in range(rows)]
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *lines]))
    definition = own_task(tmp_path / "other", labels=names) | {
        f"{split}_file": str(tmp_path / f"{split}.csv") for split in ("train", "validation")
    }
    fetch_task(definition | {"train_examples": 60}, tmp_path / "out")
    assert set(read(tmp_path / "out")["train"]["label"].to_pylist()) == set(range(50))
    assert check_task(definition | {"train_examples": 60, "validation_examples": 30}) == []
    (problem,) = check_task(definition | {"train_examples": 49})
    assert problem.startswith("train_examples: 49 rows cannot hold the 50 classes of the validation split (such as")


def ids_of(path: Path) -> list[int]:
    return pq.read_table(path)["id"].to_pylist()


@pytest.mark.parametrize("regression", [False, True])
def test_calibration_is_drawn_from_what_training_leaves(tmp_path: Path, regression: bool) -> None:
    definition = own_task(tmp_path, regression=regression, train_examples=20)
    fetch_task(definition, tmp_path / "out")
    fetch_calibration(definition, 15, tmp_path / "calibration")
    calibration = pq.read_table(tmp_path / "calibration/calibration.parquet")
    assert len(calibration) == 15
    assert not {*calibration["id"].to_pylist()} & {*ids_of(tmp_path / "out/train.parquet")}
    manifest = read_json(tmp_path / "calibration/manifest.json")
    assert manifest["source"] == definition | {"calibration_examples": 15}
    assert manifest["seed"] == 0
    assert manifest["originals"] == {
        "calibration": {"file": "train.csv", "sha256": sha256_of(tmp_path / "train.csv")},
    }
    assert manifest["sha256"] == {"calibration.parquet": sha256_of(tmp_path / "calibration/calibration.parquet")}
    if not regression:
        assert sum(manifest["classes"]["calibration"].values()) == 15
        assert abs(manifest["classes"]["calibration"]["good"] - 7.5) < 1


def test_calibration_rows_whose_texts_other_splits_have_are_counted(tmp_path: Path, caplog) -> None:
    definition = own_task(tmp_path)
    rows = (tmp_path / "train.csv").read_text().splitlines()
    (tmp_path / "validation.csv").write_text("\n".join([rows[0], *rows[1:31]]) + "\n")
    (tmp_path / "train.csv").write_text("\n".join([*rows, *rows[1:]]) + "\n")
    with caplog.at_level("INFO", "shallower"):
        fetch_calibration(definition | {"calibration_examples": 40}, 40, tmp_path / "calibration")
        fetch_task(definition | {"calibration_examples": 40}, tmp_path / "out")
    texts = pq.read_table(tmp_path / "calibration/calibration.parquet")["text"].to_pylist()
    found = read_json(tmp_path / "calibration/manifest.json")["repeats"]
    splits = {split: {*pq.read_table(tmp_path / f"out/{split}.parquet")["text"].to_pylist()} for split in SPLITS}
    assert found == {f"calibration_in_{split}": sum(text in splits[split] for text in texts) for split in SPLITS}
    assert 0 < found["calibration_in_train"] < 40 and 0 < found["calibration_in_validation"] < 40
    said = "calibration: {} rows have the texts of training rows, {} of validation rows".format(*found.values())
    assert said in caplog.text


def test_without_a_number_of_training_examples_training_does_without_those_of_calibration(tmp_path: Path) -> None:
    definition = own_task(tmp_path)
    fetch_task(definition, tmp_path / "all")
    fetch_task(definition | {"calibration_examples": 16}, tmp_path / "out")
    fetch_calibration(definition | {"calibration_examples": 16}, 16, tmp_path / "calibration")
    train, calibration = ids_of(tmp_path / "out/train.parquet"), ids_of(tmp_path / "calibration/calibration.parquet")
    assert (len(train), len(calibration)) == (24, 16)
    assert sorted(train + calibration) == ids_of(tmp_path / "all/train.parquet")
    assert ids_of(tmp_path / "out/validation.parquet") == ids_of(tmp_path / "all/validation.parquet")
    assert read_json(tmp_path / "out/task.json")["rows"] == {"train": 24, "validation": 20}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"calibration_examples": 39},
            "train.csv: has 40 rows, the study asks for 39 to calibrate with and at least 2",
        ),
        (
            {"calibration_examples": 21, "train_examples": 20},
            "train.csv: has 40 rows, the study asks for 20 to train on and 21 to calibrate with; ask for fewer",
        ),
    ],
)
def test_more_calibration_examples_than_there_are(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    (problem,) = check_task(own_task(tmp_path, **changes))
    assert message in problem


def test_problems_of_both_files_are_reported_together_and_nothing_is_written(tmp_path: Path) -> None:
    definition = own_task(tmp_path)
    for split in ("train", "validation"):
        path = tmp_path / f"{split}.csv"
        path.write_text(path.read_text() + "some text,ugly\n")
    problems = check_task(definition)
    files = [problem.partition(": ")[0] for problem in problems]
    assert files == [definition["train_file"], definition["validation_file"]]
    assert "row 41: label 'ugly'" in problems[0]
    assert "row 21: label 'ugly'" in problems[1]
    with pytest.raises(UserError, match="2 problems"):
        fetch_task(definition, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_problems_of_the_splits_as_a_whole(tmp_path: Path) -> None:
    definition = own_task(tmp_path)
    path = tmp_path / "train.csv"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if not line.endswith("good")))
    first, second = check_task(definition)
    assert "train split has only the class 'bad'" in first
    assert "validation split has 'good', which the train split lacks" in second


def test_a_path_may_begin_with_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = own_task(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    at_home = definition | {"train_file": "~/data/train.csv"}
    assert task_files(at_home)["train"] == [tmp_path / "data/train.csv"]
    assert check_task(at_home) == []
    (problem,) = check_task(at_home | {"validation_file": str(tmp_path / "data/train.csv")})
    assert "are the same file" in problem


def test_a_good_task_has_no_problems(tmp_path: Path) -> None:
    assert check_task(own_task(tmp_path)) == []
    assert check_task(own_task(tmp_path, pair=True, regression=True)) == []


def test_files_of_a_task(tmp_path: Path) -> None:
    definition = own_task(tmp_path)
    assert task_files(definition) == {split: [tmp_path / f"{split}.csv"] for split in ("train", "validation")}
    assert task_files({"source": "package", "package": "some-data"}) == {}
    assert task_files({"source": "glue", "subset": "rte", "directory": None}) == {}


def test_several_files_of_a_split(tmp_path: Path) -> None:
    whole = own_task(tmp_path)
    lines = (tmp_path / "train.csv").read_text().splitlines(keepends=True)
    for part, rows in enumerate((lines[1:16], lines[16:])):
        (tmp_path / f"part-{part}.csv").write_text(lines[0] + "".join(rows))
    parts = whole | {"train_file": str(tmp_path / "part-*.csv")}
    assert task_files(parts)["train"] == [tmp_path / "part-0.csv", tmp_path / "part-1.csv"]
    assert check_task(parts) == []
    for name, definition in (("whole", whole), ("parts", parts)):
        fetch_task(definition, tmp_path / name)
    assert read(tmp_path / "parts")["train"].equals(read(tmp_path / "whole")["train"])
    originals = read_json(tmp_path / "parts" / "manifest.json")["originals"]
    assert {name: original["file"] for name, original in originals.items()} == {
        "train 1": "part-0.csv",
        "train 2": "part-1.csv",
        "validation": "validation.csv",
    }
    with (tmp_path / "part-1.csv").open("a") as file:
        file.write("some text,ugly\n")
    (problem,) = check_task(parts)
    assert problem.startswith(f"{tmp_path}/part-1.csv: row 26: label 'ugly'")
    (problem,) = check_task(parts | {"validation_file": str(tmp_path / "part-0.csv")})
    assert "are the same file" in problem
    (tmp_path / "part-0.csv").rename(tmp_path / "part-{n}.csv")
    (problem,) = check_task(parts)
    assert problem == f"{tmp_path}/part-{{n}}.csv: Snakemake takes braces for wildcards; rename the file"
    (problem,) = check_task(whole | {"train_file": str(tmp_path / "none-*.csv")})
    assert problem == f"{tmp_path}/none-*.csv: file not found"


def test_the_script_reports_a_mistake_without_a_traceback(tmp_path: Path) -> None:
    definition = own_task(tmp_path)
    command = [sys.executable, "workflow/scripts/download_task.py", "--output-dir", str(tmp_path / "out"), "--task"]
    environment = {**os.environ, "PYTHONPATH": "workflow"}
    done = subprocess.run([*command, json.dumps(definition)], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(read(tmp_path / "out")["train"]) == 40
    wrong = json.dumps(definition | {"label": "gold"})
    done = subprocess.run([*command, wrong], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no column 'gold'; it has 'text', 'label'" in done.stderr
    assert "Traceback" not in done.stderr


# --- GLUE ----------------------------------------------------------------------------------------------------------


def glue_task(subset: str, directory: Path | None, **others: Any) -> dict[str, Any]:
    return {"name": subset, "source": "glue", "subset": subset, "directory": directory and str(directory), **others}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_glue_from_a_folder_in_any_form(tmp_path: Path, suffix: str) -> None:
    rows = [{"premise": f"a {n}", "hypothesis": f"b {n}", "label": n % 3, "idx": n} for n in range(9)]
    for name in ("train", "validation_matched", "validation_mismatched"):
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        elif suffix == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            lines = [list(rows[0]), *(row.values() for row in rows)]
            path.write_text("".join({"csv": ",", "tsv": "\t"}[suffix].join(map(str, line)) + "\n" for line in lines))
    definition = glue_task("mnli", tmp_path)
    assert task_files(definition) == {
        "train": [tmp_path / f"train.{suffix}"],
        "validation": [tmp_path / f"validation_matched.{suffix}"],
    }
    assert check_task(definition) == []
    fetch_task(definition, tmp_path / "out")
    assert read_json(tmp_path / "out" / "task.json")["labels"] == ["entailment", "neutral", "contradiction"]
    table = read(tmp_path / "out")["validation"]
    assert table.column("text_pair").to_pylist() == [row["hypothesis"] for row in rows]
    assert table.column("label").to_pylist() == [row["label"] for row in rows]


def test_glue_files_that_are_not_there(tmp_path: Path) -> None:
    assert check_task(glue_task("rte", tmp_path)) == [
        f"{tmp_path}/train.parquet: file not found; a GLUE folder holds the files of nyu-mll/glue "
        f"({tmp_path} has no files)"
    ]


def glue_parts(folder: Path, name: str, parts: int) -> None:
    folder.mkdir(exist_ok=True)
    for part in range(parts):
        rows = [{"sentence1": f"a {n}", "sentence2": f"b {part}", "label": n % 2, "idx": n} for n in range(6)]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}-{part:05}-of-{parts:05}.parquet")


def test_glue_as_the_hub_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "mrpc"
    for name, parts in (("train", 3), ("validation", 1), ("test", 1)):
        glue_parts(folder, name, parts)
    definition = glue_task("mrpc", folder)
    assert [path.name for path in task_files(definition)["train"]] == [
        f"train-0000{n}-of-00003.parquet" for n in range(3)
    ]
    fetch_task(definition, tmp_path / "out")
    table = read(tmp_path / "out")["train"]
    assert table["id"].to_pylist() == list(range(18))
    assert table["text_pair"].to_pylist() == [f"b {part}" for part in range(3) for _ in range(6)]
    (folder / "train-00001-of-00003.parquet").unlink()
    assert check_task(definition) == [f"{folder}: 2 of 3 parts of train are there; get all of one version"]


def test_mnli_validation_is_the_matched_part(tmp_path: Path) -> None:
    for name in ("train", "validation_matched", "validation_mismatched"):
        glue_parts(tmp_path / "mnli", name, 1)
    (path,) = task_files(glue_task("mnli", tmp_path / "mnli"))["validation"]
    assert path.name == "validation_matched-00000-of-00001.parquet"


def test_other_layouts_of_glue_are_named(tmp_path: Path) -> None:
    original = tmp_path / "zip" / "SST-2"
    original.mkdir(parents=True)
    for name in ("train", "dev"):
        (original / f"{name}.tsv").write_text("sentence\tlabel\nnice \t1\nbad \t0\n")
    for folder in (tmp_path / "zip" / "sst2", original):
        (problem,) = check_task(glue_task("sst2", folder))
        assert problem.startswith(
            f"{folder}: GLUE as its original zip has it (dev.tsv, columns of its own) is not read"
        )
        assert problem.endswith("or glue_directory: null, which downloads them")
    saved = tmp_path / "saved" / "mrpc"
    (saved / "train").mkdir(parents=True)
    (saved / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    (problem,) = check_task(glue_task("mrpc", saved))
    assert problem.startswith(f"{saved}: is a folder of datasets' save_to_disk; write it as parquet: ")
    (problem,) = check_task(own_task(tmp_path / "own") | {"train_file": str(saved)})
    assert problem.startswith(f"{saved}: is a folder of datasets' save_to_disk")


def test_empty_texts_of_glue_are_kept(tmp_path: Path) -> None:
    rows = [{"question1": "" if n == 1 else "a", "question2": "b", "label": n % 2} for n in range(4)]
    for name in ("train", "validation"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    assert check_task(glue_task("qqp", tmp_path)) == []


@pytest.mark.glue
@pytest.mark.parametrize("subset", ["cola", "mrpc", "rte", "sst2", "stsb", "wnli"])
def test_real_glue(tmp_path: Path, subset: str) -> None:
    directory = glue_folder() / subset
    fetch_task(glue_task(subset, directory, train_examples=100), tmp_path)
    original = pq.read_table(directory / "train.parquet").to_pylist()
    for row in read(tmp_path)["train"].to_pylist():
        source = original[row["id"]]
        assert row["label"] == pytest.approx(source["label"])
        assert row["text"] == source.get("sentence", source.get("sentence1"))
        assert row.get("text_pair") == source.get("sentence2")


# --- data sets on a hub --------------------------------------------------------------------------------------------


@pytest.fixture
def hub_with_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_hub: Callable[..., HubServer]) -> HubServer:
    served = tmp_path / "served"
    for folder in ("own/data", "rte"):
        (served / folder).mkdir(parents=True)
    make_task_files(served / "own" / "data", 30, 10)
    rows = [{"sentence1": f"a {n}", "sentence2": f"b {n}", "label": n % 2, "idx": n} for n in range(12)]
    for split in ("train", "validation"):
        pq.write_table(pa.Table.from_pylist(rows), served / "rte" / f"{split}-00000-of-00001.parquet")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    repositories = {("dataset", "someone/data"): served / "own", ("dataset", "nyu-mll/glue"): served}
    return start_hub(repositories)


def hub_task(server: HubServer, **others: Any) -> dict[str, Any]:
    return {
        "name": "theirs",
        "source": "hub",
        "repository": "someone/data",
        "revision": server.revision("dataset", "someone/data"),
        "train_file": "data/train.csv",
        "validation_file": "data/validation.csv",
        "text": ["text"],
        "label": "label",
        "target": "classification",
        "labels": ["bad", "good"],
        **others,
    }


def test_a_data_set_on_a_hub(hub_with_data: HubServer, tmp_path: Path) -> None:
    definition = hub_task(hub_with_data, train_examples=20)
    assert check_task(definition) == [], "nothing is asked of the hub before the download"
    assert not hub_with_data.requests
    fetch_task(definition, tmp_path / "out")
    assert {split: len(table) for split, table in read(tmp_path / "out").items()} == {"train": 20, "validation": 10}
    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert manifest["source"]["revision"] == definition["revision"]
    served = tmp_path / "served" / "own" / "data" / "train.csv"
    assert manifest["originals"]["train"]["sha256"] == sha256_of(served)


def test_a_file_that_the_data_set_does_not_have(hub_with_data: HubServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data/absent\.csv"):
        fetch_task(hub_task(hub_with_data, train_file="data/absent.csv"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_download_that_fails_leaves_nothing(hub_with_data: HubServer, tmp_path: Path) -> None:
    hub_with_data.faults.append(Fault("/resolve/", times=ALWAYS, status=500))
    with pytest.raises(UserError):
        fetch_task(hub_task(hub_with_data), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_glue_from_the_hub(hub_with_data: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = hub_with_data.revision("dataset", "nyu-mll/glue")
    monkeypatch.setattr(task_sources, "HUB_REVISION", revision)
    fetch_task(glue_task("rte", None), tmp_path / "out")
    assert len(read(tmp_path / "out")["validation"]) == 12
    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert (manifest["repository"], manifest["revision"]) == ("nyu-mll/glue", revision)


# --- a file in a package -------------------------------------------------------------------------------------------

ROWS = [
    ("-2.5", "An awful film."),
    ("3", "A fine film."),
    ("0.1", "A film."),
    ("2", "a FINE  film."),
    ("-0.5", "Dull."),
]
ROWS += [(f"{(-1) ** n * (1 + n / 100)}", f"Sentence {n}.") for n in range(40)]


@pytest.fixture
def rated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A task in an archive inside a source archive, which an index in a folder offers."""
    content = "".join(f"{number}\t{rating}\t{text}\r\n" for number, (rating, text) in enumerate(ROWS, start=1))
    inner = tar_bytes({"set/rated.txt": content.encode()})
    (tmp_path / "index").mkdir()
    archive = tmp_path / "index" / "some_data-1.0.tar.gz"
    archive.write_bytes(tar_bytes({"some_data-1.0/setup.py": b"raise SystemExit", "some_data-1.0/set.tar.gz": inner}))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("SHALLOWER_CACHE", str(tmp_path / "cache"))
    return {
        "name": "rated",
        "source": "package",
        "package": "some-data",
        "version": "1.0",
        "sha256": sha256_of(archive),
        "path": "some_data-1.0/set.tar.gz/set/rated.txt",
        "format": "tsv",
        "columns": ["number", "rating", "text"],
        "text": ["text"],
        "label": "rating",
        "target": "classification",
        "labels": ["negative", "positive"],
        "label_ranges": [[-4, -0.5], [0.5, 4]],
        "validation_examples": 10,
    }


def rows_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {split: table.to_pylist() for split, table in read(folder).items()}


def test_ratings_become_classes_and_no_text_is_in_both_splits(rated: dict[str, Any], tmp_path: Path) -> None:
    assert check_task(rated) == []
    fetch_task(rated, tmp_path / "out")
    splits = rows_of(tmp_path / "out")
    rows = splits["train"] + splits["validation"]
    # All but row 2, whose rating is in no range, and row 3, which repeats the text of row 1.
    assert sorted(row["id"] for row in rows) == [0, 1, *range(4, len(ROWS))]
    assert {row["id"]: (float(ROWS[row["id"]][0]) > 0, ROWS[row["id"]][1]) for row in rows} == {
        row["id"]: (bool(row["label"]), row["text"]) for row in rows
    }
    assert len(splits["validation"]) == 10
    task = read_json(tmp_path / "out" / "task.json")
    assert (task["labels"], task["target"]) == (["negative", "positive"], "classification")
    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert manifest["source"]["sha256"] == rated["sha256"]
    assert manifest["originals"]["data"]["file"] == "rated.tsv"


def test_ratings_as_they_are(rated: dict[str, Any], tmp_path: Path) -> None:
    for key in ("labels", "label_ranges"):
        del rated[key]
    fetch_task(rated | {"target": "regression"}, tmp_path / "out")
    splits = rows_of(tmp_path / "out")
    rows = splits["train"] + splits["validation"]
    assert len(rows) == len(ROWS) - 1
    assert all(row["label"] == float(ROWS[row["id"]][0]) for row in rows)


def test_the_validation_examples_do_not_depend_on_the_training_examples(rated: dict[str, Any], tmp_path: Path) -> None:
    for name, size in (("few", 5), ("more", 20)):
        fetch_task(rated | {"train_examples": size}, tmp_path / name)
    few, more = rows_of(tmp_path / "few"), rows_of(tmp_path / "more")
    assert few["validation"] == more["validation"]
    assert (len(few["train"]), len(more["train"])) == (5, 20)
    assert all(row in more["train"] for row in few["train"])


def test_calibration_from_a_package(rated: dict[str, Any], tmp_path: Path) -> None:
    everything = {row["id"] for rows in rows_of_task(rated, tmp_path / "all").values() for row in rows}
    held = rows_of_task(rated | {"calibration_examples": 4}, tmp_path / "out")
    fetch_calibration(rated | {"calibration_examples": 4}, 4, tmp_path / "calibration")
    calibration = ids_of(tmp_path / "calibration/calibration.parquet")
    split_ids = [row["id"] for rows in held.values() for row in rows]
    assert len(calibration) == 4
    assert sorted(split_ids + calibration) == sorted(everything)


def rows_of_task(definition: dict[str, Any], folder: Path) -> dict[str, list[dict[str, Any]]]:
    fetch_task(definition, folder)
    return rows_of(folder)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"train_examples": 40}, "has 43 different texts, the study asks for 40 to train on and 10 to validate"),
        ({"path": "some_data-1.0/none.txt"}, r"some-data 1\.0: has no file some_data-1\.0/none\.txt; it has some_data"),
        ({"columns": ["number", "rating", "text", "more"]}, "row 1 has 3 fields, the study names 4"),
        ({"label": "text", "text": ["number"]}, "text 'An awful film.' is not a finite number"),
        ({"label_ranges": [[50, 60], [70, 80]]}, "no rating is in any of the label_ranges"),
    ],
)
def test_packages_that_do_not_hold_the_task(
    changes: dict[str, Any], message: str, rated: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        fetch_task(rated | changes, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"path": "../data.tsv"}, "path '../data.tsv' must name a file inside the package"),
        ({"columns": ["rating", "review"]}, "columns: has no 'text', which text or label names; add it"),
        ({"label_ranges": [[-4, 4]]}, "label_ranges: there are 1 for 2 labels; give one for each label"),
        ({"label_ranges": [[-4, 0], [0, 4]]}, "label_ranges: two of them overlap (both ends are included)"),
        ({"label_ranges": [[0, -4], [1, 4]]}, "label_ranges: [0, -4] ends before it begins"),
    ],
)
def test_definitions_that_are_refused_at_once(changes: dict[str, Any], message: str, rated: dict[str, Any]) -> None:
    (problem,) = check_task(rated | changes)
    assert problem.startswith(message)
