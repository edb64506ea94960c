"""Fine-tunings by transformers' Trainer, stock and tuned, and by this project, side by side: speed, memory and scores.

Contestants and tasks take turns in random order in each repetition, each time with new seeds, every run in fresh
processes from text files to predictions. In each repetition the rate of matrix products is measured too, the floor
under any training time. Writes results/training.csv (a row a run; runs of the same mode and task are replaced),
training.png, training.svg and the tables in README.md, and prints the summary.
"""

import argparse
import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from contest import (
    CONTESTANTS,
    RESULTS,
    RIVALS_PACKAGES,
    ROOT,
    Job,
    check_rivals,
    commands,
    environment,
    fetch_glue,
    job_score,
    machine,
    make_random_model,
    matrix_rate,
    run_process,
    run_side_by_side,
    training_flops,
)
from recorded import merged
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.tokens import read_tokens
from shallower.reporting import figures
from shallower.sources.glue import GLUE_TASKS
from shallower.sources.models import fetch_model
from shallower.study.resolve import resolve_study
from training_summary import MODE, figure, summarise
from write_readme import training_tables, write_readme

logger = logging.getLogger(__name__)

FLOOR = "matrix products"
ORDER_SEED = 0


def interleaved(entries: Sequence[Any], repetitions: int, seed: int = ORDER_SEED) -> Iterator[tuple[int, Any]]:
    """Every entry once in each repetition, each time in another order: pairs of the repetition and an entry."""
    source = random.Random(seed)
    for repetition in range(repetitions):
        for entry in source.sample(list(entries), len(entries)):
            yield repetition, entry


def default_model(folder: Path) -> Path:
    """The first model of config.yaml, fetched as the workflow does."""
    study = resolve_study(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))
    fetch_model(study.model_definition(study.models[0]), folder)
    return folder


def prepare(arguments: argparse.Namespace, folder: Path) -> tuple[Path, dict[str, Path]]:
    """The model's folder and those of the tasks."""
    model_dir = arguments.model_dir or default_model(folder / "minilm")
    if arguments.random_weights:
        model_dir = make_random_model(arguments.random_weights, model_dir, folder / arguments.random_weights)
    tasks = {name: fetch_glue(name, arguments.glue, arguments.rows, folder / name) for name in arguments.tasks}
    return model_dir, tasks


def token_lengths(job: Job) -> np.ndarray:
    """Real tokens of each training text: what every contestant has to work through, whatever it pads."""
    job.folder.mkdir(parents=True)
    tokenize, *_ = commands(job)
    run_process(tokenize, job.folder / "log.txt", environment(job.contestant, job.threads, RIVALS_PACKAGES))
    return np.diff(read_tokens(job.folder / "tokens" / "train.safetensors").offsets)


def compare(arguments: argparse.Namespace, folder: Path) -> pd.DataFrame:
    """All runs, a row each."""
    model_dir, tasks = prepare(arguments, folder)
    config = read_json(model_dir / "config.json")
    template = Job(
        contestant="ours",
        model_dir=model_dir,
        task_dir=model_dir,
        folder=folder / "tokens",
        seed=0,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        max_length=arguments.max_length,
        threads=arguments.threads,
        device=arguments.device,
    )
    lengths = {
        name: token_lengths(replace(template, task_dir=task, folder=folder / "tokens" / name))
        for name, task in tasks.items()
    }
    entries = [FLOOR, *((task, contestant) for task in tasks for contestant in arguments.contestants)]
    rows, rates, device = [], {}, ""
    started, total = time.monotonic(), arguments.repetitions * len(entries)
    for number, (repetition, entry) in enumerate(interleaved(entries, arguments.repetitions), start=1):
        if entry == FLOOR:
            rate = matrix_rate(config, arguments.threads, arguments.side_by_side, arguments.device)
            rates[repetition], device = rate["flops"], rate["device"]
            text = f"{rate['flops'] / 1e9:.0f} GFLOP/s"
        else:
            found = list(run_entry(arguments, template, repetition, *entry, tasks, folder))
            rows += found
            text = f"{found[0]['train_seconds']:.1f} s of training, {found[0]['wall_seconds']:.1f} s in all"
        left = (time.monotonic() - started) * (total - number) / number
        logger.info("%d of %d, %s: %s; about %.0f min left", number, total, entry, text, left / 60)
    runs = pd.DataFrame(rows)
    outputs = {name: len(GLUE_TASKS[name].labels or [None]) for name in tasks}
    work = {name: training_flops(config, lengths[name], outputs[name], arguments.epochs) for name in tasks}
    runs["examples"] = [len(lengths[task]) * arguments.epochs for task in runs["task"]]
    runs["tokens"] = [int(lengths[task].sum()) * arguments.epochs for task in runs["task"]]
    runs["flops"] = runs["task"].map(work)
    runs["matrix_flops"] = runs["repetition"].map(rates)
    return runs.assign(**machine(device))


