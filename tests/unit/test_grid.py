from pathlib import Path

import pytest

from shallower.errors import UserError
from shallower.grid import Run, expand, read_runs, runs_as_csv

GRID = {
    "study": "s",
    "models": ["m"],
    "tasks": ["t", "u"],
    "origins": ["pretrained", "finetuned"],
    "arms": [["top", "2"], ["custom", "3.5"]],
    "seeds": [7, 8],
}


def test_every_combination_once_with_one_baseline_for_each_model_task_and_seed():
    runs = expand(GRID)
    assert len(runs) == len(set(runs)) == 2 * 2 * (1 + 2 * 2)
    assert sum(run.is_baseline for run in runs) == 4


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
