"""variants.csv, from scores, predictions and serving.json files that are made up."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from documented import unexplained_columns
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.core.tables import read_table
from shallower.evaluation.predictions import Predictions
from shallower.evaluation.resamples import write_resamples
from shallower.reporting.variants import read_serving, reference_of
from synthetic_runs import SMALL, write_predictions, write_results, write_study

FULL, TOP = ("baseline", "none", "0"), ("finetuned", "top", "2")
TASK, SEEDS, EXAMPLES = "docs-pair", (1, 2), 300


def entry(arm, runtime="torch", vocabulary="full", speedup=1.0, **changes):
    def time(threads, batch_size, median, device="cpu"):
        return {
            "device": device,
            "threads": threads,
            "batch_size": batch_size,
            "median_ms": median,
            "low_ms": 0.9 * median,
            "high_ms": 1.2 * median,
            "texts_per_second": 1000 * batch_size / median,
            "speedups": [speedup * share for share in (1.1, 0.9, 1.0, 0.9, 1.1)],
        }

    named = dict(zip(("origin", "strategy", "amount"), arm, strict=True))
    cost = {"bytes": 40_000_000, "load_seconds": 0.5, "peak_megabytes": 300.0}
    times = [time(1, 32, 320 / speedup), time(1, 1, 20 / speedup), time(4, 1, 7 / speedup), time(1, 1, 2, "cuda")]
    return {**named, "runtime": runtime, "vocabulary": vocabulary, **cost, "times": times} | changes


SERVING = {
    "study": "small",
    "model": "minilm",
    "task": TASK,
    "variants": [entry(FULL), entry(TOP), entry(TOP, "onnx-int8", "trimmed", 4.0, bytes=9_000_000)],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study on disk with the int8 variant of an arm, which answers every tenth example otherwise."""
    root = tmp_path_factory.mktemp("study")
    folder = write_study(root, SMALL)
    write_results(root, folder)
    write_json(folder / "serving.json", SERVING)
    for seed in SEEDS:
        run = folder / "minilm" / TASK / "finetuned/top-2" / f"seed{seed}"
        trained = pd.read_parquet(run / "predictions.parquet")
        logits = np.stack(trained["logits"].to_numpy())
        logits[::10] = logits[::10, ::-1]
        place = run / "variants/onnx-int8-trimmed"
        labels = trained["label"].to_numpy()
        write_predictions(place / "predictions.parquet", Predictions(trained["id"].to_numpy(), labels, logits))
        record = read_json(run / "metrics.json")
        record["metrics"]["accuracy"]["value"] = float((logits.argmax(1) == labels).mean())
        write_json(place / "metrics.json", record | {"runtime": "onnx-int8", "vocabulary": "trimmed"})
        write_resamples(place / "resamples.npy", np.full(200, 0.5 * seed))
    return root


@pytest.fixture
def tabulate(step, folder):
    """Run the script in the folder that the directories of runs are relative to; what it printed."""

    def run(
        folders: list[Path], serving: str = "serving.json", more: Sequence[str | Path] = (), status: int = 0
    ) -> str:
        study = Path("results/small")
        write_json(folder / study / "evaluated.json", {"folders": {str(path): {} for path in folders}})
        files = ("--results", study / "results.csv", "--resamples", study / "resamples.parquet")
        files += ("--evaluated", study / "evaluated.json", "--serving", study / serving)
        options = ("--confidence", "0.9", "--output", study / "variants.csv", *more)
        return step("tabulate_variants", *files, *options, folder=folder, status=status).stderr

    return run


def folders_of(seeds=SEEDS) -> list[Path]:
    at = Path("results/small/minilm", TASK, "finetuned/top-2")
    return [at / f"seed{seed}" / "variants/onnx-int8-trimmed" for seed in reversed(seeds)]


