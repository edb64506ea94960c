"""A whole study against the same grid as a loop of the Trainer, stock and tuned: wall times and scores.

The study runs through snakemake in a clean copy of this repository, from nothing to its report. The loops then train
each of the study's runs with train_with_trainer.py, one process after the other, each with all cores (or the GPU):
the same task, kept layers, epochs, batch size, maximal length and seed, from the pre-trained weights, as the study does
with its origin pretrained. The two loops take turns run by run. All of this is done --repetitions times. With --steps N
the loops stop each run after N steps; the rest is extrapolated from them, and the results say so. Writes
results/sweep.csv (a row for each contestant and repetition), results/sweep_runs.csv (a row for each run and loop) and
the table in README.md.
"""

import argparse
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import yaml

from compare_training import add_contest_options, default_model
from contest import (
    BENCHMARKS,
    CONTESTANTS,
    Job,
    check_rivals,
    job_score,
    machine,
    make_random_model,
    matrix_rate,
    run_job,
)
from recorded import merged
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.runs import Run
from shallower.study.resolve import resolve_study
from shallower.study.study import Study
from shallower.surgery.drop_layers import drop_layers
from study_copy import copy_repository, run_study
from write_readme import OURS, SWEEP_MODE, sweep_tables, write_readme

logger = logging.getLogger(__name__)

# Runs are one training each, from weights that nobody has trained yet, as in a loop.
ORIGIN = "pretrained"
LOOPS = tuple(contestant for contestant in CONTESTANTS if contestant != OURS)


