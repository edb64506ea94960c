"""The rerun matrix: single changes of finished studies, and the jobs that each must start.

The studies are fixtures of conftest.py.
"""

import ast
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from project import Project

Change = Callable[[Project], None]

STUDY_TEXTS = {
    "origins": "one model, one task, one seed and the paper's tables; the baseline and five arms, of every origin:"
    " top-1 and bottom-2 from the fine-tuned model, top-1 from the one tuned with frozen layers, top-2 gradually,"
    " parameter-variance-1 from the pre-trained one",
    "families": "three models, a baseline and one arm each; baselines teach, by their answers to texts without labels"
    " as well",
    "judged": "one model, one task, one seed; all subsets of three of four layers, by which strategies are judged,"
    " top-1 and a race of two",
    "tasks": "two tasks, the first with two arms and two seeds, the second with two arms, one of them by the scores of"
    " subsets, and one seed; models are not kept; calibration examples are what train_examples leaves; with a budget",
    "test": "one model, one task with test examples, one seed; the baseline, which teaches by texts made of training"
    " texts, and one arm; with a budget, and models delivered, also with a trimmed vocabulary; and calibration examples"
    " by which nothing is chosen",
}


@dataclass(frozen=True)
class Case:
    """A change of a finished study, and how many jobs of each rule it must start."""

    change: Change
    jobs: Counter[str]
    study: str = "origins"
    arguments: tuple[str, ...] = ("--cores", "2")
    environment: Mapping[str, str] = field(default_factory=dict)


# --- what follows from what --------------------------------------------------------------------------------------

NOTHING: Counter[str] = Counter()
# Whatever changes, the study is recorded again.
RECORD = Counter(record_study=1)
REPORT = Counter(write_report=1) + RECORD
OBSERVATIONS = Counter(judge_observations=1)
# Items of the paper that show runs: all are made again with another plan; with other runs, those that show them. Of the
# study here Table 5 (ALBERT) and Figure 2 (deep models) show none, but are made all the same.
ALL_ITEMS = Counter(reproduce=9, render_item=7, plot_reproduction=2) + OBSERVATIONS
RESULTS_ITEMS = Counter(reproduce=7, render_item=6, plot_reproduction=1) + OBSERVATIONS
# Without baselines: Table 7, gradual dropping, and strategies compared, which are of the pre-trained model.
PRUNED_ITEMS = Counter(reproduce=3, render_item=2, plot_reproduction=1) + OBSERVATIONS
ONE_TABLE = Counter(reproduce=1, render_item=1)
ONE_FIGURE = Counter(reproduce=1, plot_reproduction=1)
STATES_ITEMS = Counter(reproduce=2, plot_reproduction=2)
SCORES_ITEMS = Counter(reproduce=1, plot_reproduction=1)
# What the section on the paper is made from.
SECTION_PARTS = {"reproduce", "plot_reproduction", "judge_observations", "check_parameter_orders"}
SECTION = Counter(present_reproduction=1)
TABLES = Counter(aggregate=1, tabulate=1, plot=1) + REPORT
AGGREGATION = TABLES + RESULTS_ITEMS
SUMMARY = Counter(tabulate=1, plot=1) + REPORT
JUDGED = Counter(judge_strategies=1, present_oracle=1)
# Table 3 shows how fast models are.
COST = Counter(measure_cost=1) + SUMMARY + ONE_TABLE
STATES = Counter(probe_layers=1, compare_states=1, collect_states=1) + STATES_ITEMS
RELOADED = Counter(reload_models=1)
ONE_NEW_RUN = Counter(choose_layers=1, drop_layers=1, refine=1, predict=1, evaluate=1, compare=1)
ONE_NEW_ARM = ONE_NEW_RUN + RELOADED
# The plan of the runs also says where predictions of layer-wise classifiers are.
NEW_PLAN = Counter(plan_runs=1, collect_states=1) + STATES_ITEMS + TABLES + ALL_ITEMS
# Dropped checkpoints are temporary, as is what they are dropped from, so what starts from them is made again.
UP_TO_GRADUAL = Counter(finetune_stage=2, drop_next_layer=1)
UP_TO_REFINE = Counter(drop_layers=5, finetune_frozen=1) + UP_TO_GRADUAL
REFINES = UP_TO_REFINE + Counter(refine=5, predict=5, evaluate=5, compare=5) + RELOADED
REFINES_AND_BELOW = REFINES + TABLES + PRUNED_ITEMS
BASELINE = Counter(finetune_baseline=1, predict=1, evaluate=1) + STATES
BASELINE_AND_BELOW = BASELINE + REFINES + AGGREGATION
SCORES = Counter(score_layers=1, collect_scores=1) + SCORES_ITEMS
TOKENS_AND_BELOW = Counter(tokenize_task=1) + BASELINE_AND_BELOW + SCORES
TASK_AND_BELOW = Counter(download_task=1) + TOKENS_AND_BELOW
# All runs of one more seed, task or model.
ALL_RUNS = Counter(
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
    reload_models=1,
)
# What is chosen by contribution, and what by the scores of subsets, in the study of two tasks.
CONTRIBUTION_AND_BELOW = Counter(score_layers=1, choose_layers=2, drop_layers=2, refine=2, predict=2) + Counter(
    evaluate=2, compare=1, reload_model=2
)
SUBSETS_AND_BELOW = (
    Counter(score_subsets=1, choose_layers=1, drop_layers=1, refine=1, predict=1, evaluate=1, compare=1)
    + Counter(reload_model=1, plot=1)
    + TABLES
)
# What a race chooses, in the study that judges strategies.
RACE_AND_BELOW = Counter(race_subsets=1) + ONE_NEW_ARM + Counter(plot_depths=1) + TABLES + JUDGED
# All that is refined there; races go by their own epochs, from labels alone.
REFINED_AFTER_A_RACE = Counter(dict.fromkeys(["drop_layers", "refine", "predict", "evaluate", "compare"], 6)) + RELOADED
REFINED_AFTER_A_RACE += Counter(plot_depths=1) + TABLES + JUDGED
# What a teacher has a part in, in the study of three models.
TAUGHT_AND_BELOW = Counter(dict.fromkeys(["drop_layers", "refine", "predict", "evaluate", "compare"], 3)) + Counter(
    reload_models=3, plot=2
)
TAUGHT_AND_BELOW += TABLES
TAUGHT_AGAIN = Counter(teach=3) + TAUGHT_AND_BELOW
UNLABELLED_AGAIN = Counter(download_unlabelled=1, tokenize_unlabelled=3) + TAUGHT_AGAIN
# Those of one more task or model also score layers; each model and task has its figures.
NEW_TASK = Counter(tokenize_task=1, score_layers=1, score_parameters=1, plot=1) + ALL_RUNS
STUDY_AGAIN = Counter(measure_cost=1, score_parameters=1, check_parameter_orders=1) + ALL_RUNS + SCORES + NEW_PLAN
EVERYTHING = Counter(download_model=1, download_task=1, tokenize_task=1) + STUDY_AGAIN - Counter(plan_runs=1)
PREDICTIONS_AND_BELOW = Counter(predict=6, evaluate=6, compare=5) + RELOADED + AGGREGATION
EVALUATIONS_AND_BELOW = Counter(evaluate=6, compare=5) + AGGREGATION


