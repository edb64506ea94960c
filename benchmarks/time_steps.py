"""Milliseconds of a training step once a run is under way: this project's and those of transformers' Trainer.

Each contestant trains in this process, in blocks of steps: the first block warms up, each further one is a measurement.
For a GPU, where start-up is most of a short run (compare_training.py has whole runs). Prints a line of JSON for each
task, batch size and contestant.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from contest import CONTESTANTS, Job, fetch_glue, make_random_model
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import Compute, choose_compute
from shallower.engine.tokens import tokenize
from shallower.engine.training import TrainSettings, _Run

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


def main(arguments: argparse.Namespace) -> None:
    if arguments.glue is None:
        raise UserError("the tasks are GLUE's: name the folder with its parquet files with --glue")
    compute = choose_compute(arguments.device, "auto", arguments.threads)
    with tempfile.TemporaryDirectory(prefix="shallower-") as name:
        folder, model_dir = Path(name), arguments.model_dir
        if arguments.random_weights:
            model_dir = make_random_model(arguments.random_weights, model_dir, folder / arguments.random_weights)
        for task in arguments.tasks:
            task_dir = fetch_glue(task, arguments.glue, arguments.rows, folder / task)
            for batch_size in arguments.batch_sizes:
                for contestant in arguments.contestants:
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
                    if arguments.device == "cuda":
                        torch.cuda.reset_peak_memory_stats()
                    seconds = block_seconds(job, compute, arguments.steps, arguments.blocks)
                    times = sorted(1000 * second / arguments.steps for second in seconds)
                    record = {"task": task, "batch_size": batch_size, "contestant": contestant}
                    record |= {"milliseconds": [round(one, 2) for one in times]}
                    if arguments.device == "cuda":
                        record["gpu_peak_mb"] = round(torch.cuda.max_memory_allocated() / 1e6)
                    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue", type=Path, help="folder with GLUE's parquet files (sst2/train.parquet, ...)")
    parser.add_argument("--model-dir", type=Path, required=True, help="weights, or with --random-weights a tokenizer")
    parser.add_argument("--random-weights", choices=("bert-base",), help="a model of this size, for speed only")
    parser.add_argument("--rows", type=int, default=3200, help="at most so many rows of each split")
    parser.add_argument("--tasks", nargs="+", default=["sst2", "mrpc"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--steps", type=int, default=60, help="steps of a block")
    parser.add_argument("--blocks", type=int, default=3, help="blocks that are measured")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    run_step(parser, main)
