"""The benchmarks of the engine under way: every part runs on a tiny model, and is judged by its goal."""

import argparse

import pandas as pd
import pytest

import measure_engine
import tiny
from measure_engine import measure
from shallower.sources.tasks import fetch_task
from write_readme import engine_table


@pytest.fixture
def tiny_model(tmp_path):
    return tiny.make_model(tmp_path / "model", "bert")


@pytest.fixture
def tiny_task(tmp_path):
    definition = {**tiny.make_task_files(tmp_path, 21, 8), "name": "sst2"}
    fetch_task(definition, tmp_path / "task")
    return tmp_path / "task"


def test_every_part_has_a_turn_in_each_round(tiny_model, tiny_task, monkeypatch, tmp_path):
    monkeypatch.setattr(measure_engine, "default_model", lambda folder: tiny_model)
    monkeypatch.setattr(measure_engine, "fetch_glue", lambda *_: tiny_task)
    monkeypatch.setattr(measure_engine, "matrix_rate", lambda *_: {"flops": 2e12, "device": "cpu"})
    settings = {"glue": tmp_path, "tasks": ["sst2"], "rows": 21, "calibration": 12, "batch_sizes": [8]}
    arguments = argparse.Namespace(**settings, rounds=2, threads=1, device="cpu")
    rows = measure(arguments, tmp_path).set_index("part")
    assert {*rows.index} == {"training", "prediction", "teacher's pass", "search"}
    assert (rows["share"] <= rows["share_high"]).all()
    assert rows["share"].to_list() == pytest.approx((rows["gflops"] / 2000).to_list())
    assert (rows["gflops"] > 0).all()


def test_goals_are_met_or_missed():
    shares = {("training", 8): 0.7, ("prediction", 0): 0.8, ("training", 32): 0.5}
    common = {"task": "sst2", "gflops": 50.0, "matrix_gflops": 90.0, "rounds": 5, "threads": 1, "machine": "a machine"}
    common |= {
        "compute_device": "cpu",
        "torch": "2",
        "transformers": "5",
        "python": "3",
        "commit": "abc",
        "date": "2026-01-01",
    }
    rows = [
        {**common, "part": part, "batch_size": size, "share": share, "share_low": share, "share_high": share}
        | {"goal": measure_engine.GOALS.get((part, "sst2", size))}
        for (part, size), share in shares.items()
    ]
    text = engine_table(pd.DataFrame(rows))
    assert "| training | sst2 | 8 | 50 | 70% (70% to 70%) | 65%, met |" in text
    assert "| prediction | sst2 | by tokens | 50 | 80% (80% to 80%) | 85%, missed |" in text
    assert "| training | sst2 | 32 | 50 | 50% (50% to 50%) |  |" in text