# What is scored on test examples, by how many runs, and shows these scores.
TEST_TABLES = Counter(aggregate_test=1, tabulate=1, plot=1) + REPORT
TEST_SCORES = Counter(evaluate_test=2) + TEST_TABLES
TEST_PREDICTIONS = Counter(predict_test=2) + TEST_SCORES
TEST_AGAIN = Counter(download_test=1, tokenize_test=1, compare_texts=1) + TEST_PREDICTIONS
# All that is made of validation data of the study with test examples, from the training of its baseline on.
TESTED_AND_BELOW = (
    Counter(finetune_baseline=1, teach=1, drop_layers=1, refine=1, predict=2, evaluate=2, compare=1, reload_models=1)
    + Counter(aggregate=1)
    + TEST_PREDICTIONS
)
# What texts that are made for a teacher have a part in, in the same study.
AUGMENTED_AGAIN = (
    Counter(augment_tokens=1, teach=1, drop_layers=1, refine=1, predict=1, evaluate=1, compare=1, reload_models=1)
    + Counter(predict_test=1, evaluate_test=1, aggregate=1)
    + TEST_TABLES
)

# Rules of the variants of models on test examples.
OF_TEST = Counter(tokenize_trimmed_test=1, predict_test_variants=1, evaluate_test_variants=1)

# What the study of two tasks recommends, and shows of it.
RECOMMENDED = Counter(recommend=1, plot_depths=2)

# What the study with test examples delivers: what follows from a recommendation, from the table of variants, from
# scores or costs of variants, from other exports, and from other models.
DELIVERED = Counter(recommend=1, plot_depths=1, plot_variants=1, deliver_model=1) + REPORT
VARIANTS = Counter(tabulate_variants=1) + DELIVERED
SERVED = Counter(measure_serving=1) + VARIANTS
TESTED_VARIANTS = Counter(evaluate_test_variants=1) + VARIANTS
SCORED_VARIANTS = Counter(evaluate_variants=1) + TESTED_VARIANTS
PREDICTED_VARIANTS = Counter(predict_variants=1, predict_test_variants=1) + SCORED_VARIANTS
OTHER_VARIANTS = PREDICTED_VARIANTS | SERVED
# In each vocabulary; of another trimmed one in that alone.
QUANTISED = Counter(quantise_onnx=2) + OTHER_VARIANTS
EXPORTED = Counter(export_onnx=2) + QUANTISED
TRIMMED = Counter(trim_models=1, export_onnx=1, quantise_onnx=1) + OTHER_VARIANTS
CANDIDATES = Counter(choose_candidates=1, trim_models=1) + EXPORTED
NEW_VOCABULARY = Counter(trim_vocabulary=1, tokenize_trimmed=1, tokenize_trimmed_test=1) + TRIMMED


def with_budget(case: Case) -> Case:
    """The case with what a budget and the scores of subsets add, in the studies that have these, to other tables."""
    if case.study not in ("tasks", "test") or not case.jobs["tabulate"]:
        return case
    # Figures of the best subsets are made of their scores alone.
    added = Counter(recommend=1, plot_depths=case.jobs["plot"], plot_subsets=case.jobs["score_subsets"])
    if case.study == "test":
        added |= DELIVERED
        # Other scores are those of other predictions, or are counted otherwise.
        added |= VARIANTS if case.jobs["aggregate"] or case.jobs["aggregate_test"] else NOTHING
        added |= Counter(predict_test_variants=1) + TESTED_VARIANTS if case.jobs["predict_test"] else NOTHING
        added |= Counter(tokenize_trimmed_test=1) if case.jobs["tokenize_test"] else NOTHING
        added |= CANDIDATES if case.jobs["predict"] else NOTHING
        added |= NEW_VOCABULARY if case.jobs["tokenize_task"] else NOTHING
    return replace(case, jobs=case.jobs | added)


def with_section(case: Case) -> Case:
    """The case with the section on the paper, which is made once from all its parts."""
    return replace(case, jobs=case.jobs | SECTION) if case.jobs.keys() & SECTION_PARTS else case


# --- ways to change a study --------------------------------------------------------------------------------------


def study_with(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Change the study, given as a mapping, in place."""

    def edit(project: Project) -> None:
        study = project.read_study()
        change(study)
        project.write_study(study)

    return edit


def settings(**changes: Any) -> Change:
    """Set keys of the study; of mappings, only the keys that are named."""

    def change(study: dict[str, Any]) -> None:
        for key, value in changes.items():
            study[key] = study[key] | value if isinstance(value, dict) and key in study else value

    return study_with(change)


# A teacher, and settings of single origins, are not for the paper's claims.
NO_REPRODUCTION = settings(reproduction=False)


def add_taylor(study: dict[str, Any]) -> None:
    """Score layers by gradients on one of two tasks; the other strategies stay with their origin."""
    for found in study["strategies"]:
        found["origins"] = ["pretrained"]
    study["origins"].append({"name": "finetuned"})
    study["strategies"].append({"name": "taylor", "amounts": [1], "tasks": ["second"], "origins": ["finetuned"]})


def entry(kind: str, index: int, **changes: Any) -> Change:
    """Set keys of an entry of `models`, `tasks`, `origins` or `strategies`."""
    return study_with(lambda study: study[kind][index].update(changes))


def entries(kind: str, change: Callable[[list[Any]], Any]) -> Change:
    """Change one of the study's lists in place."""
    return study_with(lambda study: change(study[kind]))


def again(index: int, **changes: Any) -> Callable[[list[dict[str, Any]]], None]:
    """Add a list's entry once more, with changes."""
    return lambda found: found.append(found[index] | changes)


def keys_reversed(study: dict[str, Any]) -> None:
    study["train"] = dict(reversed(study["train"].items()))
    study["tasks"][0] = dict(reversed(study["tasks"][0].items()))
    items = list(reversed(study.items()))
    study.clear()
    study.update(items)


# --- ways to change files ----------------------------------------------------------------------------------------


def append(path: str, text: str) -> Change:
    def change(project: Project) -> None:
        with open(project.folder / path, "a", encoding="utf-8") as file:
            file.write(text)

    return change


def code(path: str) -> Change:
    return append(f"workflow/{path}", "\nEDITED = True\n")


def docstrings_reworded(project: Project) -> None:
    """Another docstring, and a comment, at the top of every module of the library."""
    for file in (project.folder / "workflow" / "shallower").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        if ast.get_docstring(tree) is not None:
            lines[: tree.body[0].end_lineno] = ['"""Reworded."""\n', "# and commented\n"]
        file.write_text("".join(lines), encoding="utf-8")


def replaced(path: str, before: str, after: str) -> Change:
    def change(project: Project) -> None:
        file = project.folder / path
        text = file.read_text(encoding="utf-8")
        assert before in text, f"{path} has no {before!r}"
        file.write_text(text.replace(before, after, 1), encoding="utf-8")

    return change


def rule_changed(path: str, rule: str, pattern: str, after: str) -> Change:
    """Replace the first match of a pattern in a rule of workflow/rules."""

    def change(project: Project) -> None:
        file = project.folder / "workflow/rules" / path
        before, head, rest = file.read_text(encoding="utf-8").partition(f"rule {rule}:\n")
        text, count = re.subn(pattern, after, rest, count=1)
        assert head and count and text != rest, (rule, pattern)
        file.write_text(before + head + text, encoding="utf-8")

    return change


def touched(*patterns: str) -> Change:
    def change(project: Project) -> None:
        for pattern in patterns:
            paths = [path for path in project.folder.glob(pattern) if path.is_file()]
            assert paths, pattern
            for path in paths:
                os.utime(path)

    return change


def older(change: Change, path: str) -> Change:
    """A change of a file that leaves it with the date of long ago, as `mv` and `cp -p` of another file do."""

    def changed(project: Project) -> None:
        change(project)
        os.utime(project.folder / path, (1_000_000_000, 1_000_000_000))

    return changed


def written_again(path: str) -> Change:
    """Replace a file by an identical one, with times of its own."""

    def change(project: Project) -> None:
        file = project.folder / path
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)

    return change


