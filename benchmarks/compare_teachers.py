"""What each part of a teacher brings: scores of shallower models that learn in different ways, paired by examples.

Of each task some training rows are drawn (--rows) and labelled; of those that are left out some (--unlabelled) serve as
texts without labels. The same arms are then refined in each of WAYS, by one study a way, all in one clean copy of this
repository, so that the baselines, which are the same, are trained once. More texts are more steps, so one way takes as
many with the labels alone. Differences are of the mean scores over seeds, on the same validation examples; their
intervals and p-values are by resampled examples and seeds, over tasks by Student's t-test, and corrected for all
comparisons of the table (Holm). Writes results/teachers.csv, results/teachers_runs.csv and the tables in README.md.
"""

import argparse
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import yaml

from contest import RESULTS, ROOT, machine
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.devices import choose_compute
from shallower.evaluation.estimates import POINTS, Scores
from shallower.evaluation.significance import bootstrap_p, holm, over_tasks
from shallower.study.resolve import resolve_study
from shallower.study.study import Study
from study_copy import comparison_key, copy_repository, run_study
from task_parts import UNLABELLED, write_files
from write_readme import write_readme

logger = logging.getLogger(__name__)

CONFIDENCE = 0.95
MORE_EPOCHS = "more-epochs"
# What the models learn from, and what `refine` of the study says then.
WAYS: dict[str, dict[str, Any]] = {
    "labels": {},
    MORE_EPOCHS: {},
    "teacher": {"distill": {}},
    "vectors": {"distill": {"vectors": 1}},
    UNLABELLED: {"distill": {}},
    "augmented": {"distill": {"augment": {"copies": 3}}},
}
# Which ways are compared: (way, the one that it adds something to).
PAIRS = [
    (MORE_EPOCHS, "labels"),
    ("teacher", "labels"),
    ("vectors", "teacher"),
    (UNLABELLED, "teacher"),
    ("augmented", "teacher"),
    (UNLABELLED, "labels"),
    (UNLABELLED, MORE_EPOCHS),
    ("augmented", "labels"),
    ("augmented", MORE_EPOCHS),
]
ALL_TASKS = "all"
VALUES = ["full_score", "score", "rival_score", "difference"]


def passes(task: Mapping[str, Any]) -> int:
    """Epochs over a task's training rows with about as many steps as one over them and its texts without labels."""
    rows, texts = (pq.read_metadata(task[name]).num_rows for name in ("train_file", f"{UNLABELLED}_file"))
    return round(1 + texts / rows)


def config_of(
    way: str, config: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], arguments: argparse.Namespace
) -> dict[str, Any]:
    """The study of a way of learning: the models and trainings of `config`, and the arms of the command line."""
    left_out = set() if way == UNLABELLED else {f"{UNLABELLED}_file"}
    entries = [{key: value for key, value in task.items() if key not in left_out} for task in tasks]
    if way == MORE_EPOCHS:
        entries = [
            {**entry, "refine": {"epochs": arguments.refine_epochs * passes(task)}}
            for entry, task in zip(entries, tasks, strict=True)
        ]
    return {
        "study": f"teachers-{way}",
        "models": config["models"],
        "tasks": entries,
        "origins": [{"name": "finetuned"}],
        "strategies": [{"name": arguments.strategy, "amounts": arguments.amounts}],
        "seeds": arguments.seeds,
        "train": config.get("train", {}),
        "refine": {**config.get("refine", {}), "epochs": arguments.refine_epochs, **WAYS[way]},
        # Scores are compared, not times.
        "measure": {"batch_sizes": [1], "sequence_length": 16, "repeats": 3},
        "compute": {**config.get("compute", {}), "device": arguments.device},
    }


def runs_of(way: str, folder: Path) -> pd.DataFrame:
    """The runs of a finished study of a way, with their steps, one row a run."""
    runs = pd.read_csv(folder / "results.csv")
    runs = runs[runs["primary"]].assign(way=way)
    root = folder.parents[1]
    steps = [read_json(root / directory / "manifest.json")["steps"] for directory in runs["directory"]]
    columns = ["way", "model", "task", "strategy", "amount", "num_dropped", "seed", "metric", "value", "train_seconds"]
    return runs[columns].assign(steps=steps)


