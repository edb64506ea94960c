import csv
import io

from shallower.core.runs import Run
from shallower.study.grid import expand, runs_as_csv

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


def test_the_plan_has_a_row_for_each_run_with_its_folder():
    rows = list(csv.DictReader(io.StringIO(runs_as_csv(expand(GRID)))))
    assert [row["directory"] for row in rows] == [run.directory for run in expand(GRID)]
    assert [Run(**{**row, "seed": int(row["seed"])}) for row in rows if row.pop("directory")] == expand(GRID)