def byte_flipped(path: str, keep_time: bool = False) -> Change:
    """Change the last byte of a file, as a bad disk does; with `keep_time`, without a trace in the times."""

    def change(project: Project) -> None:
        file = project.folder / path
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        if keep_time:
            os.utime(file, ns=times)

    return change


def deleted(*paths: str) -> Change:
    def change(project: Project) -> None:
        for path in paths:
            target = project.folder / path
            shutil.rmtree(target) if target.is_dir() else target.unlink()

    return change


def found(project: Project, pattern: str) -> str:
    """The one file of a pattern, relative to the project."""
    [path] = project.folder.glob(pattern)
    return str(path.relative_to(project.folder))


def at(pattern: str, change: Callable[[str], Change]) -> Change:
    """Make a change to the one file of a pattern."""
    return lambda project: change(found(project, pattern))(project)


# --- ways to change the place ------------------------------------------------------------------------------------


def moved(project: Project) -> None:
    project.folder = project.folder.rename(project.folder.with_name("another place"))


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def committed(project: Project) -> None:
    (project.folder / ".gitignore").write_text("/resources\n/results\n/logs\n.snakemake\n.scratch\n")
    git(project.folder, "init", "--initial-branch", "main")
    git(project.folder, "add", ".")
    git(project.folder, "commit", "--message", "all")


def checked_out(project: Project) -> None:
    """Go to a branch without code and back: every tracked file is written again."""
    committed(project)
    git(project.folder, "checkout", "--orphan", "empty")
    git(project.folder, "rm", "--force", "-r", ".")
    git(project.folder, "commit", "--allow-empty", "--message", "nothing")
    assert not (project.folder / "workflow").exists()
    git(project.folder, "checkout", "main")


def cloned(*carried: str, keep_times: bool) -> Change:
    """Clone the code, and copy folders that git does not have into the clone."""

    def change(project: Project) -> None:
        committed(project)
        clone = project.folder.with_name("clone")
        git(project.folder.parent, "clone", str(project.folder), str(clone))
        for name in carried:
            copy = shutil.copy2 if keep_times else shutil.copyfile
            shutil.copytree(project.folder / name, clone / name, copy_function=copy)
        project.folder = clone

    return change


def accepted(project: Project) -> None:
    """Make snakemake take all files as they are."""
    project.run("--touch")


def in_turn(*changes: Change) -> Change:
    """Make several changes, one after the other."""

    def change(project: Project) -> None:
        for step in changes:
            step(project)

    return change


# Answers as much as snakemake asks conda before it makes an environment, which a dry-run does not.
CONDA = """#!/bin/sh
case "$*" in
  *info*) echo '{"platform": "linux-64", "conda_version": "25.3.0", "conda_prefix": "/c", "root_prefix": "/c"}' ;;
  *channel_priority*) echo '{"get": {"channel_priority": "strict"}}' ;;
  *--version*) echo "conda 25.3.0" ;;
esac
"""
WITH_SDM = ("--cores", "2", "--sdm", "conda")
WITH_CONDA = {"PATH": f"stand-ins:{os.environ['PATH']}"}


def conda_stand_in(project: Project) -> None:
    file = project.folder / "stand-ins/conda"
    file.parent.mkdir()
    file.write_text(CONDA)
    file.chmod(0o755)


def accepted_with_conda(project: Project) -> None:
    conda_stand_in(project)
    project.run("--touch", "--sdm", "conda", environment=WITH_CONDA)


RESULTS = ("resources", "results", ".snakemake")
RUN = "results/tiny/bert/tiny/finetuned/top-1/seed1"
BASE = "results/tiny/bert/tiny/baseline/seed1"
EXPORTS = "results/tiny/bert/tiny/variants"
# A run that was dropped from the fine-tuned model, which Table 7 shows.
ONE_RUN_SCORED = TABLES + ONE_TABLE + OBSERVATIONS
ONE_RUN_PREDICTED = Counter(predict=1, evaluate=1, compare=1) + RELOADED + ONE_RUN_SCORED
ONE_RUN_REFINED = Counter(drop_layers=1, refine=1) + ONE_RUN_PREDICTED

