"""states.csv: a row for each baseline, quantity and depth, scored as everything else is."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from shallower.core.errors import UserError
from shallower.core.files import write_bytes, write_json, write_text
from shallower.core.tables import read_table, write_table
from shallower.planning.missing import missing_as_csv
from shallower.reporting.depth_table import COLUMNS, collect_states

SCRIPT = Path(__file__).parents[3] / "workflow" / "scripts" / "collect_states.py"
METRICS = {"yes-no": ["accuracy", "f1"], "values": ["pearson"]}
LABELS = {"yes-no": np.array([0, 1, 1, 1, 0]), "values": np.array([0.0, 1.0, 2.0, 3.0])}
# At depths 0, 1 and 2.
ANSWERS = {
    "yes-no": np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1], [0, 1, 1, 1, 0]]),
    "values": np.array([[1.5, 1.5, 1.5, 1.5], [3.0, 2.0, 1.0, 0.0], [0.0, 0.1, 0.2, 0.3]]),
}
COSINES = [1.0, 0.5, -0.25]


def write_probes(path, labels, answers):
    depths, num_examples = answers.shape
    table = pa.table(
        {
            "depth": np.repeat(np.arange(depths), num_examples),
            "id": np.tile(np.arange(num_examples), depths),
            "label": np.tile(labels, depths),
            "prediction": answers.ravel(),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Rows in any order.
    parquet.write_table(table.take(np.random.default_rng(0).permutation(table.num_rows)), path)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The plan of a study of two tasks and two seeds, with the baselines' files."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for task in METRICS:
        for origin, arm in (("baseline", "baseline"), ("pretrained", "pretrained/top-1")):
            for seed in (1, 2):
                run = {"study": "s", "model": "m", "task": task, "origin": origin, "seed": seed}
                rows.append({**run, "directory": f"results/s/m/{task}/{arm}/seed{seed}"})
        for seed in (1, 2):
            folder = Path(f"results/s/m/{task}/baseline/seed{seed}")
            write_probes(folder / "probes.parquet", LABELS[task], ANSWERS[task])
            write_json(folder / "similarity.json", {"cosine": COSINES})
    return pd.DataFrame(rows)


def test_probes_of_a_ranking_are_scored_by_query(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = {"study": "s", "model": "m", "task": "ranks", "origin": "baseline", "seed": 1, "directory": "run"}
    labels, answers = np.array([1.0, 0, 0, 0, 1]), np.array([[3.0, 2, 1, 5, 4]])
    write_probes(Path("run/probes.parquet"), labels, answers)
    table = parquet.read_table("run/probes.parquet")
    groups = pa.array([9 if row > 2 else 4 for row in table["id"].to_pylist()])
    parquet.write_table(table.append_column("group", groups), "run/probes.parquet")
    write_json("run/similarity.json", {"cosine": [1.0]})
    (probe,) = collect_states(pd.DataFrame([run]), {"ranks": ["mrr_at_10"]}).head(1).to_dict("records")
    assert (probe["quantity"], probe["value"]) == ("probe", pytest.approx((1 + 1 / 2) / 2))
    assert probe["chance"] == pytest.approx(((1 + 1 / 2 + 1 / 3) / 3 + (1 + 1 / 2) / 2) / 2)


def test_one_row_a_baseline_quantity_and_depth(runs):
    states = collect_states(runs, METRICS)
    assert list(states.columns) == COLUMNS
    assert len(states) == 2 * 2 * (3 + 3)
    assert (
        states.groupby(["task", "seed", "quantity"])["depth"].apply(list).map(lambda depths: depths == [0, 1, 2]).all()
    )
    probe = states[(states["quantity"] == "probe") & (states["seed"] == 2)].set_index(["task", "depth"])
    assert probe.loc["yes-no", "metric"].unique() == "accuracy"
    assert probe.loc["yes-no", "value"].tolist() == pytest.approx([0.6, 0.6, 1.0])
    assert probe.loc["yes-no", "chance"].tolist() == pytest.approx([0.6] * 3)
    f1 = collect_states(runs, METRICS | {"yes-no": ["f1"]}, {"yes-no": 0})
    of_no = f1[(f1["quantity"] == "probe") & (f1["task"] == "yes-no")].set_index(["seed", "depth"])
    assert of_no.loc[2, "value"].tolist() == pytest.approx([0.0, 0.5, 1.0])
    # One answer for all has no correlation: 0, not NaN.
    assert probe.loc["values", "value"].tolist() == pytest.approx([0.0, -1.0, 1.0])
    assert probe.loc["values", "chance"].tolist() == [0.0] * 3
    similarity = states[states["quantity"] == "similarity"]
    assert set(similarity["metric"]) == {"cosine"}
    assert similarity["value"].tolist() == COSINES * 4
    assert similarity["chance"].isna().all()


def test_missing_files_are_named(runs):
    Path("results/s/m/yes-no/baseline/seed2/similarity.json").unlink()
    Path("results/s/m/values/baseline/seed1/probes.parquet").unlink()
    with pytest.raises(UserError, match="2 files") as error:
        collect_states(runs, METRICS)
    assert "results/s/m/yes-no/baseline/seed2/similarity.json" in str(error.value)
    assert "results/s/m/values/baseline/seed1/probes.parquet" in str(error.value)


def test_files_that_are_known_to_be_missing_are_left_out(runs):
    full = collect_states(runs, METRICS)
    similarity = Path("results/s/m/yes-no/baseline/seed2/similarity.json")
    similarity.unlink()
    part = collect_states(runs, METRICS, known_missing={str(similarity)})
    left_out = (full["task"] == "yes-no") & (full["seed"] == 2) & (full["quantity"] == "similarity")
    assert left_out.any()
    pd.testing.assert_frame_equal(part, full[~left_out].reset_index(drop=True))


def test_damaged_answers_are_refused(runs):
    path = Path("results/s/m/yes-no/baseline/seed1/probes.parquet")
    table = parquet.read_table(path)
    parquet.write_table(table.slice(1), path)
    with pytest.raises(UserError, match=r"probes\.parquet: depths differ"):
        collect_states(runs, METRICS)
    for content in (b"", b"nonsense"):
        write_bytes(path, content)
        with pytest.raises(UserError, match=r"probes\.parquet: not a file of predictions"):
            collect_states(runs, METRICS)
    parquet.write_table(table.drop_columns("id"), path)
    with pytest.raises(UserError, match=r"probes\.parquet: not a file of predictions"):
        collect_states(runs, METRICS)


def test_the_script_writes_the_table(runs, monkeypatch):
    write_table("runs.csv", runs)
    settings = json.dumps({"metrics": METRICS})
    write_text("missing.csv", missing_as_csv([], {}))
    files = ["--runs", "runs.csv", "--missing", "missing.csv", "--output", "out/states.csv"]
    monkeypatch.setattr(sys, "argv", ["", "--settings", settings, *files])
    spec = importlib.util.spec_from_file_location("__main__", SCRIPT)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    again = read_table("out/states.csv")
    pd.testing.assert_frame_equal(again, collect_states(runs, METRICS), check_dtype=False, rtol=1e-9)
