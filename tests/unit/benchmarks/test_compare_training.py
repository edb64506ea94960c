"""The benchmarks' arithmetic, their measuring from outside, and the rival's process on a tiny model."""

import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForSequenceClassification

import compare_sweep
import contest
import tiny
import training_summary
import write_readme
from compare_training import FLOOR, interleaved
from contest import (
    CONTESTANTS,
    RIVALS_PACKAGES,
    Job,
    check_rivals,
    commands,
    forward_flops,
    job_score,
    run_job,
    run_process,
    training_flops,
)
from recorded import merged
from shallower.core.errors import UserError
from shallower.sources.tasks import fetch_task


def run_row(task="sst2", contestant="ours", repetition=0, seed=1, seconds=10.0, score=0.8, **others):
    mode = {"device": "cpu", "model": "minilm", "threads": 1, "side_by_side": 1}
    mode |= {"batch_size": 8, "epochs": 1, "learning_rate": 1e-4, "max_length": 128}
    times = {"train_seconds": seconds, "wall_seconds": seconds + 5, "start_up_seconds": 4.0, "cpu_seconds": seconds}
    work = {"examples": 100, "tokens": 1000, "flops": 2e9, "matrix_flops": 1e9, "peak_mb": 500.0}
    row = {**mode, "task": task, "contestant": contestant, "repetition": repetition, "seed": seed, **times, **work}
    return row | {"metric": "accuracy", "score": score, **others}


def test_flops_are_those_that_torch_counts():
    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48, num_labels=3
    )
    config._attn_implementation = "eager"
    model = BertForSequenceClassification(config)
    with FlopCounterMode(display=False) as counter:
        logits = model(input_ids=torch.ones(2, 7, dtype=torch.int64)).logits
    assert forward_flops(config.to_dict(), np.array([7, 7]), 3) == counter.get_total_flops()
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    both = counter.get_total_flops() + backward.get_total_flops()
    assert training_flops(config.to_dict(), np.array([7, 7]), 3, epochs=2) == 2 * both


def test_every_entry_comes_once_in_each_repetition_in_changing_order():
    entries = [FLOOR, *[("sst2", contestant) for contestant in CONTESTANTS], ("mrpc", "ours")]
    turns = list(interleaved(entries, 3))
    orders = [[entry for repetition, entry in turns if repetition == number] for number in range(3)]
    assert all(sorted(map(str, order)) == sorted(map(str, entries)) for order in orders)
    assert orders[0] != orders[1] and turns == list(interleaved(entries, 3))


def test_rates_are_sums_side_by_side_and_medians_over_repetitions():
    rows = [
        run_row(repetition=repetition, seed=10 * repetition + place, seconds=seconds, side_by_side=2)
        for repetition, seconds in enumerate([10.0, 20.0, 25.0])
        for place in range(2)
    ]
    summary = training_summary.summarise(pd.DataFrame(rows)).iloc[0]
    assert [summary[f"examples_per_second{end}"] for end in ("", "_low", "_high")] == pytest.approx([10, 8, 20])
    assert summary["share"] == pytest.approx(0.2)
    assert summary["runs_per_hour"] == pytest.approx(2 * 3600 / 25)
    assert math.isnan(summary["over_stock"])


def test_speed_is_compared_within_a_task_and_averaged_geometrically():
    seconds = {("sst2", "stock"): 80, ("sst2", "ours"): 10, ("mrpc", "stock"): 40, ("mrpc", "ours"): 20}
    runs = pd.DataFrame([run_row(*names, seconds=taken) for names, taken in seconds.items()])
    summary = training_summary.summarise(runs).set_index(["task", "contestant"])
    assert summary["over_stock"].to_dict() == pytest.approx(
        {("sst2", "stock"): 1, ("sst2", "ours"): 8, ("mrpc", "stock"): 1, ("mrpc", "ours"): 2}
    )
    means = training_summary.geometric_means(training_summary.summarise(runs)).iloc[0]
    assert means["over_stock"] == pytest.approx(4) and math.isnan(means["over_tuned"])


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([0.80, 0.82, 0.84], [0.81, 0.83, 0.85], "parity"),
        ([0.80, 0.82, 0.84], [0.90, 0.92, 0.94], "lower"),
        ([0.90, 0.92, 0.94], [0.80, 0.82, 0.84], "higher"),
        ([0.80, 0.80, 0.80], [0.80, 0.80, 0.80], "parity"),
        ([0.80, 0.82], [0.80, 0.82, 0.84], "too few seeds"),
    ],
)
def test_parity_is_a_difference_within_the_spread_over_seeds(ours, theirs, verdict):
    difference, spread, verdict_found = training_summary.parity(ours, theirs)
    assert verdict_found == verdict and difference == pytest.approx(np.mean(ours) - np.mean(theirs))
    if verdict == "lower":
        assert spread == pytest.approx(0.02)