def test_a_row_for_each_variant_that_was_measured(folder, tabulate):
    tabulate(folders_of())
    table = read_table(folder / "results/small/variants.csv")
    assert table["runtime"].tolist() == ["torch", "torch", "onnx-int8"]
    assert unexplained_columns(table.columns, "variants.csv") == []
    full, arm, int8 = table.to_dict("records")
    assert reference_of(table)["origin"] == "baseline"

    results = read_table(folder / "results/small/results.csv")
    results = results[results["primary"] & (results["task"] == TASK) & (results["model"] == "minilm")]
    trained = results[(results["origin"] == "finetuned") & (results["strategy"] == "top") & (results["amount"] == "2")]
    whole = results[results["origin"] == "baseline"]
    assert arm["score"] == pytest.approx(trained["value"].mean())
    assert arm["kept_percent"] == pytest.approx(100 * trained["value"].mean() / whole["value"].mean())
    assert (full["kept_percent"], full["kept_low"], full["kept_high"]) == pytest.approx((100, 100, 100))
    assert (arm["changed_percent"], arm["logit_difference"], arm["layers"], arm["seeds"]) == (0, 0, 4, 2)

    # Its own score and resamples, and 30 of 300 examples of each seed with another answer.
    scores = [read_json(folder / path / "metrics.json")["metrics"]["accuracy"]["value"] for path in folders_of()]
    assert int8["score"] == pytest.approx(np.mean(scores))
    assert int8["changed_percent"] == pytest.approx(10)
    assert 6 < int8["changed_low"] < 9 and 11 < int8["changed_high"] < 14
    assert int8["logit_difference"] > 4
    assert int8["kept_high"] > 100 > int8["kept_low"]  # resamples of 0.5 and 1
    assert (int8["bytes"], int8["load_seconds"], int8["peak_megabytes"]) == (9_000_000, 0.5, 300)
    # On one thread.
    assert (int8["latency_ms_batch1"], int8["latency_ms_batch32"]) == (5, 80)
    assert [int8[f"speedup{end}_batch32"] for end in ("", "_low", "_high")] == pytest.approx([4, 3.6, 4.4])
    assert int8["texts_per_second_batch32"] == 400
    assert int8["directory"].endswith("finetuned/top-2/seed1") and int8["collapsed"] == 0


def test_scores_on_test_examples_are_those_of_each_variant(folder, tabulate):
    """The validation scores serve as those of the test, of which there is one of half the value in int8."""
    study = folder / "results/small"
    for path in folders_of():
        record = read_json(folder / path / "metrics.json")
        record["metrics"]["accuracy"]["value"] /= 2
        write_json(folder / path / "test/metrics.json", record)
        shutil.copyfile(folder / path / "resamples.npy", folder / path / "test/resamples.npy")
    write_json(study / "test-evaluated.json", {"folders": {str(path / "test"): {} for path in folders_of()}})
    names = ("results.csv", "resamples.parquet", "test-evaluated.json")
    results, resamples, tested = (Path("results/small", name) for name in names)
    tabulate(folders_of(), more=["--test", results, resamples, "--tested", tested])
    full, arm, int8 = read_table(study / "variants.csv").to_dict("records")
    assert (full["test_score"], full["test_kept_percent"]) == pytest.approx((full["score"], 100))
    assert arm["test_kept_percent"] == pytest.approx(arm["kept_percent"])
    assert int8["test_score"] == pytest.approx(int8["score"] / 2)
    assert int8["test_kept_percent"] == pytest.approx(int8["kept_percent"] / 2)
    assert int8["test_full_score"] == pytest.approx(full["score"])
    assert int8["test_low"] < int8["test_score"] + 0.5 < int8["test_high"] + 0.5


def test_a_variant_without_scores_of_all_seeds_is_refused(tabulate):
    assert "its scores are not those of all seeds" in tabulate(folders_of(seeds=(1,)), status=1)


def damaged(**changes):
    return {**SERVING, **changes}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (damaged(variants=[entry(TOP)]), "not the full model in torch"),
        (damaged(variants=[entry(FULL), entry(FULL)]), "a variant twice"),
        (damaged(variants=[entry(FULL), entry(TOP, "tensorrt")]), "finetuned top 2 tensorrt full is of an unknown"),
        (damaged(variants=[entry(FULL), entry(TOP, times=entry(TOP)["times"][1:])]), "the same batch sizes"),
        (damaged(variants=[{"origin": "baseline"}]), "not what variants cost"),
        ({"model": "minilm"}, "not what variants cost"),
        ([], "not what variants cost"),
    ],
)
def test_a_damaged_file_of_costs_is_refused(tmp_path, content, message):
    write_json(tmp_path / "serving.json", content)
    with pytest.raises(UserError, match=message):
        read_serving([tmp_path / "serving.json"])
