"""The speed of training, prediction and search once they are under way, as shares of the machine's matrix rate.

All parts run in one process: in each round the rate of matrix products is measured (`matrix_rate.py`), then every
part has a turn, in random order. Numerator and denominator of a share are of one round. Prints a table and writes it to
results/engine.csv and README.md.
"""

import argparse
import logging
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from compare_training import default_model
from contest import RESULTS, fetch_glue, forward_flops, machine, matrix_rate, training_flops
from shallower.analysis.single_layers import load_layers
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.devices import Compute, choose_compute
from shallower.engine.prediction import predict, predict_with_vectors
from shallower.engine.tokens import TokenSet, tokenize
from shallower.engine.training import TrainSettings, _Run
from shallower.surgery.subsets import every_subset, num_evaluations_of_all, walk
from shallower.task_kinds.registry import task_kind
from write_readme import engine_table, write_readme

MAX_LENGTH, LEARNING_RATE, SEED = 128, 5e-5, 1
# What the shares should be at least, by part, task and batch size.
GOALS: Mapping[tuple[str, str, int], float] = {
    ("training", "mrpc", 32): 0.75,
    ("training", "sst2", 8): 0.65,
    **{(part, task, 0): 0.85 for part in ("prediction", "teacher's pass", "search") for task in ("sst2", "mrpc")},
}


@dataclass(frozen=True)
class Part:
    """What has a turn in each round.

    Attributes:
        name: training, prediction, ...
        task: whose texts it works on.
        batch_size: of a training; 0 where batches are chosen by their tokens.
        flops: floating-point operations of a turn over real tokens, no padding.
        seconds: does it once, and tells how long that took.
    """

    name: str
    task: str
    batch_size: int
    flops: float
    seconds: Callable[[], float]


def parts_of(
    task: str, arguments: argparse.Namespace, folder: Path, model_dir: Path, compute: Compute
) -> Iterator[Part]:
    """All parts on a task's texts: an epoch over them, or a pass; the search is over fewer of them."""
    from transformers import AutoTokenizer

    task_dir = fetch_glue(task, arguments.glue, arguments.rows, folder / task)
    config, definition = read_json(model_dir / "config.json"), read_json(task_dir / "task.json")
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    table = pq.read_table(task_dir / "train.parquet")
    tokens, few = (
        tokenize(rows, tokenizer, MAX_LENGTH, config["vocab_size"]) for rows in (table, table[: arguments.calibration])
    )
    outputs = len(task_kind(definition["target"]).model_config(definition)["id2label"])
    lengths = np.diff(tokens.offsets)
    for batch_size in arguments.batch_sizes:
        settings = TrainSettings(epochs=1000, batch_size=batch_size, learning_rate=LEARNING_RATE)
        run = _Run(load_for_training(model_dir, definition, SEED), tokens, settings, SEED, compute, "measured", None)
        steps = -(-tokens.size // batch_size)
        flops = training_flops(config, lengths, outputs, 1)
        yield Part("training", task, batch_size, flops, _timed(compute, partial(_train, run, steps)))
    trained = folder / f"{task}-model"
    trained.mkdir()
    load_for_training(model_dir, definition, SEED).write(trained)
    classifier = load_for_prediction(trained)
    flops = forward_flops(config, lengths, outputs)
    yield Part("prediction", task, 0, flops, _timed(compute, partial(predict, classifier, tokens, compute)))
    yield Part(
        "teacher's pass", task, 0, flops, _timed(compute, partial(predict_with_vectors, classifier, tokens, compute))
    )
    yield _search(task, few, trained, compute)


def _timed(compute: Compute, act: Callable[[], Any]) -> Callable[[], float]:
    def seconds() -> float:
        began = time.perf_counter()
        act()
        compute.synchronise()
        return time.perf_counter() - began

    return seconds


def _train(run: _Run, steps: int) -> None:
    for _ in range(steps):
        run.advance()


def _search(task: str, tokens: TokenSet, model_dir: Path, compute: Compute) -> Part:
    """A walk through all subsets of layers, without judging them."""
    config = read_json(model_dir / "config.json")
    runner = load_layers(model_dir, tokens, compute, with_head=True)
    one = forward_flops({**config, "num_hidden_layers": 1}, np.diff(tokens.offsets), 0)

    def walk_all() -> None:
        for _ in walk(every_subset(runner.stack), runner.run):
            pass

    return Part("search", task, 0, one * num_evaluations_of_all(runner.stack), _timed(compute, walk_all))


def measure(arguments: argparse.Namespace, folder: Path) -> pd.DataFrame:
    """A row for each part: medians, quartiles of the share, and the goal where there is one."""
    compute = choose_compute(arguments.device, "auto", arguments.threads)
    model_dir = default_model(folder / "minilm")
    config = read_json(model_dir / "config.json")
    parts = [part for task in arguments.tasks for part in parts_of(task, arguments, folder, model_dir, compute)]
    order, turns = random.Random(SEED), []
    for part in parts:  # to warm up
        part.seconds()
    for number in range(arguments.rounds):
        measured = matrix_rate(config, arguments.threads, 1, arguments.device)
        rate = measured["flops"]
        for part in order.sample(parts, len(parts)):
            speed = part.flops / part.seconds()
            turns.append((part.name, part.task, part.batch_size, speed / 1e9, rate / 1e9, speed / rate))
        print(f"round {number + 1} of {arguments.rounds}: matrix products reach {rate / 1e9:.0f} GFLOP/s", flush=True)
    keys = ["part", "task", "batch_size"]
    found = pd.DataFrame(turns, columns=[*keys, "gflops", "matrix_gflops", "share"])
    groups = found.groupby(keys)
    rows = groups.median()
    rows["share_low"], rows["share_high"] = (groups["share"].quantile(quantile) for quantile in (0.25, 0.75))
    rows["goal"] = [GOALS.get(key) for key in rows.index]
    return rows.reset_index().assign(rounds=arguments.rounds, threads=arguments.threads, **machine(measured["device"]))


def main(arguments: argparse.Namespace) -> None:
    if arguments.glue is None:
        raise UserError("the tasks are GLUE's: name the folder with its parquet files with --glue")
    logging.getLogger("shallower").setLevel(logging.WARNING)  # trainings say when they end, which these never do
    with tempfile.TemporaryDirectory(prefix="shallower-") as folder:
        rows = measure(arguments, Path(folder))
    arguments.results.mkdir(parents=True, exist_ok=True)
    rows.to_csv(arguments.results / "engine.csv", index=False, float_format="%.4g")
    write_readme(arguments.results)
    print(engine_table(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue", type=Path, help="folder with GLUE's parquet files (sst2/train.parquet, ...)")
    parser.add_argument("--tasks", nargs="+", default=["sst2", "mrpc"])
    parser.add_argument("--rows", type=int, default=640, help="training rows of each task")
    parser.add_argument("--calibration", type=int, default=200, help="training rows that the search works on")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