def test_new_runs_replace_those_of_the_same_mode_and_task():
    old = pd.DataFrame([run_row(seed=1), run_row("mrpc", seed=1), run_row(seed=1, threads=2)]).assign(machine="A")
    together = merged(old, pd.DataFrame([run_row(seed=7)]).assign(machine="A"), training_summary.MODE, ["task"])
    assert sorted(zip(together["task"], together["threads"], together["seed"], strict=True)) == [
        ("mrpc", 1, 1),
        ("sst2", 1, 7),
        ("sst2", 2, 1),
    ]


def test_runs_of_another_machine_replace_all_that_they_would_stand_in_a_table_with():
    old = pd.DataFrame([run_row(seed=1), run_row("mrpc", seed=1), run_row(seed=1, threads=2)]).assign(machine="A")
    together = merged(old, pd.DataFrame([run_row(seed=7)]).assign(machine="B"), training_summary.MODE, ["task"])
    assert sorted(zip(together["threads"], together["seed"], strict=True)) == [(1, 7), (2, 1)]


def test_tables_and_figure_are_made_of_the_recorded_runs(tmp_path):
    where = {"machine": "M", "compute_device": "cpu", "torch": "2", "transformers": "5", "python": "3", "commit": "c"}
    settings = {"batch_size": 32, "epochs": 1, "learning_rate": 1e-4, "max_length": 128, "date": "today"}
    seconds = {"stock": 80.0, "tuned": 20.0, "ours": 10.0}
    runs = [
        run_row(contestant=name, repetition=number, seed=number, seconds=taken, score=0.8 + number / 100)
        for name, taken in seconds.items()
        for number in range(3)
    ]
    results = tmp_path / "results"
    results.mkdir()
    pd.DataFrame(runs).assign(**where, **settings).to_csv(results / "training.csv", index=False)
    starts = pd.DataFrame({"step": ["predict"], "seconds_of_cpu": [2.5]})
    starts.assign(**where, date="today").to_csv(results / "start_up.csv", index=False)
    parts = [f"<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in ("training", "start_up", "sweep")]
    (tmp_path / "README.md").write_text("before\n" + "".join(parts) + "after\n", encoding="utf-8")
    write_readme.write_readme(results, tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("<!-- sweep -->\nold\n<!-- /sweep -->\nafter\n")
    assert "8.00 times the stock Trainer's examples/s" in text and "| parity |" in text
    assert "M; torch 2, transformers 5, Python 3; commit c, today.\n\n| step | seconds of cpu |\n" in text
    assert "\n| --- | --- |\n| predict | 2.5 |" in text
    (axes,) = training_summary.figure(training_summary.summarise(pd.DataFrame(runs))).axes
    assert [round(bar.get_height()) for bar in axes.patches] == [2, 10, 20]


def test_the_tables_of_the_readme_are_those_of_the_recorded_runs(tmp_path):
    folder = Path(write_readme.__file__).parent
    shutil.copytree(folder / "results", tmp_path / "results")
    shutil.copyfile(folder / "README.md", tmp_path / "README.md")
    write_readme.write_readme(tmp_path / "results", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == (folder / "README.md").read_text(encoding="utf-8")


def test_a_readme_without_its_markers_is_refused():
    with pytest.raises(UserError, match="<!-- sweep -->"):
        write_readme.replace_part("<!-- sweep -->", "sweep", "table")


def test_a_process_is_measured_and_its_failure_reported(tmp_path):
    busy = "import time; block = bytearray(200_000_000)\nwhile time.process_time() < 0.2: 0"
    used = run_process([sys.executable, "-c", busy], tmp_path / "log.txt")
    assert used.cpu_seconds >= 0.2 and used.wall_seconds >= 0.2 and used.peak_mb > 200
    with pytest.raises(UserError, match=r"(?s)ended with 3.*no data"):
        run_process([sys.executable, "-c", "import sys; print('no data'); sys.exit(3)"], tmp_path / "log.txt")


def test_a_run_stopped_early_is_extrapolated_in_its_training_only():
    record = {"steps": 10, "planned_steps": 40, "train_seconds": 5.0, "wall_seconds": 12.0}
    assert compare_sweep.in_full(record) == pytest.approx(27)
    assert compare_sweep.in_full({**record, "planned_steps": 10}) == pytest.approx(12)


def test_loops_are_compared_with_the_study_by_time_and_by_score():
    of_run = {"sweep": "s", "task": "sst2", "study_score": 0.8}
    scores = [("stock", 0.8), ("stock", 0.84), ("tuned", 0.79), ("tuned", 0.79)]
    runs = pd.DataFrame([of_run | {"contestant": contestant, "score": score} for contestant, score in scores])
    differences = {name: compare_sweep.score_differences(of_loop) for name, of_loop in runs.groupby("contestant")}
    assert differences == {"stock": "sst2 +0.020 ± 0.020, parity", "tuned": "sst2 -0.010 ± 0.000, differs"}
    common = {"sweep": "s", "device": "cpu", "cores": 2, "runs": 12, "training_rows": "sst2 100", "loops": "in full"}
    common |= {"machine": "m", "compute_device": "c", "commit": "1", "date": "today"}
    common |= {"torch": "2", "transformers": "5", "python": "3"}
    rows = [
        ("ours", 0, 110, 10, None),
        ("stock", 0, 640, 10, differences["stock"]),
        ("tuned", 0, 215, None, None),
        ("ours", 1, 90, 12, None),
        ("stock", 1, 600, 10, differences["stock"]),
        ("tuned", 1, 205, None, None),
    ]
    names = ["contestant", "repetition", "seconds", "cpu_seconds", "score_difference"]
    recorded = pd.DataFrame([common | dict(zip(names, row, strict=True)) for row in rows])
    table = write_readme.sweep_tables(recorded)
    assert "training rows: sst2 100. m, c; torch 2," in table and "repetitions: 2." in table
    assert "| the study | 100 (90 to 110) | 1.00 | 11 | 432 |  |" in table
    assert "| loop of the Trainer, stock | 620 (600 to 640) | 6.20 | 10 | 69.7 | sst2 +0.020 ± 0.020, parity |" in table
    assert "| loop of the Trainer, tuned | 210 (205 to 215) | 2.10 |  | 206 |  |" in table
    assert "- met: 6 times as fast as the loop of the Trainer, stock: 6.20" in table
    assert "- missed: 2.2 times as fast as the loop of the Trainer, tuned: 2.10" in table
    once = write_readme.sweep_tables(recorded[recorded["repetition"] == 0])
    assert "| the study | 110 | 1.00 |" in once


def test_a_sweep_changes_only_what_was_asked_for(tmp_path):
    asked = SimpleNamespace(random_weights=None, glue=None, rows=64, device="cuda", runs_per_gpu=4)
    config = {"study": "s", "compute": {"threads": 2}, "tasks": [{"name": "a", "train_examples": 100}]}
    assert compare_sweep.sweep_config(config, asked, tmp_path) == {
        "study": "s",
        "compute": {"threads": 2, "device": "cuda", "runs_per_gpu": 4},
        "tasks": [{"name": "a", "train_examples": 64, "validation_examples": 64}],
    }


@pytest.fixture
def job(tmp_path):
    model_dir = tiny.make_model(tmp_path / "model", "bert", 2)
    fetch_task(tiny.make_task_files(tmp_path / "files", 20, 12), tmp_path / "task")
    return Job("tuned", model_dir, tmp_path / "task", tmp_path / "run", 1, 8, 2, 1e-3, 32)


def test_runs_side_by_side_overlap_and_are_measured_apart(job, monkeypatch, tmp_path):
    content = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / "begun").touch()
deadline = time.monotonic() + 30
while not all((folder.parent / name / "begun").exists() for name in ("1", "2")) and time.monotonic() < deadline:
    time.sleep(0.01)
assert time.monotonic() < deadline
(folder / "model.safetensors").touch()
(folder / "run.json").write_text(json.dumps({"steps": int(folder.name), "train_seconds": 0.0}))
"""
    script = tmp_path / "script.py"
    script.write_text(content, encoding="utf-8")
    monkeypatch.setattr(contest, "commands", lambda job: [[sys.executable, script, job.folder]])
    jobs = [Job(**{**vars(job), "folder": tmp_path / name}) for name in ("1", "2")]
    records = contest.run_side_by_side(jobs, tmp_path)
    assert [record["steps"] for record in records] == [1, 2]
    assert all(0 <= record["start_up_seconds"] <= record["wall_seconds"] for record in records)


def test_our_commands_are_the_scripts_of_the_workflow(job):
    ours = Job(**{**vars(job), "contestant": "ours"})
    assert [command[1].name for command in commands(ours)] == ["tokenize_task.py", "finetune.py", "predict.py"]
    assert all(command[1].is_file() for command in commands(ours))


@pytest.mark.slow
def test_our_run_is_measured(job):
    ours = Job(**{**vars(job), "contestant": "ours"})
    record = run_job(ours, RIVALS_PACKAGES)
    assert (record["steps"], record["planned_steps"]) == (6, 6)
    assert 0 < record["train_seconds"] < record["wall_seconds"] and record["start_up_seconds"] > 0
    assert 0 <= job_score(ours, "accuracy") <= 1


@pytest.mark.slow
def test_the_trainer_runs_and_is_measured(job):
    try:
        check_rivals(RIVALS_PACKAGES)
    except UserError as error:
        pytest.skip(str(error))
    record = run_job(Job(**{**vars(job), "steps": 3}), RIVALS_PACKAGES)
    assert (record["steps"], record["planned_steps"]) == (3, 6)
    assert 0 < record["train_seconds"] < record["wall_seconds"] and record["start_up_seconds"] > 0
    assert record["cpu_seconds"] > record["train_seconds"] / 10 and record["peak_mb"] > 100
    assert 0 <= job_score(job, "accuracy") <= 1
