"""The contest of delivered models: its study, its goals and its table."""

from argparse import Namespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compare_delivered import study_config
from delivered_summary import DELIVERED, FULL, goals
from shallower.core.errors import UserError
from shallower.study.resolve import resolve_study
from write_readme import delivered_tables

OPTIONS = {
    "tasks": ["rte"],
    "strategies": ["subset-readout"],
    "amounts": [3],
    "rows": 50,
    "validation_rows": 30,
    "calibration": 20,
    "unlabelled": 25,
    "seeds": [1, 2],
    "epochs": 1,
    "refine_epochs": 1,
    "batch_size": 8,
    "learning_rate": 1e-4,
    "max_length": 64,
    "score_kept": 96,
    "rounds": 3,
    "device": "cpu",
}


def test_the_study_is_sound_and_chooses_nothing_by_the_test(tmp_path):
    with pytest.raises(UserError, match=r"rte/train\.parquet: file not found; name the folder .* --glue"):
        study_config(Namespace(glue=tmp_path, **OPTIONS), tmp_path / "parts")
    (tmp_path / "rte").mkdir()
    for split, rows in {"train": 120, "validation": 60}.items():
        texts = [f"{split} {number}" for number in range(rows)]
        table = pa.table(
            {"sentence1": texts, "sentence2": texts, "label": [0, 1] * (rows // 2), "idx": list(range(rows))}
        )
        pq.write_table(table, tmp_path / "rte" / f"{split}.parquet")
    config = study_config(Namespace(glue=tmp_path, **OPTIONS), tmp_path / "parts")
    (task,) = config["tasks"]
    texts = {
        part: set(pq.read_table(task[f"{part}_file"])["text"].to_pylist())
        for part in ("train", "validation", "unlabelled", "test")
    }
    # 50 to train on, and 20 for calibration; 20 are left to teach without labels.
    assert {part: len(found) for part, found in texts.items()} == {
        "train": 70,
        "validation": 30,
        "unlabelled": 20,
        "test": 60,
    }
    assert texts["test"] == {f"validation {number}" for number in range(60)}
    assert len(set.union(*texts.values())) == 180
    study = resolve_study(config)
    assert study.tested_tasks == ["rte"]
    assert {(run.strategy, run.seed) for run in study.runs} == {
        (strategy, seed) for strategy in ("none", "subset-readout") for seed in (1, 2)
    }


def contest(**changed):
    row = {"model": "minilm", "rows": 1500, "contestant": DELIVERED, "layers": 3, "megabytes": 17.3, "tokens": 25.0}
    row |= {"times_smaller": 5.2, "kept": 98.5, "kept_low": 96.1, "kept_high": 100.2, "seeds": 2, "rounds": 10}
    row |= {f"{name}_{size}": 9.0 for size in (1, 32) for name in ("ms", "speedup")}
    row |= {f"speedup_{size}_{end}": 9.0 for size in (1, 32) for end in ("low", "high")}
    row |= dict.fromkeys(
        ("machine", "compute_device", "torch", "onnxruntime", "transformers", "python", "commit", "date"), "x"
    )
    row |= {"texts_measured": 128, "test_rows": 872}
    full = {"contestant": FULL, "layers": 6, "times_smaller": 1.0, "kept": 100.0, "kept_low": np.nan, "speedup_1": 1.0}
    rows = [row | {"task": task} | other for task in ("sst2", "mrpc", "stsb", "rte") for other in (full, {})]
    return pd.DataFrame([*rows[:-1], rows[-1] | changed])


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({}, []),
        ({"speedup_1": 7.9}, ["at least 8 times as fast at batch size 1: sst2 9.0, mrpc 9.0, stsb 9.0, rte 7.9"]),
        ({"speedup_32": 3.9}, ["at least 4 times as fast at batch size 32: sst2 9.0, mrpc 9.0, stsb 9.0, rte 3.9"]),
        ({"kept_low": 95.9}, ["the score's interval from 96 % on: sst2 96.1 %, mrpc 96.1 %, stsb 96.1 %, rte 95.9 %"]),
        ({"task": "stsb", "contestant": FULL}, ["on at least 4 tasks: 3"]),
    ],
)
def test_a_goal_is_met_on_every_task_or_missed(changed, missed):
    assert [text for text, verdict in goals(contest(**changed)) if verdict == "missed"] == missed


def test_no_goal_is_met_where_nothing_is_delivered():
    rows = contest()
    found = goals(rows[rows["contestant"] == FULL])
    assert {verdict for _, verdict in found} == {"missed"}
    assert found[0][0] == "at least 8 times as fast at batch size 1: nothing was delivered"


def test_the_table_has_each_contestant_and_each_goal():
    page = delivered_tables(contest())
    assert page.count("| delivered |") == 4
    assert "| 98.5 (96.1 to 100.2) |" in page
    assert page.count("\n- met: ") == 6
