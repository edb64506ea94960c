"""What is missing after failed jobs: runs and analyses, with the jobs and the lines of logs that say why."""

import csv
import io

import pytest

from shallower.core.runs import Run
from shallower.planning.missing import (
    COLUMNS,
    MESSAGE_LENGTH,
    Cause,
    last_line,
    missing_as_csv,
    missing_runs,
    read_unmade,
    write_unmade,
)

BASELINE = Run("s", "m", "t", "baseline", "none", "0", 1)
OTHER_SEED = Run("s", "m", "t", "baseline", "none", "0", 2)
TOP = Run("s", "m", "t", "finetuned", "top", "1", 1)
OTHER_TOP = Run("s", "m", "t", "finetuned", "top", "1", 2)
OTHER_TASK = Run("s", "m", "u", "baseline", "none", "0", 1)
RUNS = [BASELINE, OTHER_SEED, TOP, OTHER_TOP, OTHER_TASK]


def rows(unmade):
    return list(csv.DictReader(io.StringIO(missing_as_csv(RUNS, unmade))))


def test_nothing_is_missing_when_every_file_was_made():
    assert missing_runs(RUNS, {}) == {}
    assert missing_as_csv(RUNS, {}) == ",".join(COLUMNS) + "\n"


def test_a_run_is_missing_with_any_of_its_files():
    cause = Cause("predict", "a.log")
    assert missing_runs(RUNS, {f"{TOP.directory}/predictions.parquet": cause}) == {TOP: cause}


def test_a_run_is_missing_with_its_scores_on_test_examples():
    cause = Cause("predict_test", "a.log")
    assert missing_runs(RUNS, {f"{TOP.directory}/test/metrics.json": cause}) == {TOP: cause}


def test_a_run_is_missing_with_its_baseline_of_the_same_seed():
    cause = Cause("finetune_baseline", "a.log")
    assert missing_runs(RUNS, {f"{BASELINE.directory}/metrics.json": cause}) == {BASELINE: cause, TOP: cause}


def test_the_job_that_failed_is_named_before_those_that_were_not_started():
    unmade = {f"{TOP.directory}/layers.json": Cause(), f"{TOP.directory}/manifest.json": Cause("refine", "b.log")}
    assert missing_runs(RUNS, unmade) == {TOP: Cause("refine", "b.log")}


def test_files_that_no_table_needs_do_not_count():
    assert missing_runs(RUNS, {f"{TOP.directory}/model.safetensors": Cause("refine", "b.log")}) == {}


def test_rows_have_the_axes_and_the_last_line_of_the_log(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("start\nerror: the loss is nan\nTerminated\n")
    [row] = rows({f"{TOP.directory}/manifest.json": Cause("refine", str(log))})
    assert row == {
        "model": "m",
        "task": "t",
        "origin": "finetuned",
        "strategy": "top",
        "amount": "1",
        "seed": "1",
        "missing": "run",
        "file": TOP.directory,
        "rule": "refine",
        "log": str(log),
        "message": "error: the loss is nan",
    }


def test_analyses_are_named_once_and_only_where_the_run_is_there():
    cause = Cause("measure_cost", "")
    speed = {"results/s/m/cost.json": cause}
    assert [(row["missing"], row["model"], row["task"]) for row in rows(speed)] == [("speed", "m", "")]
    probes = {f"{run.directory}/probes.parquet": Cause() for run in (BASELINE, OTHER_SEED)}
    assert [(row["missing"], row["seed"]) for row in rows(probes)] == [("probes", "1"), ("probes", "2")]
    export = dict.fromkeys(
        [f"results/s/m/t/variants/{name}.json" for name in ("exported-full", "evaluated", "serving")],
        Cause("export_onnx"),
    )
    assert [(row["missing"], row["task"], row["rule"]) for row in rows(export)] == [
        ("variants", "t", "export_onnx"),
        ("cost of variants", "t", "export_onnx"),
    ]
    with_run = probes | {f"{BASELINE.directory}/manifest.json": Cause()}
    assert [(row["missing"], row["seed"]) for row in rows(with_run)] == [("run", "1"), ("run", "1"), ("probes", "2")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("one\ntwo\n\n", "two"),
        ("error: first\nerror: second\nlater", "error: second"),
        ("x" * 1000, "x" * MESSAGE_LENGTH),
    ],
)
def test_the_line_of_a_log_that_says_why(tmp_path, text, line):
    (tmp_path / "a.log").write_text(text)
    assert last_line(tmp_path / "a.log") == line


def test_a_log_that_is_not_there(tmp_path):
    assert last_line(tmp_path / "none.log") == ""


def test_what_was_not_made_is_read_as_it_was_written(tmp_path):
    unmade = {"a": Cause("refine", "a.log"), "b": Cause()}
    write_unmade(tmp_path / "unmade.json", unmade)
    assert read_unmade(tmp_path / "unmade.json") == unmade
