"""A whole study against the same grid as a loop of the stock Trainer: wall time of the one over that of the other.

The study runs through snakemake in a clean copy of this repository, from nothing to its report. The loop then trains
each of the study's runs with train_with_trainer.py, one process after the other, each with all cores (or the GPU):
the same task, kept layers, epochs, batch size, maximal length and seed, from the pre-trained weights, since its time
does not depend on what the weights are. With --steps N the loop stops each run after N steps; the rest is
extrapolated from them, and the results say so. Writes results/sweep.csv, results/sweep_runs.csv and the table in
README.md.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from compare_training import add_contest_options, default_model
from contest import ROOT, Job, Usage, check_rivals, machine, make_random_model, matrix_rate, run_job, run_process
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.runs import Run
from shallower.study.resolve import resolve_study
from shallower.study.study import Study
from shallower.surgery.drop_layers import drop_layers
from write_readme import sweep_tables, write_readme

logger = logging.getLogger(__name__)

# Origins whose runs are one training each, as in a loop; the others train in several stages.
ORIGINS = ("pretrained", "finetuned")
KEYS = ["sweep", "device", "cores"]


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
    if others := sorted({run.origin for run in study.runs if not run.is_baseline} - set(ORIGINS)):
        raise UserError(f"{study.name}: a loop of single trainings has no {', '.join(others)}; leave out these origins")


def copy_repository(folder: Path) -> Path:
    """A clean copy: the files that git tracks or would, as they are now, without results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not name.startswith("results/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def run_study(config: Mapping[str, Any], copy: Path, cores: int) -> Usage:
    """Run a study in a copy of the repository, to its report."""
    (copy / "sweep.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", "sweep.yaml"]
    return run_process(command, copy / "sweep.log", directory=copy)


def loop_job(study: Study, run: Run, copy: Path, folder: Path, arguments: argparse.Namespace) -> Job:
    """One turn of the loop; makes the model that it starts from, of the layers that the finished run kept."""
    pretrained = copy / "resources" / "models" / study.model_key(run.model)
    kept = read_json(copy / run.directory / "layers.json")["kept_layers"]
    model_dir = folder / "models" / "-".join([run.model, *map(str, kept)])
    if not model_dir.exists():
        drop_layers(pretrained, kept, model_dir)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(pretrained / name, model_dir / name)
    settings = study.train_settings(run.task) if run.is_baseline else study.refine_settings(run.task, run.origin)
    return Job(
        contestant="stock",
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
        cache_dir=folder / "cache",
    )


def in_full(record: Mapping[str, float]) -> float:
    """Wall seconds of a run that trained `steps` of its `planned_steps`, had it trained them all."""
    rest = max(0, record["planned_steps"] - record["steps"]) / record["steps"]
    return record["wall_seconds"] + rest * record["train_seconds"]


def compare(arguments: argparse.Namespace, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The comparison (one row) and the loop's runs (a row each)."""
    config = sweep_config(yaml.safe_load(arguments.study.read_text(encoding="utf-8")), arguments, folder)
    copy = copy_repository(folder / "copy")
    study = resolve_study(config)
    check_origins(study)
    logger.info("%s: %d runs through snakemake", study.name, len(study.runs))
    usage = run_study(config, copy, arguments.cores)
    logger.info("%s: %.0f s", study.name, usage.wall_seconds)
    rows = []
    for number, run in enumerate(study.runs, start=1):
        record = run_job(loop_job(study, run, copy, folder, arguments), arguments.rivals_packages)
        rows.append({"sweep": study.name, "run": run.directory, **record, "loop_seconds": in_full(record)})
        logger.info("loop, %d of %d: %.0f s", number, len(study.runs), rows[-1]["loop_seconds"])
    runs = pd.DataFrame(rows)
    model = read_json(copy / "resources" / "models" / study.model_key(study.models[0]) / "config.json")
    device = matrix_rate(model, arguments.cores, 1, arguments.device)["device"]
    extrapolated = (runs["steps"] < runs["planned_steps"]).any()
    comparison = {
        "sweep": study.name,
        "device": arguments.device,
        "cores": arguments.cores,
        "runs": len(runs),
        "study_seconds": usage.wall_seconds,
        "study_cpu_seconds": usage.cpu_seconds,
        "loop_seconds": runs["loop_seconds"].sum(),
        "measured": f"{arguments.steps} steps of each run, the rest extrapolated" if extrapolated else "in full",
        **machine(device),
    }
    return pd.DataFrame([comparison]), runs


def main(arguments: argparse.Namespace) -> None:
    check_rivals(arguments.rivals_packages)
    with tempfile.TemporaryDirectory(prefix="shallower-", dir=arguments.work_dir) as folder:
        comparison, runs = compare(arguments, Path(folder).resolve())
    arguments.results.mkdir(parents=True, exist_ok=True)
    file = arguments.results / "sweep.csv"
    if file.exists():
        old = pd.read_csv(file)
        renewed = (old[KEYS].astype(str) == comparison[KEYS].astype(str).iloc[0]).all(axis=1)
        comparison = pd.concat([old[~renewed], comparison], ignore_index=True)
    comparison.to_csv(file, index=False, float_format="%.6g")
    runs.to_csv(arguments.results / "sweep_runs.csv", index=False, float_format="%.6g")
    write_readme(arguments.results)
    print(sweep_tables(comparison.tail(1)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_contest_options(parser)
    parser.add_argument("--study", type=Path, default=ROOT / "config.yaml")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, help="stop the loop's runs after so many steps and extrapolate")
    parser.add_argument("--runs-per-gpu", type=int, help="compute.runs_per_gpu of the study")
    run_step(parser, main)
