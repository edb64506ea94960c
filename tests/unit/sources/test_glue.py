"""The table of GLUE tasks, against Hugging Face's and against the files where they are at hand."""

import pyarrow.parquet as pq
import pytest

from glue_files import glue_file
from labelled import read_one
from shallower.sources.glue import GLUE_TASKS, HUB_REVISION, hub_file
from shallower.sources.labelled_files import Columns

# Examples of each split in GLUE.
ROWS = {
    "cola": (8551, 1043),
    "mnli": (392702, 9815),
    "mrpc": (3668, 408),
    "qnli": (104743, 5463),
    "rte": (2490, 277),
    "sst2": (67349, 872),
    "stsb": (5749, 1500),
    "wnli": (635, 71),
}


def test_the_nine_tasks() -> None:
    assert sorted(GLUE_TASKS) == ["cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb", "wnli"]


def test_classes_stand_in_the_order_of_their_ids() -> None:
    assert {name: task.labels for name, task in GLUE_TASKS.items()} == {
        "cola": ("unacceptable", "acceptable"),
        "mnli": ("entailment", "neutral", "contradiction"),
        "mrpc": ("not_equivalent", "equivalent"),
        "qnli": ("entailment", "not_entailment"),
        "qqp": ("not_duplicate", "duplicate"),
        "rte": ("entailment", "not_entailment"),
        "sst2": ("negative", "positive"),
        "stsb": None,
        "wnli": ("not_entailment", "entailment"),
    }


def test_metrics_are_those_of_glue() -> None:
    metrics = {name: task.metrics for name, task in GLUE_TASKS.items()}
    assert metrics.pop("cola") == ("matthews_correlation",)
    assert metrics.pop("stsb") == ("pearson", "spearmanr")
    assert metrics.pop("mrpc") == metrics.pop("qqp") == ("accuracy", "f1")
    assert set(metrics.values()) == {("accuracy",)}


def test_only_stsb_is_a_regression() -> None:
    assert [name for name, task in GLUE_TASKS.items() if task.target == "regression"] == ["stsb"]


def test_files_on_the_hub() -> None:
    assert len(HUB_REVISION) == 40
    assert hub_file("mrpc", "validation") == "mrpc/validation-00000-of-00001.parquet"
    assert hub_file("mnli", "train") == "mnli/train-00000-of-00001.parquet"
    assert hub_file("mnli", "validation") == "mnli/validation_matched-00000-of-00001.parquet"


@pytest.mark.glue
@pytest.mark.parametrize("name", sorted(GLUE_TASKS))
@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_real_files_fit(name: str, split: str) -> None:
    task = GLUE_TASKS[name]
    path = glue_file(name, task.validation if split == "validation" else split)
    table = read_one(path, Columns(task.text, "label", task.labels, target=task.target))
    assert len(table) == ROWS[name][split == "validation"]
    assert table.column_names == ["id", "text", *["text_pair"][: len(task.text) - 1], "label"]
    # Ids as in the file: the classes there are in the same order as in our table.
    assert table.column("label").to_pylist() == pytest.approx(pq.read_table(path).column("label").to_pylist())