SETTINGS = {
    "nothing": Case(lambda project: None, NOTHING),
    "a comment in the study": Case(append("config.yaml", "# only a comment\n"), NOTHING),
    "keys of the study in another order": Case(study_with(keys_reversed), NOTHING),
    "a default written out": Case(settings(evaluate={"confidence": 0.95}), NOTHING),
    "a train setting": Case(settings(train={"batch_size": 8}), BASELINE_AND_BELOW),
    # What starts from the pre-trained model, or tunes by settings of its own, stays.
    "a train setting that refine overrides": Case(
        settings(train={"epochs": 2}, refine={"epochs": 1}),
        BASELINE
        + Counter(finetune_frozen=1, drop_layers=3, refine=3, predict=3, evaluate=3, compare=5)
        + RELOADED
        + AGGREGATION,
    ),
    "the length of inputs": Case(settings(train={"max_length": 24}), TOKENS_AND_BELOW),
    "a refine setting": Case(settings(refine={"epochs": 2}), REFINES_AND_BELOW),
    "refine saying what train says": Case(settings(refine={"batch_size": 16}), REPORT),
    "a refine setting of an origin": Case(
        in_turn(NO_REPRODUCTION, entry("origins", 1, refine={"epochs": 2})),
        Counter(drop_layers=2, refine=2, predict=2, evaluate=2, compare=2) + RELOADED + TABLES,
    ),
    "the tuning between two layers": Case(
        entry("origins", 3, stage={"epochs": 2}),
        UP_TO_GRADUAL + ONE_NEW_ARM - Counter(choose_layers=1) + TABLES + ONE_TABLE + OBSERVATIONS,
    ),
    "a train setting of one of two tasks": Case(
        entry("tasks", 1, train={"batch_size": 8}),
        Counter(finetune_baseline=1, drop_layers=2, refine=2, predict=3, evaluate=3, compare=2, reload_model=3)
        + TABLES
        + Counter(plot=1),
        study="tasks",
    ),
    "a refine setting of one of two tasks": Case(
        entry("tasks", 1, refine={"learning_rate": 0.002}),
        Counter(drop_layers=2, refine=2, predict=2, evaluate=2, compare=2, reload_model=2) + TABLES + Counter(plot=1),
        study="tasks",
    ),
    "the length of inputs of one of two tasks": Case(
        entry("tasks", 1, train={"max_length": 24}),
        Counter(tokenize_task=1, tokenize_calibration=1, score_subsets=1, choose_layers=1, finetune_baseline=1)
        + Counter(drop_layers=2, refine=2, predict=3, evaluate=3, compare=2, reload_model=3)
        + TABLES
        + Counter(plot=1),
        study="tasks",
    ),
    # What calibration takes, training lacks; with `train_examples`, calibration takes of what these leave.
    "calibration examples from the training data": Case(
        settings(calibration={"examples": 16}),
        Counter(download_calibration=1, tokenize_calibration=1) + TASK_AND_BELOW,
    ),
    "the number of calibration examples of one of two tasks": Case(
        entry("tasks", 0, calibration={"examples": 14}),
        Counter(download_calibration=1, tokenize_calibration=1) + CONTRIBUTION_AND_BELOW + Counter(plot=1) + TABLES,
        study="tasks",
    ),
    "the number of calibration examples": Case(
        settings(calibration={"examples": 14}),
        Counter(download_calibration=2, tokenize_calibration=2) + CONTRIBUTION_AND_BELOW + SUBSETS_AND_BELOW,
        study="tasks",
    ),
    "the budget of layer evaluations": Case(
        settings(subsets={"layer_evaluations": 100}), SUBSETS_AND_BELOW, study="tasks"
    ),
    "the subsets that are raced": Case(settings(race={"shortlist": 3, "epochs": 1}), RACE_AND_BELOW, study="judged"),
    # Of three numbers two are 2 then, as before.
    "the epochs of a race": Case(settings(race={"shortlist": 2, "epochs": 2}), RACE_AND_BELOW, study="judged"),
    "the epochs of refining, where a strategy races": Case(
        settings(refine={"epochs": 7}), REFINED_AFTER_A_RACE, study="judged"
    ),
    "a teacher, where a strategy races": Case(
        settings(refine={"distill": {}}), Counter(teach=1) + REFINED_AFTER_A_RACE, study="judged"
    ),
    "layers scored on another task": Case(
        entry("strategies", 0, scores_from="second"), CONTRIBUTION_AND_BELOW + Counter(plot=1) + TABLES, study="tasks"
    ),
    "layers protected": Case(
        entry("strategies", 2, protect=[3]), SUBSETS_AND_BELOW - Counter(score_subsets=1), study="tasks"
    ),
    "a teacher": Case(
        settings(reproduction=False, refine={"distill": {"weight": 0.7}}), Counter(teach=1) + REFINES + TABLES
    ),
    "a teacher for one origin": Case(
        in_turn(NO_REPRODUCTION, entry("origins", 0, refine={"distill": {}})),
        Counter(teach=1) + ONE_NEW_ARM - Counter(choose_layers=1) + TABLES,
    ),
    "another weight of the teacher": Case(settings(refine={"distill": {"weight": 0.7}}), TAUGHT_AND_BELOW, "families"),
    "vectors of the teacher": Case(settings(refine={"distill": {"vectors": 0.5}}), TAUGHT_AGAIN, "families"),
    "vectors of the teacher, with weight 0": Case(settings(refine={"distill": {"vectors": 0}}), NOTHING, "families"),
    "a teacher, and texts made for it": Case(
        settings(reproduction=False, refine={"distill": {"augment": {"copies": 2}}}),
        Counter(augment_tokens=1, teach=1) + REFINES + TABLES,
    ),
    "a teacher, and texts without labels for it": Case(
        in_turn(
            settings(reproduction=False, refine={"distill": {}}),
            entry("tasks", 0, unlabelled_file="data/unlabelled.csv"),
        ),
        Counter(download_unlabelled=1, tokenize_unlabelled=1, teach=1) + REFINES + TABLES,
    ),
    "texts without labels taken out": Case(
        study_with(lambda study: study["tasks"][0].pop("unlabelled_file")), TAUGHT_AGAIN, "families"
    ),
    "fewer of the texts without labels": Case(entry("tasks", 0, unlabelled_examples=20), UNLABELLED_AGAIN, "families"),
    # The baseline and five arms predict them; nothing is trained.
    "test examples where there were none": Case(
        entry("tasks", 0, test_file="data/test.csv"),
        Counter(download_test=1, tokenize_test=1, compare_texts=1, predict_test=6, evaluate_test=6) + TEST_TABLES,
    ),
    # Their texts are left out of those that a teacher answers.
    "test examples where there are texts without labels": Case(
        entry("tasks", 0, test_file="data/test.csv"),
        UNLABELLED_AGAIN
        + Counter(download_test=1, tokenize_test=3, compare_texts=1, predict_test=6, evaluate_test=6, aggregate_test=1),
        "families",
    ),
    "fewer of the test examples": Case(entry("tasks", 0, test_examples=12), TEST_AGAIN, "test"),
    "test examples taken out": Case(
        study_with(lambda study: study["tasks"][0].pop("test_file")),
        Counter(tabulate=1, plot=1, tabulate_variants=1) + REPORT,
        "test",
    ),
    "more texts made of the training texts": Case(
        settings(refine={"distill": {"augment": {"copies": 3}}}), AUGMENTED_AGAIN, "test"
    ),
    "a train setting where there are test examples": Case(settings(train={"batch_size": 8}), TESTED_AND_BELOW, "test"),
    "the number of calibration examples where there are test examples": Case(
        settings(calibration={"examples": 13}), Counter(download_calibration=1, compare_texts=1) + REPORT, "test"
    ),
    "the bootstrap where there are test examples": Case(
        settings(evaluate={"bootstrap_samples": 200}),
        Counter(evaluate=2, compare=1, aggregate=1, evaluate_variants=1, evaluate_test_variants=1) + TEST_SCORES,
        "test",
    ),
    # Exports and measured times stay as they are.
    "the level of intervals where models are delivered": Case(
        settings(evaluate={"confidence": 0.9}),
        Counter(evaluate=2, compare=1, aggregate=1, evaluate_variants=1, evaluate_test_variants=1) + TEST_SCORES,
        "test",
    ),
    # By the first metric arms are compared and candidates chosen.
    "a further metric of a task where models are delivered": Case(
        entry("tasks", 0, metrics=["accuracy", "macro_f1"]),
        Counter(evaluate=2, aggregate=1, evaluate_variants=1, evaluate_test_variants=1) + TEST_SCORES,
        "test",
    ),
    "another first metric of a task where models are delivered": Case(
        entry("tasks", 0, metrics=["f1", "accuracy"]),
        (Counter(evaluate=2, compare=1, aggregate=1) + TEST_SCORES) | CANDIDATES,
        "test",
    ),
    "models delivered where none were": Case(
        settings(budget={"layers": 3}, deliver={"vocabularies": ["full", "trimmed"]}),
        (CANDIDATES | NEW_VOCABULARY) - OF_TEST,
    ),
    "models no longer delivered": Case(
        study_with(lambda study: study.pop("deliver")), Counter(recommend=1, plot_depths=1) + REPORT, "test"
    ),
    "deliver saying what is the default": Case(settings(deliver={"minimum_count": 1}), NOTHING, "test"),
    "operators that int8 leaves out": Case(
        settings(deliver={"exclude_operators": ["word_embeddings"]}), QUANTISED, "test"
    ),
    "a runtime less": Case(settings(deliver={"runtimes": ["torch", "onnx"]}), OTHER_VARIANTS, "test"),
    # It is measured all the same, for the others are compared with it.
    "runtimes without torch": Case(settings(deliver={"runtimes": ["onnx", "onnx-int8"]}), REPORT, "test"),
    "runtimes and vocabularies in another order": Case(
        settings(deliver={"runtimes": ["onnx-int8", "torch", "onnx"], "vocabularies": ["trimmed", "full"]}),
        REPORT,
        "test",
    ),
    "the full vocabulary alone": Case(settings(deliver={"vocabularies": ["full"]}), OTHER_VARIANTS, "test"),
    "how often a token must occur to be kept": Case(settings(deliver={"minimum_count": 2}), NEW_VOCABULARY, "test"),
    "what the budget prefers": Case(settings(budget={"prefer": "size"}), DELIVERED, "test"),
    "a limit of the budget where models are delivered": Case(settings(budget={"score_kept": 50}), DELIVERED, "test"),
    "the texts that serving is measured with": Case(settings(measure={"texts": 5}), SERVED, "test"),
    "two numbers of the measurement that change places": Case(
        settings(measure={"repeats": 4, "texts": 3}), Counter(measure_cost=1, tabulate=1, plot=1) + SERVED, "test"
    ),
    "the measurement where models are delivered": Case(
        settings(measure={"repeats": 4}), Counter(measure_cost=1, tabulate=1, plot=1) + SERVED, "test"
    ),
    "the metrics of a task": Case(
        entry("tasks", 0, metrics=["macro_f1"]),
        EVALUATIONS_AND_BELOW + Counter(collect_states=1) + STATES_ITEMS,
    ),
    "another first metric of a task": Case(
        entry("tasks", 0, metrics=["f1", "accuracy"]),
        EVALUATIONS_AND_BELOW + Counter(collect_states=1) + STATES_ITEMS,
    ),
    "the positive class of a task": Case(
        entry("tasks", 0, positive_class="bad"),
        EVALUATIONS_AND_BELOW + Counter(collect_states=1) + STATES_ITEMS,
    ),
    "the task of the paper that a task is compared with": Case(
        entry("tasks", 0, counterpart="MRPC"), ALL_ITEMS + STATES_ITEMS + SCORES_ITEMS + REPORT
    ),
    "the model of the paper that a model is compared with": Case(
        entry("models", 0, counterpart="RoBERTa"),
        ALL_ITEMS + STATES_ITEMS + SCORES_ITEMS + Counter(check_parameter_orders=1) + REPORT,
    ),
    "the bootstrap": Case(settings(evaluate={"bootstrap_samples": 200}), EVALUATIONS_AND_BELOW),
    "the level of intervals": Case(
        settings(evaluate={"confidence": 0.9}),
        Counter(evaluate=6, compare=5) + TABLES + ALL_ITEMS + STATES_ITEMS + SCORES_ITEMS,
    ),
    "weights of classes while refining": Case(settings(refine={"class_weights": "balanced"}), REFINES_AND_BELOW),
    "no weights of classes, which is the default": Case(settings(train={"class_weights": "none"}), Counter()),
    "which parameters count": Case(
        settings(parameter_scores={"weights": "layer"}),
        Counter(score_parameters=1) + ONE_NEW_ARM + TABLES + ONE_FIGURE + OBSERVATIONS,
    ),
    "the layer-wise classifiers": Case(
        settings(probe={"train_examples": 40}),
        Counter(probe_layers=1, collect_states=1, judge_observations=1) + STATES_ITEMS + REPORT,
    ),
    "the measurement": Case(settings(measure={"repeats": 4}), COST),
    "the task whose texts are measured": Case(settings(measure={"task": "tiny"}), COST),
    "a tolerance added": Case(settings(report={"tolerances": [5]}), SUMMARY),
    "a budget where there was none": Case(settings(budget={"layers": 3}), Counter(recommend=1, plot_depths=1) + REPORT),
    "a limit of the budget": Case(settings(budget={"score_kept": 99}), RECOMMENDED + REPORT, study="tasks"),
    # The figure of the task whose subsets are scored stays, without the budget.
    "the budget removed": Case(
        study_with(lambda study: study.pop("budget")), Counter(plot_depths=1) + REPORT, study="tasks"
    ),
    "a share of unknown tokens to warn of": Case(settings(report={"warn_above": {"unknown_tokens": 0}}), REPORT),
    # What computes with them runs again: a study has one number of threads.
    "threads": Case(settings(compute={"threads": 2}), BASELINE_AND_BELOW + SCORES + Counter(measure_cost=1)),
    "the device": Case(settings(compute={"device": "cpu"}), BASELINE_AND_BELOW + SCORES + Counter(measure_cost=1)),
    "the precision of training": Case(settings(compute={"precision": "fp32"}), BASELINE_AND_BELOW),
    "runs that share a GPU": Case(settings(compute={"runs_per_gpu": 4}), REPORT),
    "how often trainings write checkpoints": Case(settings(compute={"checkpoint_seconds": 10}), REPORT),
    # Refined ones only, and what gradual dropping makes on the way stays in full precision.
    "the dtype of pruned models": Case(settings(pruned_dtype="bf16"), REFINES_AND_BELOW),
    "models no longer kept": Case(settings(keep_models=False), Counter(reload_model=6) + REPORT),
    "strategies no longer judged": Case(settings(oracle=False), REPORT, study="judged"),
    "the level of intervals, where strategies are judged": Case(
        settings(evaluate={"confidence": 0.9}),
        Counter(evaluate=7, compare=6, plot_depths=1) + TABLES + JUDGED,
        study="judged",
    ),
    "the paper's tables no longer wanted": Case(settings(reproduction=False), REPORT),
    "a folder of GLUE, of which the study has no task": Case(settings(glue_directory="glue"), REPORT),
}


