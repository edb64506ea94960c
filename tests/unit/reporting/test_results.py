import json

import numpy as np
import pandas as pd
import pytest

from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.core.tables import read_table, write_table
from shallower.evaluation.resamples import read_collected, read_resamples
from shallower.reporting.results import COLUMNS, collect_results
from synthetic_runs import SETTINGS, SMALL, write_study

SCORING = SETTINGS | {"metrics": ["accuracy", "f1"]}
RUN = "results/small/minilm/docs-pair/pretrained/top-2/seed2"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder in which a small study was written."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, SMALL)
    return folder


@pytest.fixture
def runs(made, monkeypatch):
    monkeypatch.chdir(made)
    return read_table("results/small/runs.csv")


def test_one_row_a_run_and_metric(runs):
    results = collect_results(runs)
    assert list(results.columns) == COLUMNS
    assert len(results) == 2 * len(runs)  # two metrics in each of these tasks
    assert results.groupby("directory", sort=False).size().index.tolist() == runs["directory"].tolist()
    row = results[(results["directory"] == RUN) & results["primary"]].iloc[0]
    record = read_json(f"{RUN}/metrics.json")
    assert row["metric"] == "accuracy"
    assert row["value"] == record["metrics"]["accuracy"]["value"]
    assert (row["low"], row["high"]) == tuple(record["metrics"]["accuracy"][end] for end in ("low", "high"))
    assert (row["kept_layers"], row["num_dropped"], row["seed"]) == ("0 1 2 3", 2, 2)
    assert (row["parameters"], row["num_examples"], row["collapsed"]) == (record["parameters"], 300, False)
    assert results["collapsed"].sum() == 2


def test_results_survive_their_file(runs, tmp_path):
    results = collect_results(runs)
    write_table(tmp_path / "results.csv", results)
    again = read_table(tmp_path / "results.csv")
    pd.testing.assert_frame_equal(again, results, check_dtype=False, rtol=1e-9)
    assert again["amount"].tolist() == results["amount"].tolist()  # text, not numbers
    assert again["kept_layers"].map(type).eq(str).all()


def test_names_that_look_like_nothing_stay_names(tmp_path):
    table = pd.DataFrame({"model": ["NA", "null"], "amount": ["0.950", "3.5"], "value": [0.5, None]})
    write_table(tmp_path / "table.csv", table)
    again = read_table(tmp_path / "table.csv")
    assert again["model"].tolist() == ["NA", "null"]
    assert again["amount"].tolist() == ["0.950", "3.5"]
    assert again["value"].isna().tolist() == [False, True]


def test_missing_runs_are_named(runs):
    runs["directory"] = runs["directory"].str.replace("/top-2/", "/deleted/")
    with pytest.raises(UserError, match=r"8 of 52 runs have no metrics yet") as error:
        collect_results(runs)
    assert "results/small/minilm/docs-pair/pretrained/deleted/seed1/metrics.json" in str(error.value)
    runs["directory"] = "nowhere"
    with pytest.raises(UserError, match="and 42 more"):
        collect_results(runs)


def test_metrics_of_another_run_are_refused(runs):
    runs.loc[3, "directory"] = runs.loc[2, "directory"]
    with pytest.raises(UserError, match=r"seed1/metrics\.json: is of seed 1, not 2"):
        collect_results(runs)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"])
def test_what_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "results.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"results\.csv: not a table"):
        read_table(tmp_path / "results.csv")
    with pytest.raises(UserError, match="not found"):
        read_table(tmp_path / "other.csv")


def test_script_aggregates(made, step):
    outputs = ("--output", "out/results.csv", "--resamples", "out/resamples.parquet")
    step("aggregate_results", "--runs", "results/small/runs.csv", *outputs, folder=made)
    assert len(read_table(made / "out/results.csv")) == 104
    assert len(read_collected(made / "out/resamples.parquet")) == 52


def test_script_scores_predictions_as_the_library_does(made, step):
    expected = read_json(made / RUN / "metrics.json")
    identity = {key: expected[key] for key in ("study", "model", "task", "origin", "strategy", "amount", "seed")}
    step(
        "evaluate_predictions",
        *("--predictions", f"{RUN}/predictions.parquet", "--task", "resources/tasks/docs-pair/task.json"),
        *("--layers", f"{RUN}/layers.json", "--manifest", f"{RUN}/manifest.json"),
        *("--identity", json.dumps(identity), "--settings", json.dumps(SCORING)),
        *("--resamples", "resamples.npy", "--output", "metrics.json"),
        folder=made,
    )
    found = read_json(made / "metrics.json")
    assert found.keys() == expected.keys()
    for name, scores in expected.pop("metrics").items():
        assert found["metrics"][name].pop("positive_class", None) == scores.pop("positive_class", None)
        assert found["metrics"][name] == pytest.approx(scores)
    found.pop("metrics")
    assert found == expected
    np.testing.assert_allclose(read_resamples(made / "resamples.npy"), read_resamples(made / RUN / "resamples.npy"))


def test_script_compares_runs(made, step):
    arm = "results/small/minilm/docs-pair/pretrained/top-2"
    baseline = "results/small/minilm/docs-pair/baseline"
    expected = read_json(made / arm / "comparison.json")
    identity = {key: expected[key] for key in ("study", "model", "task", "origin", "strategy", "amount")}

    def compare(*seeds: int, status: int = 0) -> str:
        return step(
            "compare_runs",
            *("--predictions", *(f"{arm}/seed{seed}/predictions.parquet" for seed in (1, 2))),
            *("--baseline-predictions", *(f"{baseline}/seed{seed}/predictions.parquet" for seed in (1, 2))),
            *("--seeds", *seeds),
            *("--task", "resources/tasks/docs-pair/task.json", "--identity", json.dumps(identity)),
            *("--settings", json.dumps(SCORING), "--output", "comparison.json"),
            folder=made,
            status=status,
        ).stderr

    compare(1, 2)
    assert read_json(made / "comparison.json") == expected
    assert "2 runs, 2 of the baseline and 1 seeds" in compare(1, status=1)


def test_a_damaged_metrics_file_is_named(made, runs, tmp_path):
    write_json(tmp_path / "metrics.json", {})
    (tmp_path / "metrics.json").write_text("{")
    runs.loc[0, "directory"] = str(tmp_path)
    with pytest.raises(UserError, match=r"metrics\.json: not valid JSON"):
        collect_results(runs)