def comparisons(scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Each pair of PAIRS for each task and arm, and over all tasks, in points; `scores` by way."""
    arms = scores["labels"].runs[["model", "origin", "strategy", "amount"]].astype(str).drop_duplicates()
    rows = []
    for _, arm in arms[arms["strategy"] != "none"].iterrows():
        for way, rival in PAIRS:
            found = []
            for task in scores["labels"].runs["task"].unique():
                names = (arm["model"], task, arm["origin"], arm["strategy"], arm["amount"])
                ours, theirs = scores[way].score(*names), scores[rival].score(*names)
                if ours is None or theirs is None:
                    raise UserError(f"{task}: an arm was not run in both ways, {way} and {rival}; run again")
                full = scores["labels"].baseline(arm["model"], task)
                if full is None:
                    raise UserError(f"{task}: the full model was not run; run again")
                difference = ours - theirs
                low, high = difference.interval(CONFIDENCE)
                p_value = bootstrap_p(difference.value, difference.samples)
                values = (full.value, ours.value, theirs.value, difference.value)
                scored = dict(zip(VALUES, values, strict=True))
                uncertainty = {"low": low, "high": high, "p_value": p_value}
                found.append({"task": task, **scored, **uncertainty, "seeds": difference.seeds})
            of_tasks = pd.DataFrame(found)
            p_value, (low, high) = over_tasks(of_tasks["difference"].to_numpy(), CONFIDENCE)
            uncertainty = {"low": low, "high": high, "p_value": p_value}
            found.append(
                {"task": ALL_TASKS, **of_tasks[VALUES].mean(), **uncertainty, "seeds": of_tasks["seeds"].min()}
            )
            names = {name: arm[name] for name in ("model", "strategy", "amount")} | {"way": way, "rival": rival}
            rows += [{**names, **row} for row in found]
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p_value"].to_list()))


def write_studies(study: Study, config: Mapping[str, Any], arguments: argparse.Namespace, copy: Path) -> None:
    """Write the parts of each task's rows, and the study of each way of learning into a copy of the repository."""
    tasks = [
        write_files(
            study.task_definition(task) | {"metrics": study.evaluate_settings(task)["metrics"]},
            arguments.rows,
            arguments.unlabelled,
            copy.parent / "tasks" / task,
        )
        for task in study.tasks
    ]
    for way in WAYS:
        text = yaml.safe_dump(config_of(way, config, tasks, arguments), sort_keys=False)
        (copy / f"{way}.yaml").write_text(text, encoding="utf-8")


def main(arguments: argparse.Namespace) -> None:
    config = yaml.safe_load(arguments.study.read_text(encoding="utf-8"))
    if arguments.glue:
        config["glue_directory"] = str(arguments.glue.resolve())
    # All rows: the parts are made here.
    limits = {"train_examples", "validation_examples"}
    config["tasks"] = [
        {key: value for key, value in task.items() if key not in limits or task["source"] == "package"}
        for task in config["tasks"]
        if arguments.tasks is None or task["name"] in arguments.tasks
    ]
    study = resolve_study(config)
    options = {name: str(value) for name, value in vars(arguments).items() if name not in ("work_dir", "results")}
    folder = (arguments.work_dir / comparison_key({"options": options, "study": study.config})).resolve()
    copy = folder / "copy"
    if not (copy / f"{list(WAYS)[-1]}.yaml").exists():
        write_studies(study, config, arguments, copy_repository(copy))
    scores, runs = {}, []
    for way in WAYS:
        results = Path("results") / f"teachers-{way}"
        targets = [results / "results.csv", results / "resamples.parquet"]
        logger.info("%s: its study runs; see %s", way, copy / f"{way}.log")
        run_study(copy, f"{way}.yaml", arguments.cores, targets)
        scores[way] = Scores.read(*(copy / target for target in targets))
        runs.append(runs_of(way, copy / results))
    arguments.results.mkdir(parents=True, exist_ok=True)
    conditions = {name: getattr(arguments, name) for name in ("rows", "unlabelled", "refine_epochs")}
    train = study.train_settings(study.tasks[0])
    conditions |= {name: train[name] for name in ("epochs", "batch_size", "learning_rate")}
    all_runs = pd.concat(runs, ignore_index=True)
    all_runs["value"] *= POINTS
    all_runs.to_csv(arguments.results / "teachers_runs.csv", index=False, float_format="%.6g")
    table = comparisons(scores).assign(**conditions, **machine(choose_compute(arguments.device, "auto", 1).device))
    table.to_csv(arguments.results / "teachers.csv", index=False, float_format="%.6g")
    write_readme(arguments.results)
    shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--study", type=Path, default=ROOT / "benchmarks" / "teachers.yaml", help="models, tasks, train"
    )
    parser.add_argument("--glue", type=Path, help="folder of GLUE's files; without it, GLUE comes from the hub")
    parser.add_argument("--tasks", nargs="+", help="tasks of the study; all by default")
    parser.add_argument("--rows", type=int, default=1000, help="training rows with labels, of each task")
    parser.add_argument("--unlabelled", type=int, default=3000, help="most of the other rows, without labels")
    parser.add_argument("--refine-epochs", type=int, default=1, help="over all that a way learns from")
    parser.add_argument("--strategy", default="top")
    parser.add_argument("--amounts", type=int, nargs="+", default=[2, 4], help="layers to drop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work-dir", type=Path, default=ROOT / ".scratch" / "teachers", help="for what is made")
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