def of_a_changed_study(cases: dict[str, Case]) -> dict[str, Case]:
    """A study that has changed is written again."""
    return {
        name: replace(case, jobs=case.jobs + Counter(write_study=1)) if case.jobs else case
        for name, case in cases.items()
    }


RUNS = {
    "a model added": Case(
        entries("models", again(0, name="other")),
        Counter(download_model=1, measure_cost=1, collect_scores=1, check_parameter_orders=1)
        + NEW_TASK
        + SCORES_ITEMS
        + NEW_PLAN,
    ),
    "a model removed": Case(
        entries("models", lambda models: models.pop(1)), TABLES + Counter(plan_runs=1, plot=1), "families"
    ),
    "models in another order": Case(
        entries("models", lambda models: models.reverse()), TABLES + Counter(plan_runs=1, plot=2), "families"
    ),
    "a task added": Case(
        entries("tasks", again(0, name="other")),
        Counter(download_task=1, collect_scores=1) + NEW_TASK + SCORES_ITEMS + NEW_PLAN,
    ),
    "a task removed": Case(
        study_with(lambda study: (study["tasks"].pop(1), study["strategies"].pop(2))),
        TABLES + Counter(plan_runs=1),
        "tasks",
    ),
    "tasks in another order": Case(
        entries("tasks", lambda tasks: tasks.reverse()), TABLES + Counter(plan_runs=1, plot=1), "tasks"
    ),
    "a strategy added": Case(
        entries(
            "strategies", lambda found: found.append({"name": "symmetric", "amounts": [2], "origins": ["finetuned"]})
        ),
        ONE_NEW_ARM + NEW_PLAN,
    ),
    "a strategy with scores added": Case(
        entries(
            "strategies",
            lambda found: found.append({"name": "contribution-rank", "amounts": [1], "origins": ["pretrained"]}),
        ),
        ONE_NEW_ARM + NEW_PLAN,
    ),
    # The baseline's model, which the study does not keep, is trained again.
    "a strategy by gradients added, for an origin of its own": Case(
        study_with(add_taylor),
        Counter(finetune_baseline=1, score_gradients=1, choose_layers=1, drop_layers=1, refine=1, predict=2)
        # The baseline, whose model was not kept, answers again, so the task's other two arms are compared again.
        + Counter(evaluate=2, compare=3, reload_model=2, plan_runs=1, plot=1)
        + TABLES,
        "tasks",
    ),
    "a strategy by subsets for one more task": Case(
        entries("strategies", lambda found: found[2]["tasks"].append("tiny")),
        Counter(score_subsets=1, choose_layers=2, drop_layers=2)
        + Counter(refine=2, predict=2, evaluate=2, compare=1, reload_model=2, plan_runs=1, plot=1)
        + TABLES,
        "tasks",
    ),
    "a strategy removed": Case(entries("strategies", lambda found: found.pop(1)), RELOADED + NEW_PLAN),
    # What it keeps was known before: only the runs are others.
    "a strategy removed, where strategies are judged": Case(
        entries("strategies", lambda found: found.pop(1)),
        RELOADED + Counter(plan_runs=1, plot_depths=1) + TABLES + JUDGED,
        study="judged",
    ),
    "a strategy for one of three models": Case(
        entry("strategies", 0, models=["bert"]), Counter(plan_runs=1, reload_models=2) + TABLES, "families"
    ),
    "strategies in another order": Case(entries("strategies", lambda found: found.reverse()), NEW_PLAN),
    "an amount added": Case(entries("strategies", lambda found: found[1]["amounts"].append(1)), ONE_NEW_ARM + NEW_PLAN),
    "an amount added where no models are kept": Case(
        entries("strategies", lambda found: found[1]["amounts"].append([1])),
        Counter(choose_layers=3, drop_layers=3, refine=3, predict=3, evaluate=3, compare=2, plan_runs=1, plot=1)
        + Counter(reload_model=3)
        + TABLES,
        "tasks",
    ),
    "an origin added": Case(
        entries("origins", lambda found: found.append({"name": "pretrained"})),
        Counter(dict.fromkeys([*ONE_NEW_RUN, "reload_models"], 3)) + Counter(plan_runs=1, plot=2) + TABLES,
        "families",
    ),
    "an arm for one more origin": Case(
        entries("strategies", lambda found: found[1]["origins"].append("pretrained")), ONE_NEW_ARM + NEW_PLAN
    ),
    "an origin removed": Case(
        study_with(lambda study: (study["origins"].pop(2), study["strategies"][0]["origins"].pop(1))),
        RELOADED + NEW_PLAN,
    ),
    "a seed added": Case(settings(seeds=[1, 2]), ALL_RUNS + NEW_PLAN),
    "a seed removed": Case(settings(seeds=[1]), Counter(plan_runs=1, compare=2, plot=1) + TABLES, "tasks"),
    # A comparison lists its seeds in the order of the study.
    "seeds in another order": Case(settings(seeds=[2, 1]), Counter(plan_runs=1, compare=2, plot=1) + TABLES, "tasks"),
    "a seed of one of two tasks": Case(
        entry("tasks", 1, seeds=[1, 2]),
        Counter(choose_layers_of_baseline=1, finetune_baseline=1, predict=3, evaluate=3, compare=2, plan_runs=1, plot=1)
        + Counter(choose_layers=2, drop_layers=2, refine=2, reload_model=3)
        + TABLES,
        "tasks",
    ),
    "another name of the study": Case(
        settings(study="another"),
        STUDY_AGAIN,
    ),
}

