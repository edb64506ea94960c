"""Embedding models made shallower by sentence-transformers' own example and by this project: time and score.

Both take the same layers out of the same model (the first of studies/embedding.yaml), and what is left learns the full
model's vectors of the same sentences, with the same batches, steps, learning rate, warm-up and seeds, each in fresh
processes from the texts to a folder that SentenceTransformer loads. All folders are scored by sentence-transformers, on
the pairs of STS-B's validation set. They take turns in random order in each repetition. Writes
results/embeddings.csv and the table in README.md.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from compare_training import interleaved
from contest import (
    BENCHMARKS,
    RESULTS,
    RIVALS_PACKAGES,
    ROOT,
    SCRIPTS,
    Usage,
    check_rivals,
    environment,
    machine,
    run_process,
)
from recorded import merged
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import canonical_json, read_json, write_json
from shallower.core.layers import Layers
from shallower.models.folder import CONFIG
from shallower.sources.models import fetch_model
from shallower.sources.tasks import fetch_task
from shallower.sources.unlabelled import fetch_unlabelled
from shallower.study.resolve import resolve_study
from write_readme import EMBEDDING_MODE, OURS, RIVAL, UNTRAINED, embedding_tables, write_readme

logger = logging.getLogger(__name__)

STUDY = ROOT / "studies" / "embedding.yaml"
TASK = "stsb"
# What makes up a run that another one of the same kind takes the place of.
PLACE = ["kept", "contestant"]


def prepare(arguments: argparse.Namespace, folder: Path) -> None:
    """Fetch the model, the pairs and the texts, also in texts.parquet for the rival."""
    config = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    config |= {"glue_directory": str(arguments.glue.resolve()), "unlabelled_file": str(arguments.texts.resolve())}
    config["tasks"][0] |= {"unlabelled_text": arguments.column, "unlabelled_examples": arguments.examples}
    study = resolve_study(config)
    fetch_model(study.model_definition(study.models[0]), folder / "model")
    fetch_task(study.task_definition(TASK), folder / "task")
    unlabelled = study.unlabelled_definition(TASK)
    assert unlabelled
    fetch_unlabelled(unlabelled, folder / "task", [], folder / "texts")
    # This project's refining takes the texts of the training pairs as well.
    pairs = pq.read_table(folder / "task" / "train.parquet")
    texts = pq.read_table(folder / "texts" / "unlabelled.parquet")["text"].to_pylist()
    texts += [text for pair in zip(pairs["text"], pairs["text_pair"], strict=True) for text in map(str, pair)]
    pq.write_table(pa.table({"text": texts}), folder / "texts.parquet")


def our_commands(arguments: argparse.Namespace, folder: Path, run: Path, seed: int) -> list[list[str | Path]]:
    """As the rules tokenize_task, tokenize_unlabelled, teach, drop_layers and refine have them."""
    model, tokens = folder / "model", run / "tokens"
    compute = ("--threads", str(arguments.threads), "--device", arguments.device)
    settings = {
        "epochs": arguments.epochs,
        "batch_size": arguments.batch_size,
        "learning_rate": arguments.learning_rate,
        "warmup_ratio": arguments.warmup_ratio,
        "distill": {"weight": 1, "temperature": 1},
    }

    def tokenize(data: str, split: str) -> list[str | Path]:
        return [
            *(sys.executable, SCRIPTS / "tokenize_task.py", "--model-dir", model, "--task-dir", folder / data),
            *("--splits", split, "--max-length", str(arguments.max_length), "--output-dir", tokens / data),
        ]

    labelled, unlabelled = tokens / "task" / "train.safetensors", tokens / "texts" / "unlabelled.safetensors"
    return [
        tokenize("task", "train"),
        tokenize("texts", "unlabelled"),
        [
            *(sys.executable, SCRIPTS / "teach.py", "--model-dir", model, "--tokens", labelled),
            *("--unlabelled", unlabelled, *compute, "--output", run / "teacher.safetensors"),
        ],
        [
            *(sys.executable, SCRIPTS / "drop_layers.py", "--model-dir", model, "--layers", run / "layers.json"),
            *("--output-dir", run / "dropped"),
        ],
        [
            *(sys.executable, SCRIPTS / "finetune.py", "--model-dir", run / "dropped", "--tokens", labelled),
            *("--task", folder / "task" / "task.json", "--settings", canonical_json(settings), "--seed", str(seed)),
            *(*compute, "--tokenizer-dir", model, "--teacher", run / "teacher.safetensors"),
            *("--unlabelled", unlabelled, "--scratch", run / "scratch", "--checkpoint-seconds", "60"),
            *("--output-dir", run / "model"),
        ],
    ]


def rival_commands(
    arguments: argparse.Namespace, folder: Path, run: Path, kept: Sequence[int], seed: int
) -> list[list[str | Path]]:
    return [
        [
            *(sys.executable, BENCHMARKS / "run_sentence_transformers.py", "train", "--model-dir", folder / "model"),
            *("--texts", folder / "texts.parquet", "--keep", *map(str, kept), "--device", arguments.device),
            *("--batch-size", str(arguments.batch_size), "--epochs", str(arguments.epochs)),
            *("--learning-rate", str(arguments.learning_rate), "--warmup-ratio", str(arguments.warmup_ratio)),
            *("--seed", str(seed), "--output-dir", run),
        ]
    ]


def spearman(arguments: argparse.Namespace, model_dir: Path, folder: Path, kept: Sequence[int] = ()) -> float:
    """The score of a folder, or of these layers of it, on the validation pairs by sentence-transformers, times 100."""
    command = [sys.executable, BENCHMARKS / "run_sentence_transformers.py", "score", "--model-dir", model_dir]
    command += ["--pairs", folder / "task" / "validation.parquet", "--device", arguments.device]
    command += ["--keep", *map(str, kept)]
    settings = environment(RIVAL, arguments.threads, arguments.rivals_packages)
    finished = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    if finished.returncode:
        raise UserError(f"{command[1]} failed:\n{finished.stderr[-2000:]}")
    return 100 * float(json.loads(finished.stdout.splitlines()[-1])["spearman"])


def run_once(
    arguments: argparse.Namespace, folder: Path, kept: Sequence[int], contestant: str, seed: int
) -> dict[str, Any]:
    """What a run took, from texts to a folder, and what that folder scores."""
    depth = read_json(folder / "model" / CONFIG)["num_hidden_layers"]
    dropped = tuple(index for index in range(depth) if index not in kept)
    with tempfile.TemporaryDirectory(dir=folder) as run_folder:
        run = Path(run_folder)
        write_json(run / "layers.json", Layers(depth, dropped).as_json())
        if contestant == OURS:
            commands = our_commands(arguments, folder, run, seed)
        else:
            commands = rival_commands(arguments, folder, run, kept, seed)
        settings = environment(contestant, arguments.threads, arguments.rivals_packages)
        usages = [run_process(command, run / "log.txt", settings) for command in commands]
        record = read_json(run / "model" / "manifest.json" if contestant == OURS else run / "run.json")
        return {
            "steps": record["steps"],
            "train_seconds": record["train_seconds"],
            **totals(usages),
            "spearman": spearman(arguments, run / "model", folder),
        }


def totals(usages: Sequence[Usage]) -> dict[str, float]:
    """What processes one after another took."""
    return {
        "wall_seconds": sum(usage.wall_seconds for usage in usages),
        "cpu_seconds": sum(usage.cpu_seconds for usage in usages),
        "peak_mb": max(usage.peak_mb for usage in usages),
    }


def named(kept: Sequence[int]) -> str:
    return " ".join(map(str, kept))


def check(arguments: argparse.Namespace, config: Mapping[str, Any]) -> None:
    """Raise UserError for layers that the model lacks, and for files that are not named."""
    depth = config["models"][0]["num_layers"]
    for kept in arguments.keep:
        if kept != sorted(set(kept)) or not set(kept) <= set(range(depth)) or len(kept) in (0, depth):
            raise UserError(f"--keep {named(kept)}: name some of the layers 0 to {depth - 1}, in order, each once")
    if arguments.glue is None or arguments.texts is None:
        raise UserError("name the folder of GLUE's files with --glue, and a parquet file of texts with --texts")


def main(arguments: argparse.Namespace) -> None:
    check(arguments, yaml.safe_load(STUDY.read_text(encoding="utf-8")))
    check_rivals(arguments.rivals_packages)
    version = package_version(arguments.rivals_packages)
    entries = [(tuple(kept), contestant) for kept in arguments.keep for contestant in (OURS, RIVAL)]
    total, rows = len(entries) * arguments.repetitions, []
    with tempfile.TemporaryDirectory(prefix="shallower-", dir=arguments.work_dir) as work_dir:
        folder = Path(work_dir).resolve()
        prepare(arguments, folder)
        texts = pq.read_metadata(folder / "texts.parquet").num_rows
        depth = read_json(folder / "model" / CONFIG)["num_hidden_layers"]
        untrained = {
            named(kept): spearman(arguments, folder / "model", folder, kept) for kept in (range(depth), *arguments.keep)
        }
        started = time.monotonic()
        for number, (repetition, (kept, contestant)) in enumerate(interleaved(entries, arguments.repetitions), start=1):
            record = run_once(arguments, folder, kept, contestant, seed=1 + repetition)
            left = (time.monotonic() - started) * (total - number) / number
            logger.info(
                "%d of %d, layers %s, %s: %.0f s, Spearman %.2f; about %.0f min left",
                *(number, total, named(kept), contestant, record["wall_seconds"], record["spearman"], left / 60),
            )
            rows.append({"kept": named(kept), "contestant": contestant, "seed": 1 + repetition, **record})
    rows += [
        {"kept": kept, "contestant": UNTRAINED, "seed": 0, "steps": 0, "spearman": value}
        for kept, value in untrained.items()
    ]
    settings = {name: getattr(arguments, name) for name in ("batch_size", "epochs", "learning_rate", "warmup_ratio")}
    compute = {"device": arguments.device, "threads": arguments.threads, "texts": texts}
    new = pd.DataFrame(rows).assign(**compute, **settings, **machine(arguments.device), sentence_transformers=version)
    arguments.results.mkdir(parents=True, exist_ok=True)
    file = arguments.results / "embeddings.csv"
    runs = merged(pd.read_csv(file, dtype={"kept": str}) if file.exists() else None, new, EMBEDDING_MODE, PLACE)
    runs.to_csv(file, index=False, float_format="%.6g")
    write_readme(arguments.results)
    print(embedding_tables(new))


def package_version(packages: Path) -> str:
    """The version of sentence-transformers in a folder of packages. Raises UserError when it isn't there."""
    found = [*distributions(name="sentence-transformers", path=[str(packages)])]
    if not found:
        raise UserError(f"sentence-transformers is not in {packages}; use make benchmark-embeddings")
    return found[0].version


def layer_list(text: str) -> list[int]:
    """Type of --keep: 0,2,5."""
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue", type=Path, help="folder with GLUE's parquet files (stsb/validation.parquet, ...)")
    parser.add_argument("--texts", type=Path, help="parquet file of texts without labels")
    parser.add_argument("--column", default="text", help="its column of texts, which are divided into sentences")
    parser.add_argument("--examples", type=int, default=8000, help="sentences to learn from")
    parser.add_argument(
        "--keep", type=layer_list, nargs="+", default=[[0, 1, 2, 3, 5], [0, 2, 5]], help="layers, such as 0,1,2,3,5"
    )
    parser.add_argument("--repetitions", type=int, default=3, help="turns of each contestant, each with another seed")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="CPU threads of each run")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--warmup-ratio", type=float, default=0.1)
    parser.add_argument("--max-length", type=int, default=256, help="tokens that texts are cut to; all-MiniLM's own")
    parser.add_argument("--rivals-packages", type=Path, default=RIVALS_PACKAGES, help="folder of sentence-transformers")
    parser.add_argument("--work-dir", type=Path, help="where the temporary folder is made")
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
