from pathlib import Path

import pytest

from shallower.errors import UserError
from shallower.grid import Run, expand, read_runs, runs_as_csv

GRID = {
    "study": "s",
    "models": ["m", "n"],
    "tasks": [["t", [7, 8]], ["u", [7]]],
    "arms": [
        ["pretrained", "top", "2", ["m", "n"], ["t", "u"]],
        ["pretrained", "top", "4", ["n"], ["t", "u"]],
        ["gradual", "custom", "3.5", ["m"], ["t"]],
    ],
}


def test_every_arm_where_it_is_meant_to_be_with_a_baseline_for_each_model_task_and_seed():
    runs = expand(GRID)
    assert [(run.model, run.task, run.arm, run.seed) for run in runs] == [
        *(("m", "t", arm, seed) for arm in ("baseline", "pretrained/top-2", "gradual/custom-3.5") for seed in (7, 8)),
        *(("m", "u", arm, 7) for arm in ("baseline", "pretrained/top-2")),
        *(("n", "t", arm, seed) for arm in ("baseline", "pretrained/top-2", "pretrained/top-4") for seed in (7, 8)),
        *(("n", "u", arm, 7) for arm in ("baseline", "pretrained/top-2", "pretrained/top-4")),
    ]


def test_directories():
    assert Run("s", "m", "t", "baseline", "none", "0", 7).directory == "results/s/m/t/baseline/seed7"
    run = Run("s", "m", "t", "finetuned", "custom", "3.5", 8)
    assert run.directory == "results/s/m/t/finetuned/custom-3.5/seed8"
    assert len({run.directory for run in expand(GRID)}) == len(expand(GRID))


def test_runs_survive_the_file(tmp_path: Path):
    path = tmp_path / "runs.csv"
    path.write_text(runs_as_csv(expand(GRID)))
    assert read_runs(path) == expand(GRID)


def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path):
    path = tmp_path / "runs.csv"
    path.write_text("study,model\na,b\n")
    with pytest.raises(UserError, match=r"runs\.csv: not a list of runs"):
        read_runs(path)
