"""The table of steps: that nothing is missing, and what is made from it."""

from pathlib import Path

import pytest

from shallower.steps.job import Job
from shallower.steps.table import RESERVED_MODEL_NAMES, RESERVED_TASK_NAMES, STEPS

PROJECT = Path(__file__).parents[3]


def test_every_script_has_its_entry_and_an_environment():
    assert set(STEPS) == {script.stem for script in (PROJECT / "workflow" / "scripts").glob("*.py")}
    assert {step.environment for step in STEPS.values()} == {file.stem for file in (PROJECT / "envs").glob("*.yaml")}


def test_only_jobs_have_resources():
    for step in STEPS.values():
        assert step.is_job or not (step.memory or step.seconds or step.is_parallel or step.uses_gpu), step.script


def test_a_step_without_a_formula_is_not_guessed():
    with pytest.raises(ValueError, match="no formula for the memory of choose_layers"):
        STEPS["choose_layers"].mem_mb(Job())
    with pytest.raises(ValueError, match="no formula for the time of drop_layers"):
        STEPS["drop_layers"].runtime(Job())


def test_names_that_a_study_must_not_use():
    folders = {"tables", "figures", "paper", "oracle", "delivered"}
    tables = {
        "runs.csv",
        "missing.csv",
        "results.csv",
        "resamples.parquet",
        "recommended.csv",
        "variants.csv",
        "test-results.csv",
        "test-resamples.parquet",
        "test-texts.json",
        "scores.csv",
        "states.csv",
    }
    records = {"study.json", "report.html", "provenance.json", "provenance.html", "sha256sums"}
    assert folders | tables | records == RESERVED_MODEL_NAMES
    assert {"cost.json"} == RESERVED_TASK_NAMES


def test_a_step_without_a_gpu_asks_for_the_same_wherever_the_study_computes():
    rows = {"train": 100, "validation": 100}
    here, there = (Job(rows=rows, on_gpu=on_gpu) for on_gpu in (False, True))
    for name, step in STEPS.items():
        if step.memory and step.seconds and not step.uses_gpu:
            assert (step.mem_mb(here), step.runtime(here)) == (step.mem_mb(there), step.runtime(there)), name
    assert STEPS["predict"].mem_mb(here) != STEPS["predict"].mem_mb(there)