DATA = {
    "own data: a row added": Case(append("data/validation.csv", "good good happy street,good\n"), TASK_AND_BELOW),
    "own data: touched": Case(touched("data/*.csv"), NOTHING),
    "own data: another file with an older date": Case(
        older(append("data/validation.csv", "good good happy street,good\n"), "data/validation.csv"), TASK_AND_BELOW
    ),
    "own data: replaced by the same": Case(written_again("data/train.csv"), NOTHING),
    "texts without labels: a row added": Case(
        append("data/unlabelled.csv", "good good,happy street\n"), UNLABELLED_AGAIN, "families"
    ),
    "texts without labels: touched": Case(touched("data/unlabelled.csv"), NOTHING, "families"),
    "test data: a row added": Case(append("data/test.csv", "good good happy street,good\n"), TEST_AGAIN, "test"),
    "test data: touched": Case(touched("data/test.csv"), NOTHING, "test"),
    "own data: a row added where there are test examples": Case(
        append("data/validation.csv", "good good happy street,good\n"),
        Counter(download_task=1, download_calibration=1, tokenize_task=1)
        + Counter(download_test=1, tokenize_test=1, compare_texts=1, augment_tokens=1)
        + TESTED_AND_BELOW,
        "test",
    ),
    "own model: other weights": Case(
        byte_flipped("models/bert/model.safetensors"),
        Counter(download_model=1, measure_cost=1, choose_layers_of_baseline=1, choose_layers=5)
        + Counter(score_parameters=1, check_parameter_orders=1)
        + TOKENS_AND_BELOW,
    ),
    "own model: touched": Case(touched("models/bert/*"), NOTHING),
    "another definition of the data": Case(
        entry("tasks", 0, labels=["good", "bad"]),
        TASK_AND_BELOW + Counter(write_study=1),
    ),
    "a number of the paper": Case(
        replaced("workflow/shallower/paper/values.csv", "67349", "67350"),
        ALL_ITEMS + STATES_ITEMS + SCORES_ITEMS + Counter(check_parameter_orders=1) + REPORT,
    ),
    "the paper's numbers touched": Case(touched("workflow/shallower/paper/values.csv"), NOTHING),
}

# The scripts of steps by which models are delivered, and what an edit starts in the study that does.
DELIVERY_SCRIPTS = {
    "choose_candidates": CANDIDATES,
    "trim_vocabulary": NEW_VOCABULARY,
    "trim_models": TRIMMED,
    "export_onnx": EXPORTED,
    "quantise_onnx": QUANTISED,
    "predict_variants": PREDICTED_VARIANTS,
    "evaluate_variants": SCORED_VARIANTS,
    "measure_serving": SERVED,
    "tabulate_variants": VARIANTS,
    "plot_variants": Counter(plot_variants=1) + REPORT,
    "deliver_model": Counter(deliver_model=1) + RECORD,
}

SCRIPTS = {
    "aggregate_results": TABLES + OBSERVATIONS,
    "check_parameter_orders": Counter(check_parameter_orders=1) + REPORT,
    # No models are delivered by this study; for those of another see below.
    **dict.fromkeys(DELIVERY_SCRIPTS, NOTHING),
    "choose_layers": Counter(choose_layers_of_baseline=1, choose_layers=5, predict=1, evaluate=1)
    + REFINES
    + AGGREGATION,
    "collect_scores": Counter(collect_scores=1) + SCORES_ITEMS + REPORT,
    "collect_states": Counter(collect_states=1, judge_observations=1) + STATES_ITEMS + REPORT,
    "compare_runs": Counter(compare=5) + SUMMARY,
    # No test examples in this study; for those of another see below.
    "compare_texts": NOTHING,
    "compare_states": Counter(compare_states=1, collect_states=1, judge_observations=1) + STATES_ITEMS + REPORT,
    "augment_tokens": NOTHING,
    # No strategy of this study scores subsets; for those of another see below.
    "download_calibration": NOTHING,
    "download_test": NOTHING,
    "download_unlabelled": NOTHING,
    "download_model": Counter(download_model=1, measure_cost=1, choose_layers_of_baseline=1, choose_layers=5)
    + Counter(score_parameters=1, check_parameter_orders=1)
    + TOKENS_AND_BELOW,
    "download_task": TASK_AND_BELOW,
    "drop_layers": REFINES_AND_BELOW,
    "evaluate_predictions": Counter(evaluate=6) + AGGREGATION,
    "finetune": BASELINE_AND_BELOW,
    "judge_observations": Counter(judge_observations=1) + REPORT,
    # No strategies are judged in this study; for those of another see below.
    "judge_strategies": NOTHING,
    "measure_cost": COST,
    "plan_runs": NEW_PLAN,
    # No budget and no subsets of layers in this study; for those of another see below.
    "plot_depths": NOTHING,
    "plot_reproduction": Counter(plot_reproduction=5) + REPORT,
    "plot_results": Counter(plot=1) + REPORT,
    "plot_subsets": NOTHING,
    "present_oracle": NOTHING,
    "present_reproduction": SECTION + REPORT,
    "predict": PREDICTIONS_AND_BELOW,
    "probe_layers": Counter(probe_layers=1, collect_states=1, judge_observations=1) + STATES_ITEMS + REPORT,
    "race_subsets": NOTHING,
    "recommend_models": NOTHING,
    "record_study": RECORD,
    "reload_models": RELOADED + RECORD,
    "render_item": Counter(render_item=7) + RECORD,
    "reproduce_item": Counter(reproduce=12, render_item=7, plot_reproduction=5) + REPORT,
    "score_gradients": NOTHING,
    "score_layers": SCORES + REPORT,
    "score_parameters": Counter(score_parameters=1) + ONE_NEW_ARM + TABLES + ONE_FIGURE + OBSERVATIONS,
    "score_subsets": NOTHING,
    "tabulate_results": SUMMARY,
    "teach": NOTHING,
    "tokenize_task": TOKENS_AND_BELOW,
    # No thresholds are tuned here; test_multi_label_study.py does.
    "tune_thresholds": NOTHING,
    "write_report": REPORT,
    "write_study": Counter(write_study=1) + REPORT,
}

