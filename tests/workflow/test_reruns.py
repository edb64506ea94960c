"""Reruns are exact: one change at a time in a finished study, and the jobs that it must start."""

import os
from collections import Counter
from pathlib import Path

import pytest

# The finished study: one model, one task, one seed; the baseline and five arms, of every origin: top-1 and bottom-2
# from the fine-tuned model, top-1 from the one tuned with frozen layers, top-2 gradually, parameter-variance-1 from the
# pre-trained one.
RESULTS_ITEMS = Counter(reproduce=9, render_item=7, plot_reproduction=2, judge_observations=1)
STATES_ITEMS = Counter(reproduce=2, plot_reproduction=2)
AGGREGATION = Counter(aggregate=1, tabulate=1, plot=1, write_report=1) + RESULTS_ITEMS
# Table 3 alone looks at what models cost.
SUMMARY = Counter(tabulate=1, plot=1, reproduce=1, render_item=1, write_report=1)
REPORT = Counter(write_report=1)
STATES = Counter(probe_layers=1, compare_states=1, collect_states=1) + STATES_ITEMS
RELOADED = Counter(reload_models=1)
# Whatever runs, the study is put on record anew.
RECORD = Counter(record_study=1)
ONE_NEW_ARM = Counter(choose_layers=1, drop_layers=1, refine=1, predict=1, evaluate=1, compare=1) + RELOADED
# The plan of the runs also says where predictions of layer-wise classifiers are.
NEW_PLAN = Counter(plan_runs=1, collect_states=1) + STATES_ITEMS + AGGREGATION
# Dropped checkpoints are temporary, as is what they are dropped from, so what starts from them is made anew.
UP_TO_GRADUAL = Counter(finetune_stage=2, drop_next_layer=1)
UP_TO_REFINE = Counter(drop_layers=5, finetune_frozen=1) + UP_TO_GRADUAL
REFINES_AND_BELOW = UP_TO_REFINE + Counter(refine=5, predict=5, evaluate=5, compare=5) + RELOADED + AGGREGATION
BASELINE = Counter(finetune_baseline=1, predict=1, evaluate=1) + STATES
BASELINE_AND_BELOW = BASELINE + REFINES_AND_BELOW
SCORES = Counter(score_layers=1, collect_scores=1, reproduce=1, plot_reproduction=1)
TOKENS_AND_BELOW = Counter(tokenize_task=1) + BASELINE_AND_BELOW + SCORES


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


def add_to_the_papers_numbers(project):
    path = project.folder / "workflow/paper/values.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("67349", "67350", 1), encoding="utf-8")


def edit_origin(name, **changes):
    def change(project):
        study = project.read_study()
        next(origin for origin in study["origins"] if origin["name"] == name).update(changes)
        project.write_study(study)

    return change