def run_entry(
    arguments: argparse.Namespace,
    template: Job,
    repetition: int,
    task: str,
    contestant: str,
    tasks: dict[str, Path],
    folder: Path,
) -> Iterator[dict[str, Any]]:
    """The runs of one turn, side by side, with seeds that all contestants have alike."""
    seeds = [1 + repetition * arguments.side_by_side + place for place in range(arguments.side_by_side)]
    jobs = [
        replace(template, contestant=contestant, task_dir=tasks[task], seed=seed, folder=folder / f"run{seed}")
        for seed in seeds
    ]
    metric = GLUE_TASKS[task].metrics[0]
    for job, record in zip(jobs, run_side_by_side(jobs, arguments.rivals_packages), strict=True):
        yield {
            "device": arguments.device,
            "model": job.model_dir.name,
            "threads": arguments.threads,
            "side_by_side": arguments.side_by_side,
            "task": task,
            "contestant": contestant,
            "repetition": repetition,
            "seed": job.seed,
            "batch_size": job.batch_size,
            "epochs": job.epochs,
            "learning_rate": job.learning_rate,
            "max_length": job.max_length,
            **record,
            "metric": metric,
            "score": job_score(job, metric),
        }


def main(arguments: argparse.Namespace) -> None:
    unknown = set(arguments.tasks) - set(GLUE_TASKS)
    if unknown:
        raise UserError(f"unknown tasks {sorted(unknown)}; there are {', '.join(GLUE_TASKS)}")
    if arguments.glue is None:
        raise UserError("the tasks are GLUE's: name the folder with its parquet files with --glue")
    check_rivals(arguments.rivals_packages)
    with tempfile.TemporaryDirectory(prefix="shallower-", dir=arguments.work_dir) as folder:
        new = compare(arguments, Path(folder))
    arguments.results.mkdir(parents=True, exist_ok=True)
    file = arguments.results / "training.csv"
    runs = merged(pd.read_csv(file) if file.exists() else None, new, MODE, ["task"])
    runs.to_csv(file, index=False, float_format="%.6g")
    figures.save(figure(summarise(runs)), file.with_suffix(""))
    write_readme(arguments.results)
    print(training_tables(new))


def add_contest_options(parser: argparse.ArgumentParser) -> None:
    """Options that both comparisons have."""
    parser.add_argument("--glue", type=Path, help="folder with GLUE's parquet files (sst2/train.parquet, ...)")
    parser.add_argument("--rows", type=int, help="at most so many rows of each split")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--random-weights", choices=("bert-base",), help="a model of this size, for speed only")
    parser.add_argument("--rivals-packages", type=Path, default=RIVALS_PACKAGES, help="folder with accelerate")
    parser.add_argument("--work-dir", type=Path, help="where the temporary folder is made")
    parser.add_argument("--results", type=Path, default=RESULTS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_contest_options(parser)
    parser.add_argument("--tasks", nargs="+", default=["sst2", "mrpc", "rte"])
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--model-dir", type=Path, help="starting weights; the first model of config.yaml if not given")
    parser.add_argument("--repetitions", type=int, default=3, help="turns of each contestant, each with new seeds")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="CPU threads of each run")
    parser.add_argument("--side-by-side", type=int, default=1, help="runs at the same time")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--max-length", type=int, default=128)
    parser.set_defaults(rows=3200)
    run_step(parser, main)