CODE = {
    "every code file touched": Case(touched("workflow/**/*.py"), NOTHING),
    "every rule file touched": Case(touched("workflow/rules/*.smk", "Snakefile"), NOTHING),
    **{f"script {name}.py": Case(code(f"scripts/{name}.py"), jobs) for name, jobs in SCRIPTS.items()},
    **{
        f"script {name}.py, where models are delivered": Case(code(f"scripts/{name}.py"), jobs, study="test")
        for name, jobs in DELIVERY_SCRIPTS.items()
    },
    "the template of a delivered model's card": Case(
        append("workflow/templates/delivered_card.jinja", "edited\n"), Counter(deliver_model=1) + RECORD, study="test"
    ),
    "script score_subsets.py, where a strategy asks for it": Case(
        code("scripts/score_subsets.py"), SUBSETS_AND_BELOW, study="tasks"
    ),
    "script download_calibration.py, where a strategy asks for it": Case(
        code("scripts/download_calibration.py"),
        Counter(download_calibration=2, tokenize_calibration=2) + CONTRIBUTION_AND_BELOW + SUBSETS_AND_BELOW,
        study="tasks",
    ),
    "script recommend_models.py, where the study has a budget": Case(
        code("scripts/recommend_models.py"), RECOMMENDED + REPORT, study="tasks"
    ),
    "script plot_depths.py, where the study has a budget": Case(
        code("scripts/plot_depths.py"), Counter(plot_depths=2) + REPORT, study="tasks"
    ),
    "script plot_subsets.py, where subsets are scored": Case(
        code("scripts/plot_subsets.py"), Counter(plot_subsets=1) + REPORT, study="tasks"
    ),
    "the template of the recommendation": Case(append("workflow/templates/recommended.jinja", "edited\n"), REPORT),
    "script download_unlabelled.py, where a teacher answers such texts": Case(
        code("scripts/download_unlabelled.py"), UNLABELLED_AGAIN, study="families"
    ),
    "script augment_tokens.py, where a teacher answers such texts": Case(
        code("scripts/augment_tokens.py"), AUGMENTED_AGAIN, study="test"
    ),
    "script download_test.py, where there are test examples": Case(
        code("scripts/download_test.py"), TEST_AGAIN, study="test"
    ),
    "script compare_texts.py, where there are test examples": Case(
        code("scripts/compare_texts.py"), Counter(compare_texts=1) + REPORT, study="test"
    ),
    "script predict.py, where there are test examples": Case(
        code("scripts/predict.py"),
        Counter(predict=2, evaluate=2, compare=1, reload_models=1, aggregate=1) + TEST_PREDICTIONS,
        study="test",
    ),
    "script evaluate_predictions.py, where there are test examples": Case(
        code("scripts/evaluate_predictions.py"), Counter(evaluate=2, aggregate=1) + TEST_SCORES, study="test"
    ),
    "script aggregate_results.py, where there are test examples": Case(
        code("scripts/aggregate_results.py"), Counter(aggregate=1) + TEST_TABLES, study="test"
    ),
    "script teach.py, where there is a teacher": Case(code("scripts/teach.py"), TAUGHT_AGAIN, study="families"),
    "script race_subsets.py, where a strategy races": Case(
        code("scripts/race_subsets.py"), RACE_AND_BELOW, study="judged"
    ),
    "script score_gradients.py, where strategies are judged": Case(
        code("scripts/score_gradients.py"), Counter(score_gradients=1) + JUDGED + REPORT, study="judged"
    ),
    "script judge_strategies.py, where a study asks for it": Case(
        code("scripts/judge_strategies.py"), JUDGED + REPORT, study="judged"
    ),
    "script present_oracle.py, where a study asks for it": Case(
        code("scripts/present_oracle.py"), Counter(present_oracle=1) + REPORT, study="judged"
    ),
    "the template of the judged strategies": Case(
        append("workflow/templates/oracle_body.jinja", "edited\n"), Counter(present_oracle=1) + REPORT, study="judged"
    ),
    "a comment in a script": Case(append("workflow/scripts/predict.py", "# only a comment\n"), NOTHING),
    "every docstring of the library reworded": Case(docstrings_reworded, NOTHING),
    "a message in a script": Case(
        replaced("workflow/scripts/predict.py", 'predictions.parquet")', 'the table to write")'),
        PREDICTIONS_AND_BELOW,
    ),
    # One script makes all items, and Table 4 scores halves of the predictions.
    "module metrics.py": Case(
        code("shallower/evaluation/metrics.py"),
        Counter(evaluate=6, compare=5, collect_states=1) + TABLES + ALL_ITEMS + STATES_ITEMS + SCORES_ITEMS,
    ),
    "module surgery.py": Case(code("shallower/surgery/drop_layers.py"), REFINES_AND_BELOW),
    "module figures.py": Case(code("shallower/reporting/figures.py"), Counter(plot=1, plot_reproduction=5) + REPORT),
    "module hypotheses.py": Case(code("shallower/paper/hypotheses.py"), Counter(judge_observations=1) + REPORT),
    "module encoder.py": Case(code("shallower/engine/classifiers/packed_encoder.py"), BASELINE_AND_BELOW),
    "module training.py": Case(code("shallower/engine/training.py"), BASELINE_AND_BELOW),
    "module plan.py, which only the plan uses": Case(code("shallower/planning/plan.py"), NOTHING),
    "the style sheet of all pages": Case(
        append("workflow/templates/page.css", "p {}\n"),
        SUMMARY + Counter(render_item=7, judge_observations=1, check_parameter_orders=1),
    ),
    "the template of the answer": Case(append("workflow/templates/answer.jinja", "edited\n"), SUMMARY),
    "the template of the methods": Case(append("workflow/templates/methods.jinja", "edited\n"), REPORT),
    "the template of the paper's tables": Case(
        append("workflow/templates/paper_table.jinja", "edited\n"), Counter(render_item=7) + SECTION + REPORT
    ),
    "a rule's command": Case(
        rule_changed("evaluate.smk", "predict", "python ", "python -X utf8 "), PREDICTIONS_AND_BELOW
    ),
    "a rule's threads": Case(rule_changed("evaluate.smk", "predict", "threads: THREADS", "threads: 2"), NOTHING),
    "a rule's resources": Case(rule_changed("evaluate.smk", "predict", "gpu=GPUS", "gpu=1"), NOTHING),
    "a rule's log": Case(rule_changed("evaluate.smk", "predict", "logs/", "logs/other/"), NOTHING),
    "a comment in a rule file": Case(append("workflow/rules/evaluate.smk", "# only a comment\n"), NOTHING),
    "a study's keys: a description": Case(
        replaced("workflow/shallower/study/settings.py", "Pre-trained models.", "Edited."), NOTHING
    ),
    "a study's keys: a default that the study overrides": Case(
        replaced("workflow/shallower/study/step_settings.py", "] = 20\n", "] = 21\n"), NOTHING
    ),
    "captions of Snakemake's report": Case(append("workflow/report/answer.rst", "\nEdited.\n"), NOTHING),
    "documentation and tests": Case(
        lambda project: [append(name, "edited\n")(project) for name in ("README.md", "Makefile", "pyproject.toml")],
        NOTHING,
    ),
}

