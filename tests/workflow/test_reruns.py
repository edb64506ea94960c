"""Reruns are exact: one change at a time in a finished study, and the jobs that it must start."""

import os
from collections import Counter
from pathlib import Path

import pytest

# The finished study: one model, one task, one seed, baseline + top-1 + bottom-2.
AGGREGATION = Counter(aggregate=1, tabulate=1, plot=1)
ONE_NEW_ARM = Counter(choose_layers=1, drop_layers=1, refine=1, predict=1, evaluate=1, compare=1, plan_runs=1)
REFINES_AND_BELOW = Counter(drop_layers=2, refine=2, predict=2, evaluate=2, compare=2) + AGGREGATION
# Dropped checkpoints are temporary, so what starts from them is dropped anew.
BASELINE_AND_BELOW = (
    Counter(finetune_baseline=1, drop_layers=2, refine=2, predict=3, evaluate=3, compare=2) + AGGREGATION
)
TOKENS_AND_BELOW = Counter(tokenize_task=1) + BASELINE_AND_BELOW


def edit_study(**changes):
    def change(project):
        study = project.read_study()
        for key, value in changes.items():
            study[key] = study[key] | value if isinstance(value, dict) and key in study else value
        project.write_study(study)

    return change


def edit_task(**changes):
    def change(project):
        study = project.read_study()
        study["tasks"][0].update(changes)
        project.write_study(study)

    return change


def edit_code(path):
    def change(project):
        with open(project.folder / "workflow" / path, "a") as file:
            file.write("\nEDITED = True\n")

    return change


def touch(pattern):
    def change(project):
        paths = list(project.folder.glob(pattern))
        assert paths, pattern
        for path in paths:
            os.utime(path)

    return change


def delete(path):
    return lambda project: (project.folder / path).unlink()


def reorder_keys(project):
    study = project.read_study()
    study["train"] = dict(reversed(study["train"].items()))
    study["tasks"][0] = dict(reversed(study["tasks"][0].items()))
    project.write_study(dict(reversed(study.items())))


def add_comment(project):
    with open(project.folder / "config.yaml", "a") as file:
        file.write("# only a comment\n")


def add_row_to_data(project):
    with open(project.folder / "data/validation.csv", "a") as file:
        file.write("good good happy street,good\n")


RUN = "results/tiny/bert/tiny/finetuned/top-1/seed1"
CASES = {
    "nothing": (lambda project: None, Counter()),
    "a comment in the study": (add_comment, Counter()),
    "keys of the study in another order": (reorder_keys, Counter()),
    "every code file touched": (touch("workflow/**/*.py"), Counter()),
    "every rule file touched": (touch("workflow/rules/*.smk"), Counter()),
    "weights touched": (touch("resources/models/*/model.safetensors"), Counter()),
    "tokens touched": (touch("resources/tokens/**/*.safetensors"), Counter()),
    "own data touched": (touch("data/*.csv"), Counter()),
    "threads": (edit_study(compute={"threads": 2}), Counter(measure_cost=1, tabulate=1, plot=1)),
    "a tolerance added": (edit_study(report={"tolerances": [5]}), Counter(tabulate=1, plot=1)),
    "the bootstrap": (
        edit_study(evaluate={"bootstrap_samples": 200}),
        Counter(evaluate=3, compare=2) + AGGREGATION,
    ),
    "the metrics of a task": (
        edit_task(metrics=["macro_f1"]),
        Counter(evaluate=3, compare=2) + AGGREGATION,
    ),
    "the measurement": (edit_study(measure={"repeats": 4}), Counter(measure_cost=1, tabulate=1, plot=1)),
    "a refine setting": (edit_study(refine={"epochs": 2}), REFINES_AND_BELOW),
    "a refine setting of an origin": (
        edit_study(origins=[{"name": "finetuned", "refine": {"epochs": 2}}]),
        REFINES_AND_BELOW,
    ),
    "a refine setting of a task": (edit_task(refine={"learning_rate": 0.002}), REFINES_AND_BELOW),
    "refine saying what train says": (edit_study(refine={"batch_size": 16}), Counter()),
    "a train setting": (edit_study(train={"batch_size": 8}), BASELINE_AND_BELOW),
    "the length of inputs": (edit_study(train={"max_length": 24}), TOKENS_AND_BELOW),
    "a train setting that refine overrides": (
        edit_study(train={"epochs": 2}, refine={"epochs": 1}),
        BASELINE_AND_BELOW,
    ),
    "an amount added": (
        edit_study(strategies=[{"name": "top", "amounts": [1, 2]}, {"name": "bottom", "amounts": [2]}]),
        ONE_NEW_ARM + AGGREGATION,
    ),
    "an amount removed": (
        edit_study(strategies=[{"name": "top", "amounts": [1]}]),
        Counter(plan_runs=1) + AGGREGATION,
    ),
    "a strategy added": (
        edit_study(
            strategies=[
                {"name": "top", "amounts": [1]},
                {"name": "bottom", "amounts": [2]},
                {"name": "symmetric", "amounts": [2]},
            ]
        ),
        ONE_NEW_ARM + AGGREGATION,
    ),
    "a seed added": (
        edit_study(seeds=[1, 2]),
        Counter(
            choose_layers_of_baseline=1,
            finetune_baseline=1,
            choose_layers=2,
            drop_layers=2,
            refine=2,
            predict=3,
            evaluate=3,
            compare=2,
            plan_runs=1,
        )
        + AGGREGATION,
    ),
    "an origin added": (
        edit_study(origins=[{"name": "finetuned"}, {"name": "pretrained"}]),
        Counter(choose_layers=2, drop_layers=2, refine=2, predict=2, evaluate=2, compare=2, plan_runs=1) + AGGREGATION,
    ),
    "one's own data": (
        add_row_to_data,
        Counter(download_task=1) + TOKENS_AND_BELOW,
    ),
    "a metric's code": (
        edit_code("shallower/metrics.py"),
        Counter(evaluate=3, compare=2) + AGGREGATION,
    ),
    "the code of dropping": (edit_code("shallower/surgery.py"), REFINES_AND_BELOW),
    "the code of figures": (edit_code("shallower/figures.py"), Counter(plot=1)),
    "the script of predicting": (
        edit_code("scripts/predict.py"),
        Counter(predict=3, evaluate=3, compare=2) + AGGREGATION,
    ),
    "the code of training": (edit_code("shallower/training.py"), BASELINE_AND_BELOW),
    # What the tables were made of may go once they are there.
    "predictions deleted": (delete(f"{RUN}/predictions.parquet"), Counter()),
    "metrics deleted": (delete(f"{RUN}/metrics.json"), Counter()),
    "a model deleted": (
        delete(f"{RUN}/model.safetensors"),
        Counter(drop_layers=1, refine=1, predict=1, evaluate=1, compare=1) + AGGREGATION,
    ),
    "a figure deleted": (delete("results/tiny/figures/bert/tiny/score-by-cost.svg"), Counter(plot=1)),
    "the results table deleted": (delete("results/tiny/results.csv"), AGGREGATION),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_reruns_what_depends_on_it(case, finished_project, tmp_path: Path):
    change, expected = CASES[case]
    project = finished_project.copy(tmp_path / "project")
    change(project)
    assert project.planned() == expected