def sweep_config(config: Mapping[str, Any], arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """A study's configuration with what the command line changes; paths in it become absolute."""
    changed = dict(config)
    if arguments.random_weights:
        directory = make_random_model(
            arguments.random_weights, default_model(folder / "minilm"), folder / arguments.random_weights
        )
        changed["models"] = [{"name": arguments.random_weights, "source": "local", "directory": str(directory)}]
    if arguments.glue:
        changed["glue_directory"] = str(arguments.glue.resolve())
    if arguments.rows:
        sizes = {"train_examples": arguments.rows, "validation_examples": arguments.rows}
        changed["tasks"] = [{**task, **sizes} for task in config["tasks"]]
    compute = {"device": arguments.device}
    if arguments.runs_per_gpu:
        compute["runs_per_gpu"] = arguments.runs_per_gpu
    return {**changed, "compute": {**config.get("compute", {}), **compute}}


def check_origins(study: Study) -> None:
    """Raise UserError for a study that a loop of single trainings could not do."""
    if others := sorted({run.origin for run in study.runs if not run.is_baseline} - {ORIGIN}):
        raise UserError(f"{study.name}: a loop of single trainings has no {', '.join(others)}; leave out these origins")


def loop_job(contestant: str, study: Study, run: Run, copy: Path, folder: Path, arguments: argparse.Namespace) -> Job:
    """One turn of a loop; makes the model that it starts from, of the layers that the finished run kept."""
    pretrained = copy / "resources" / "models" / study.model_key(run.model)
    kept = read_json(copy / run.directory / "layers.json")["kept_layers"]
    model_dir = folder / "models" / "-".join([run.model, *map(str, kept)])
    if not model_dir.exists():
        drop_layers(pretrained, kept, model_dir)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(pretrained / name, model_dir / name)
    settings = study.train_settings(run.task) if run.is_baseline else study.refine_settings(run.task, run.origin)
    return Job(
        contestant=contestant,
        model_dir=model_dir,
        task_dir=copy / "resources" / "tasks" / study.task_key(run.task),
        folder=folder / "run",
        seed=run.seed,
        batch_size=settings["batch_size"],
        epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        max_length=study.max_length(run.task),
        threads=arguments.cores,
        device=arguments.device,
        steps=arguments.steps,
        cache_dir=folder / "cache" / contestant,
    )


def in_full(record: Mapping[str, float]) -> float:
    """Wall seconds of a run that trained `steps` of its `planned_steps`, had it trained them all."""
    rest = max(0, record["planned_steps"] - record["steps"]) / record["steps"]
    return record["wall_seconds"] + rest * record["train_seconds"]


def compare(arguments: argparse.Namespace, folder: Path, repetition: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The comparison (a row for each contestant) and the loops' runs (a row each) of one repetition."""
    config = sweep_config(yaml.safe_load(arguments.study.read_text(encoding="utf-8")), arguments, folder)
    copy = copy_repository(folder / "copy")
    study = resolve_study(config)
    check_origins(study)
    logger.info("%s: %d runs through snakemake", study.name, len(study.runs))
    (copy / "sweep.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    usage = run_study(copy, "sweep.yaml", arguments.cores)
    logger.info("%s: %.0f s", study.name, usage.wall_seconds)
    rows, order = [], random.Random(repetition)
    for number, run in enumerate(study.runs, start=1):
        metric, ours = study_score(run, copy)
        for contestant in order.sample(LOOPS, len(LOOPS)):
            job = loop_job(contestant, study, run, copy, folder, arguments)
            record = run_job(job, arguments.rivals_packages)
            scores = {"metric": metric, "score": job_score(job, metric), "study_score": ours}
            rows.append({"contestant": contestant, "run": run.directory, "task": run.task, **record, **scores})
            rows[-1]["loop_seconds"] = in_full(record)
            logger.info("%s, %d of %d: %.0f s", contestant, number, len(study.runs), rows[-1]["loop_seconds"])
    runs = pd.DataFrame(rows)
    model = read_json(copy / "resources" / "models" / study.model_key(study.models[0]) / "config.json")
    device = matrix_rate(model, arguments.cores, 1, arguments.device)["device"]
    is_whole = (runs["steps"] == runs["planned_steps"]).all()
    mode = {
        "sweep": study.name,
        "device": arguments.device,
        "cores": arguments.cores,
        "training_rows": training_rows(study, copy),
        "loops": "in full" if is_whole else f"{arguments.steps} steps of each run, the rest extrapolated",
    }
    taken = [{"contestant": OURS, "seconds": usage.wall_seconds, "cpu_seconds": usage.cpu_seconds}]
    for contestant, of_loop in runs.groupby("contestant"):
        taken.append({"contestant": contestant, "seconds": of_loop["loop_seconds"].sum()})
        if is_whole:
            taken[-1]["cpu_seconds"] = of_loop["cpu_seconds"].sum()
            taken[-1]["score_difference"] = score_differences(of_loop)
    comparison = pd.DataFrame(taken).assign(**mode, runs=len(study.runs), repetition=repetition, **machine(device))
    return comparison, runs.assign(**mode, repetition=repetition, machine=comparison["machine"][0])


def training_rows(study: Study, copy: Path) -> str:
    """The number of training rows of each task of a finished study, in words."""
    tables = {task: copy / "resources" / "tasks" / study.task_key(task) / "train.parquet" for task in study.tasks}
    return ", ".join(f"{task} {pq.read_metadata(table).num_rows:,}" for task, table in tables.items())


def study_score(run: Run, copy: Path) -> tuple[str, float]:
    """The primary metric of a finished run of the study, and its score."""
    record = read_json(copy / run.directory / "metrics.json")
    return record["primary"], record["metrics"][record["primary"]]["value"]


def score_differences(of_loop: pd.DataFrame) -> str:
    """How much more a loop scores than the study: mean over runs and its standard error, task by task.

    Parity is a mean within two standard errors of 0.
    """
    more = (of_loop["score"] - of_loop["study_score"]).groupby(of_loop["task"])
    means, errors = more.mean(), more.std() / more.count() ** 0.5
    verdicts = (means.abs() <= 2 * errors).map({True: "parity", False: "differs"})
    return ", ".join(f"{task} {means[task]:+.3f} ± {errors[task]:.3f}, {verdicts[task]}" for task in means.index)


def main(arguments: argparse.Namespace) -> None:
    check_rivals(arguments.rivals_packages)
    found = []
    for repetition in range(arguments.repetitions):
        with tempfile.TemporaryDirectory(prefix="shallower-", dir=arguments.work_dir) as folder:
            found.append(compare(arguments, Path(folder).resolve(), repetition))
    arguments.results.mkdir(parents=True, exist_ok=True)
    comparison, runs = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
    for name, new in (("sweep", comparison), ("sweep_runs", runs)):
        file = arguments.results / f"{name}.csv"
        table = merged(pd.read_csv(file) if file.exists() else None, new, SWEEP_MODE)
        table.to_csv(file, index=False, float_format="%.6g")
    write_readme(arguments.results)
    print(sweep_tables(comparison))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_contest_options(parser)
    parser.add_argument("--study", type=Path, default=BENCHMARKS / "sweep.yaml")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repetitions", type=int, default=1, help="how often all is run")
    parser.add_argument("--steps", type=int, help="stop the loops' runs after so many steps and extrapolate")
    parser.add_argument("--runs-per-gpu", type=int, help="compute.runs_per_gpu of the study")
    run_step(parser, main)