FILES = {
    "downloaded weights touched": Case(touched("resources/models/*/model.safetensors"), NOTHING),
    "tokens touched": Case(touched("resources/tokens/**/*.safetensors"), NOTHING),
    "tuned models touched": Case(touched("results/**/model.safetensors"), NOTHING),
    "everything touched": Case(touched("results/**/*", "resources/**/*"), NOTHING),
    # What the tables were made of may go once they are there.
    "predictions deleted": Case(deleted(f"{RUN}/predictions.parquet"), NOTHING),
    "metrics deleted": Case(deleted(f"{RUN}/metrics.json"), NOTHING),
    "a downloaded model deleted": Case(at("resources/models/*/model.safetensors", deleted), NOTHING),
    "all tokens deleted": Case(deleted("resources/tokens"), NOTHING),
    "logs and scratch deleted": Case(deleted("logs", ".scratch"), NOTHING),
    "scratch deleted, where models are delivered": Case(deleted(".scratch"), NOTHING, study="test"),
    "a tuned model deleted": Case(deleted(f"{RUN}/model.safetensors"), ONE_RUN_REFINED),
    # Only what is dropped from it.
    "a baseline deleted": Case(
        deleted(f"{BASE}/model.safetensors"),
        BASELINE + Counter(drop_layers=2, refine=2, predict=2, evaluate=2, compare=5) + RELOADED + AGGREGATION,
    ),
    "a figure deleted": Case(deleted("results/tiny/figures/bert/tiny/score-by-cost.svg"), Counter(plot=1) + REPORT),
    "a table of the paper deleted": Case(deleted("results/tiny/paper/table-2.html"), Counter(render_item=1) + RECORD),
    "the recommendation deleted": Case(deleted("results/tiny/recommended.csv"), RECOMMENDED + REPORT, study="tasks"),
    # As when judging is asked for in a study that has all the scores.
    "the tables of judged strategies deleted": Case(deleted("results/tiny/oracle"), JUDGED + REPORT, study="judged"),
    "the table of test scores deleted": Case(deleted("results/tiny/test-results.csv"), TEST_TABLES, study="test"),
    "the table of variants deleted": Case(deleted("results/tiny/variants.csv"), VARIANTS, study="test"),
    "the delivered models deleted": Case(
        deleted("results/tiny/delivered"), Counter(deliver_model=1) + RECORD, study="test"
    ),
    # As with metrics: what was made of them is there.
    "an exported model deleted": Case(deleted(f"{EXPORTS}/baseline/seed1/full/onnx/model.onnx"), NOTHING, study="test"),
    "the record of exported models deleted": Case(deleted(f"{EXPORTS}/exported-full.json"), NOTHING, study="test"),
    "the record of exported models deleted, and operators that int8 leaves out": Case(
        in_turn(deleted(f"{EXPORTS}/exported-full.json"), settings(deliver={"exclude_operators": ["word_embeddings"]})),
        Counter(export_onnx=1) + QUANTISED + Counter(write_study=1),
        study="test",
    ),
    "the report deleted": Case(deleted("results/tiny/report.html"), REPORT),
    "the results table deleted": Case(deleted("results/tiny/results.csv"), TABLES + OBSERVATIONS),
    "the proof of loading deleted": Case(deleted("results/tiny/bert/tiny/reloaded.csv"), RELOADED + RECORD),
    "the record deleted": Case(deleted("results/tiny/provenance.json"), RECORD),
    "the hashes deleted": Case(deleted("results/tiny/SHA256SUMS"), RECORD),
    "the whole study deleted": Case(
        deleted("results/tiny"),
        STUDY_AGAIN + Counter(write_study=1),
    ),
    # An edited output is not made again: it counts as what follows is made of. `make verify` names it.
    "scores edited by hand": Case(replaced(f"{RUN}/metrics.json", '"value": ', '"value": 1'), ONE_RUN_SCORED),
    "the results table edited by hand": Case(
        append("results/tiny/results.csv", "\n"), TABLES + OBSERVATIONS - Counter(aggregate=1)
    ),
    "the report edited by hand": Case(append("results/tiny/report.html", "edited"), RECORD),
    "a tuned model's byte changed": Case(byte_flipped(f"{RUN}/model.safetensors"), ONE_RUN_PREDICTED),
    "a tuned model's byte changed, its time kept": Case(
        byte_flipped(f"{RUN}/model.safetensors", keep_time=True), NOTHING
    ),
}

ENVIRONMENT = {
    "another number of cores": Case(lambda project: None, NOTHING, arguments=("--cores", "1")),
    "the project moved": Case(moved, NOTHING),
    "environment variables": Case(
        lambda project: None,
        NOTHING,
        environment={"OMP_NUM_THREADS": "4", "HF_HUB_OFFLINE": "1", "LANG": "C", "PYTHONHASHSEED": "7", "USER": "me"},
    ),
    "the profile": Case(append("profiles/default/profile.yaml", "\nlatency-wait: 7\n"), NOTHING),
    "another profile": Case(lambda project: None, NOTHING, arguments=("--cores", "2", "--workflow-profile", "none")),
    "another scheduler": Case(lambda project: None, NOTHING, arguments=("--cores", "2", "--scheduler", "ilp")),
    "a conda environment, without --sdm conda": Case(append("envs/torch.yaml", "  - pip\n"), NOTHING),
    "--sdm conda for the first time": Case(
        conda_stand_in, EVERYTHING + Counter(write_study=1, plan_runs=1), arguments=WITH_SDM, environment=WITH_CONDA
    ),
    "a conda environment, with --sdm conda": Case(
        in_turn(accepted_with_conda, append("envs/torch.yaml", "  - pip\n")),
        TOKENS_AND_BELOW + Counter(measure_cost=1),
        arguments=WITH_SDM,
        environment=WITH_CONDA,
    ),
    "a git checkout": Case(checked_out, NOTHING),
    "a clone, results copied with their times": Case(cloned(*RESULTS, keep_times=True), NOTHING),
    "a clone, results copied with new times": Case(cloned(*RESULTS, keep_times=False), NOTHING),
    "a copy without .snakemake, with all times": Case(deleted(".snakemake"), NOTHING),
    # Without Snakemake's metadata on contents, the clone's data files count as new.
    "a clone without .snakemake": Case(
        cloned("resources", "results", keep_times=True), EVERYTHING + Counter(write_study=1, plan_runs=1)
    ),
    # As results that are published with the code.
    "a seed added, without .snakemake and .scratch": Case(
        in_turn(deleted(".snakemake", ".scratch"), settings(seeds=[1, 2])), ALL_RUNS + NEW_PLAN + Counter(write_study=1)
    ),
    "a clone without .snakemake, then snakemake --touch": Case(
        in_turn(cloned("resources", "results", keep_times=False), accepted), NOTHING
    ),
}

GROUPS = {
    "Settings": of_a_changed_study(SETTINGS),
    "Runs added, removed and reordered": of_a_changed_study(RUNS),
    "Models and data": DATA,
    "Code": CODE,
    "Outputs": FILES,
    "Place and environment": ENVIRONMENT,
}
GROUPS = {
    group: {name: with_budget(with_section(case)) for name, case in cases.items()} for group, cases in GROUPS.items()
}
CASES = {name: case for cases in GROUPS.values() for name, case in cases.items()}
assert len(CASES) == sum(map(len, GROUPS.values())), "two cases have one name"
# Rows that start nothing and do not hide each other's changes: code that the study has no use for, and touched files.
IDLE = frozenset(
    name
    for name, case in CASES.items()
    if case.jobs == NOTHING and case.study == "origins" and (name in CODE or "touched" in name)
)