def edit_strategies(change):
    def edit(project):
        study = project.read_study()
        change(study["strategies"])
        project.write_study(study)

    return edit


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
    "the paper's numbers touched": (touch("workflow/paper/values.csv"), Counter()),
    "threads": (edit_study(compute={"threads": 2}), Counter(measure_cost=1) + SUMMARY),
    # Refined ones only, and what gradual dropping makes on the way stays in full precision.
    "the type of kept weights": (edit_study(kept_weights="bf16"), REFINES_AND_BELOW),
    "runs that share a GPU": (edit_study(compute={"runs_per_gpu": 4}), REPORT),
    "how often checkpoints are written": (edit_study(compute={"checkpoint_seconds": 5}), REPORT),
    "a tolerance added": (edit_study(report={"tolerances": [5]}), SUMMARY),
    "the bootstrap": (
        edit_study(evaluate={"bootstrap_samples": 200}),
        Counter(evaluate=6, compare=5) + AGGREGATION,
    ),
    "the level of intervals": (
        edit_study(evaluate={"confidence": 0.9}),
        Counter(evaluate=6, compare=5) + AGGREGATION + STATES_ITEMS + Counter(reproduce=1, plot_reproduction=1),
    ),
    "the metrics of a task": (
        edit_task(metrics=["macro_f1"]),
        Counter(evaluate=6, compare=5, collect_states=1) + STATES_ITEMS + AGGREGATION,
    ),
    "the paper's task that a task stands beside": (
        edit_task(counterpart="MRPC"),
        RESULTS_ITEMS + STATES_ITEMS + Counter(reproduce=1, plot_reproduction=1) + REPORT,
    ),
    "the measurement": (edit_study(measure={"repeats": 4}), Counter(measure_cost=1) + SUMMARY),
    "the layer-wise classifiers": (
        edit_study(probe={"train_examples": 40}),
        Counter(probe_layers=1, collect_states=1, judge_observations=1) + STATES_ITEMS + REPORT,
    ),
    "which parameters count": (
        edit_study(parameter_scores={"weights": "layer"}),
        ONE_NEW_ARM + Counter(score_parameters=1) + AGGREGATION,
    ),
    "a refine setting": (edit_study(refine={"epochs": 2}), REFINES_AND_BELOW),
    "a refine setting of an origin": (
        edit_origin("finetuned", refine={"epochs": 2}),
        Counter(drop_layers=2, refine=2, predict=2, evaluate=2, compare=2) + RELOADED + AGGREGATION,
    ),
    "the tuning between two layers": (
        edit_origin("gradual", stage={"epochs": 2}),
        UP_TO_GRADUAL + Counter(drop_layers=1, refine=1, predict=1, evaluate=1, compare=1) + RELOADED + AGGREGATION,
    ),
    "a refine setting of a task": (edit_task(refine={"learning_rate": 0.002}), REFINES_AND_BELOW),
    "refine saying what train says": (edit_study(refine={"batch_size": 16}), REPORT),
    "a train setting": (edit_study(train={"batch_size": 8}), BASELINE_AND_BELOW),
    "the length of inputs": (edit_study(train={"max_length": 24}), TOKENS_AND_BELOW),
    # What starts from the pre-trained model, or tunes by settings of its own, stays.
    "a train setting that refine overrides": (
        edit_study(train={"epochs": 2}, refine={"epochs": 1}),
        BASELINE
        + Counter(finetune_frozen=1, drop_layers=3, refine=3, predict=3, evaluate=3, compare=5)
        + RELOADED
        + AGGREGATION,
    ),
    "an amount added": (edit_strategies(lambda entries: entries[1]["amounts"].append(1)), ONE_NEW_ARM + NEW_PLAN),
    "an amount removed": (edit_strategies(lambda entries: entries.pop(1)), RELOADED + NEW_PLAN),
    "a strategy added": (
        edit_strategies(
            lambda entries: entries.append({"name": "symmetric", "amounts": [2], "origins": ["finetuned"]})
        ),
        ONE_NEW_ARM + NEW_PLAN,
    ),
    "a strategy with scores added": (
        edit_strategies(
            lambda entries: entries.append({"name": "contribution-rank", "amounts": [1], "origins": ["pretrained"]})
        ),
        ONE_NEW_ARM + NEW_PLAN,
    ),
    "an arm for one more origin": (
        edit_strategies(lambda entries: entries[1]["origins"].append("pretrained")),
        ONE_NEW_ARM + NEW_PLAN,
    ),
    "strategies in another order": (edit_strategies(lambda entries: entries.reverse()), NEW_PLAN),
    "a seed added": (
        edit_study(seeds=[1, 2]),
        Counter(
            choose_layers_of_baseline=1,
            finetune_baseline=1,
            finetune_frozen=1,
            finetune_stage=2,
            drop_next_layer=1,
            choose_layers=5,
            drop_layers=5,
            refine=5,
            predict=6,
            evaluate=6,
            compare=5,
            probe_layers=1,
            compare_states=1,
        )
        + RELOADED
        + NEW_PLAN,
    ),
    "one's own data": (
        add_row_to_data,
        Counter(download_task=1) + TOKENS_AND_BELOW,
    ),
    "a number of the paper": (
        add_to_the_papers_numbers,
        RESULTS_ITEMS
        + STATES_ITEMS
        + Counter(reproduce=1, plot_reproduction=1, check_parameter_orders=1)
        + REPORT
        - Counter(judge_observations=1),
    ),
    "a metric's code": (
        edit_code("shallower/metrics.py"),
        # One script makes all items, and Table 4 scores halves of the predictions.
        Counter(evaluate=6, compare=5, collect_states=1, reproduce=1, plot_reproduction=1) + STATES_ITEMS + AGGREGATION,
    ),
    "the code of dropping": (edit_code("shallower/surgery.py"), REFINES_AND_BELOW),
    "the code of figures": (
        edit_code("shallower/figures.py"),
        Counter(plot=1, plot_reproduction=5) + REPORT,
    ),
    "the code of observations": (edit_code("shallower/observations.py"), Counter(judge_observations=1) + REPORT),
    "the script of layer-wise classifiers": (
        edit_code("scripts/probe_layers.py"),
        Counter(probe_layers=1, collect_states=1, judge_observations=1) + STATES_ITEMS + REPORT,
    ),
    "the script of similarities": (
        edit_code("scripts/compare_states.py"),
        Counter(compare_states=1, collect_states=1, judge_observations=1) + STATES_ITEMS + REPORT,
    ),
    "the script of scores": (edit_code("scripts/score_layers.py"), SCORES + REPORT),
    "the script of parameters": (
        edit_code("scripts/score_parameters.py"),
        ONE_NEW_ARM + Counter(score_parameters=1) + AGGREGATION,
    ),
    "the script of the paper's pages": (edit_code("scripts/render_item.py"), Counter(render_item=7) + REPORT),
    "the script of the report": (edit_code("scripts/write_report.py"), REPORT),
    "the script of predicting": (
        edit_code("scripts/predict.py"),
        Counter(predict=6, evaluate=6, compare=5) + RELOADED + AGGREGATION,
    ),
    "the code of the encoder": (
        edit_code("shallower/encoder.py"),
        BASELINE_AND_BELOW,
    ),
    "the script of reloading": (edit_code("scripts/reload_models.py"), RELOADED),
    "the code of training": (edit_code("shallower/training.py"), BASELINE_AND_BELOW),
    # What the tables were made of may go once they are there.
    "predictions deleted": (delete(f"{RUN}/predictions.parquet"), Counter()),
    "metrics deleted": (delete(f"{RUN}/metrics.json"), Counter()),
    "a model deleted": (
        delete(f"{RUN}/model.safetensors"),
        Counter(drop_layers=1, refine=1, predict=1, evaluate=1, compare=1) + RELOADED + AGGREGATION,
    ),
    "a figure deleted": (
        delete("results/tiny/figures/bert/tiny/score-by-cost.svg"),
        Counter(plot=1) + REPORT,
    ),
    "a table of the paper deleted": (delete("results/tiny/paper/table-2.html"), Counter(render_item=1) + REPORT),
    "the report deleted": (delete("results/tiny/report.html"), REPORT),
    "the results table deleted": (delete("results/tiny/results.csv"), AGGREGATION),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_reruns_what_depends_on_it(case, finished_project, tmp_path: Path):
    change, expected = CASES[case]
    project = finished_project.copy(tmp_path / "project")
    change(project)
    assert project.planned() == (expected + RECORD if expected else expected)
