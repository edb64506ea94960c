"""Milliseconds of a training step once a run is under way: this project's and those of transformers' Trainer.

Each contestant trains in this process in blocks of steps, an epoch each: the first one warms up, others are measured.
For a GPU, where start-up is most of a short run (compare_training.py has whole runs), and for families of models, one
after the other (--random-weights). Writes results/steps.csv and the table in README.md, and prints it.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch

from compare_training import default_model
from contest import CONTESTANTS, RANDOM_MODELS, RESULTS, Job, fetch_glue, machine, make_random_model
from recorded import merged
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import Compute, choose_compute
from shallower.engine.tokens import tokenize
from shallower.engine.training import TrainSettings, _Run
from write_readme import STEPS_MODE, steps_table, write_readme

logger = logging.getLogger(__name__)

EPOCHS = 1000  # more than are trained


def block_seconds(job: Job, compute: Compute, steps: int, blocks: int) -> list[float]:
    """Seconds of each block after the first."""
    times = _ours(job, compute, steps, blocks) if job.contestant == "ours" else _trainers(job, steps, blocks)
    return list(np.diff(list(times)))


def _ours(job: Job, compute: Compute, steps: int, blocks: int) -> Iterator[float]:
    """The time after each block."""
    from transformers import AutoTokenizer

    tokenizer, config = AutoTokenizer.from_pretrained(job.model_dir), read_json(job.model_dir / "config.json")
    table = pq.read_table(job.task_dir / "train.parquet")
    tokens = tokenize(table, tokenizer, job.max_length, config["vocab_size"])
    classifier = load_for_training(job.model_dir, read_json(job.task_dir / "task.json"), job.seed)
    settings = TrainSettings(epochs=EPOCHS, batch_size=job.batch_size, learning_rate=job.learning_rate)
    run = _Run(classifier, tokens, settings, job.seed, compute, "timing", None)
    with compute.same_every_time():
        for _ in range(blocks + 1):
            for _ in range(steps):
                run.advance()
            compute.synchronise()
            yield time.perf_counter()


def _trainers(job: Job, steps: int, blocks: int) -> list[float]:
    """The same of the Trainer, stock or tuned as in train_with_trainer.py."""
    import transformers

    import train_with_trainer as rival

    times: list[float] = []

    class Blocks(transformers.TrainerCallback):
        def on_step_end(self, *states: Any, **_: Any) -> None:
            if states[1].global_step % steps == 0:
                times.append(rival._now())

    with tempfile.TemporaryDirectory() as folder:
        arguments = argparse.Namespace(
            **{**vars(job), "epochs": EPOCHS, "steps": steps * (blocks + 1)}, output_dir=Path(folder)
        )
        arguments.cache_dir = Path(folder) / "cache"
        trainer, _ = rival.make_trainer(arguments)
        trainer.add_callback(Blocks())
        trainer.train()
    return times


def measure(job: Job, compute: Compute, arguments: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a step: median, lowest and highest of the blocks."""
    if compute.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = block_seconds(job, compute, arguments.steps, arguments.blocks)
    times = [1000 * second / arguments.steps for second in seconds]
    record = {"milliseconds": median(times), "lowest": min(times), "highest": max(times), "blocks": arguments.blocks}
    if compute.device == "cuda":
        record["gpu_peak_mb"] = torch.cuda.max_memory_allocated() / 1e6
    return record


def compare(arguments: argparse.Namespace, folder: Path) -> Iterator[pd.DataFrame]:
    """A row for each model, task, batch size and contestant, one after the other."""
    compute = choose_compute(arguments.device, "auto", arguments.threads)
    start = arguments.model_dir or default_model(folder / "model")
    models = {name: make_random_model(name, start, folder / name) for name in arguments.random_weights}
    settings = {"device": arguments.device, "threads": arguments.threads, "steps": arguments.steps}
    device = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
    for model, model_dir in (models or {start.name: start}).items():
        for task, batch_size, contestant in product(arguments.tasks, arguments.batch_sizes, arguments.contestants):
            # A block is an epoch, of the same texts for all: the tuned Trainer begins with the longest ones.
            rows = arguments.steps * batch_size
            task_dir = folder / "tasks" / f"{task}-{rows}"
            if not task_dir.exists():
                fetch_glue(task, arguments.glue, rows, task_dir)
            if pq.read_metadata(task_dir / "train.parquet").num_rows < rows:
                raise UserError(f"{task} has fewer than the {rows:,} training rows of a block; take fewer --steps")
            job = Job(
                contestant=contestant,
                model_dir=model_dir,
                task_dir=task_dir,
                folder=folder,
                seed=1,
                batch_size=batch_size,
                epochs=EPOCHS,
                learning_rate=5e-5,
                max_length=128,
                threads=arguments.threads,
                device=arguments.device,
            )
            record = measure(job, compute, arguments)
            logger.info("%s, %s, %d, %s: %.1f ms", model, task, batch_size, contestant, record["milliseconds"])
            names = {"model": model, "task": task, "batch_size": batch_size, "contestant": contestant}
            yield pd.DataFrame([names | record]).assign(**settings, **machine(device))


def main(arguments: argparse.Namespace) -> None:
    if arguments.glue is None:
        raise UserError("the tasks are GLUE's: name the folder with its parquet files with --glue")
    arguments.results.mkdir(parents=True, exist_ok=True)
    file, found = arguments.results / "steps.csv", []
    keys = ["model", "task", "batch_size", "contestant"]
    with tempfile.TemporaryDirectory(prefix="shallower-") as folder:
        # Written after each, as a long comparison may be cut off.
        for row in compare(arguments, Path(folder)):
            found.append(row)
            table = merged(pd.read_csv(file) if file.exists() else None, row, STEPS_MODE, keys)
            table.to_csv(file, index=False, float_format="%.4g")
    write_readme(arguments.results)
    print(steps_table(pd.concat(found, ignore_index=True)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue", type=Path, help="folder with GLUE's parquet files (sst2/train.parquet, ...)")
    parser.add_argument("--model-dir", type=Path, help="starting weights; the first model of config.yaml if not given")
    help_text = (
        "models with random weights, for speed only: bert-base, or families, at the size of the starting weights"
    )
    parser.add_argument(
        "--random-weights", nargs="+", choices=RANDOM_MODELS, default=[], metavar="MODEL", help=help_text
    )
    parser.add_argument("--tasks", nargs="+", default=["sst2", "mrpc"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--steps", type=int, default=60, help="steps of a block, an epoch")
    parser.add_argument("--blocks", type=int, default=3, help="blocks that are measured")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
