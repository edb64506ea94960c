"""How a fine-tuning is run and measured from outside, the same way for every contestant.

Contestants are `stock` and `tuned` (transformers' Trainer, see train_with_trainer.py) and `ours`: this project's own
scripts, called as the workflow calls them. Each starts from a model folder and a task's text files and ends with the
logits of the validation split, in fresh processes, with texts tokenized again.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.files import canonical_json, read_json, write_json
from shallower.core.layers import Layers
from shallower.core.provenance import code_state, versions
from shallower.evaluation.metrics import metric_for, score
from shallower.evaluation.predictions import predictions_of, read_predictions
from shallower.models.encoder_families import ENCODERS
from shallower.sources.glue import GLUE_TASKS
from shallower.sources.models import fetch_model
from shallower.sources.tasks import fetch_task

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "workflow"
SCRIPTS = LIBRARY / "scripts"
BENCHMARKS = ROOT / "benchmarks"
RESULTS = BENCHMARKS / "results"
# The code that is measured: as it is when a benchmark starts, whatever has been recorded before.
CODE = code_state(ROOT, leaving_out=["benchmarks/results", "benchmarks/README.md"])
# Where `make` puts what only the rivals need.
RIVALS_PACKAGES = ROOT / ".venv" / "rivals"
CONTESTANTS = ("stock", "tuned", "ours")

# Models with random weights and BERT's tokenizer, and what published ones of a family set otherwise than by default.
BERT_BASE = "bert-base"
_BOTH_WAYS = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
_PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "deberta": _BOTH_WAYS | {"max_relative_positions": -1},
    "deberta-v2": _BOTH_WAYS | {"position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True},
}
RANDOM_MODELS = (BERT_BASE, *ENCODERS, "albert", "modernbert", *_PUBLISHED)
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
# What families call these.
OWN_NAMES = {"distilbert": dict(zip(SIZES, ("dim", "n_layers", "n_heads", "hidden_dim"), strict=True))}

# Nothing is fetched while the time is taken, and nothing asks whether there is something newer.
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Job:
    """One fine-tuning: who trains what with which settings, and the folder for all that it writes.

    `steps` stops the Trainer early; `cache_dir` lets its runs share the tokens, as a user's runs would.
    """

    contestant: str
    model_dir: Path
    task_dir: Path
    folder: Path
    seed: int
    batch_size: int
    epochs: float
    learning_rate: float
    max_length: int
    threads: int = 1
    device: str = "cpu"
    steps: int | None = None
    cache_dir: Path | None = None


@dataclass(frozen=True)
class Usage:
    """What a process or several one after another took. `cpu_seconds` is user and system time of all threads."""

    started: float  # seconds since the epoch
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


def run_process(
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Usage:
    """Run a command to its end, its output in `log`. Raises UserError with the end of that when it fails."""
    started = time.time()
    with log.open("ab") as file:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **(environment or {})},
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.time() - started
    if process.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise UserError(f"{command[1]} ended with {process.returncode}; {log} ends with\n" + "\n".join(lines[-20:]))
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss is in bytes there, in kilobytes elsewhere
    return Usage(started, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def environment(contestant: str, threads: int, packages: Path) -> dict[str, str]:
    """Environment variables of a contestant's processes, which all get the same number of threads."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(threads))
    if contestant == "ours":
        return {**OFFLINE, **counts, "PYTHONPATH": str(LIBRARY), "TOKENIZERS_PARALLELISM": "false"}
    return {**OFFLINE, **counts, "PYTHONPATH": str(packages)}


def commands(job: Job) -> list[list[str | Path]]:
    """The processes of a job, one after another."""
    if job.contestant == "ours":
        return _our_commands(job)
    return [
        [
            *(sys.executable, BENCHMARKS / "train_with_trainer.py", "--contestant", job.contestant),
            *("--model-dir", job.model_dir, "--task-dir", job.task_dir, "--cache-dir", job.cache_dir or job.folder),
            *("--batch-size", str(job.batch_size), "--epochs", str(job.epochs)),
            *("--learning-rate", str(job.learning_rate), "--max-length", str(job.max_length)),
            *("--seed", str(job.seed), "--device", job.device, "--output-dir", job.folder),
            *(("--steps", str(job.steps)) if job.steps else ()),
        ]
    ]


def _our_commands(job: Job) -> list[list[str | Path]]:
    """As the rules tokenize_task, finetune_baseline and predict have them."""
    tokens, task = job.folder / "tokens", job.task_dir / "task.json"
    settings = {"epochs": job.epochs, "batch_size": job.batch_size, "learning_rate": job.learning_rate}
    compute = ("--threads", str(job.threads), "--device", job.device)
    return [
        [
            *(sys.executable, SCRIPTS / "tokenize_task.py", "--model-dir", job.model_dir, "--task-dir", job.task_dir),
            *("--max-length", str(job.max_length), "--output-dir", tokens),
        ],
        [
            *(sys.executable, SCRIPTS / "finetune.py", "--model-dir", job.model_dir, "--task", task),
            *("--tokens", tokens / "train.safetensors", "--settings", canonical_json(settings)),
            *("--seed", str(job.seed), *compute, "--tokenizer-dir", job.model_dir),
            *("--scratch", job.folder / "scratch", "--checkpoint-seconds", "60", "--output-dir", job.folder),
        ],
        [
            *(sys.executable, SCRIPTS / "predict.py", "--model-dir", job.folder, *compute, "--precision", "fp32"),
            *("--tokens", tokens / "validation.safetensors", "--layers", job.folder / "layers.json"),
            *("--output", job.folder / "predictions.parquet"),
        ],
    ]


def run_job(job: Job, packages: Path) -> dict[str, Any]:
    """Run a job from its start and tell what it took; its folder is left with the model and the answers.

    `start_up_seconds` is the time until the trained weights are on disk, without the training: interpreter, imports,
    tokens, model, and writing it.
    """
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    depth = read_json(job.model_dir / "config.json")["num_hidden_layers"]
    write_json(job.folder / "layers.json", Layers(depth, ()).as_json())
    settings = environment(job.contestant, job.threads, packages)
    usages = [run_process(command, job.folder / "log.txt", settings) for command in commands(job)]
    record = read_json(job.folder / ("manifest.json" if job.contestant == "ours" else "run.json"))
    written = (job.folder / "model.safetensors").stat().st_mtime
    return {
        "steps": record["steps"],
        "planned_steps": record.get("planned_steps", record["steps"]),
        "train_seconds": record["train_seconds"],
        "start_up_seconds": written - usages[0].started - record["train_seconds"],
        "wall_seconds": sum(usage.wall_seconds for usage in usages),
        "cpu_seconds": sum(usage.cpu_seconds for usage in usages),
        "peak_mb": max(usage.peak_mb for usage in usages),
    }


def run_side_by_side(jobs: Sequence[Job], packages: Path) -> list[dict[str, Any]]:
    """Run jobs at the same time and tell what each took."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(lambda job: run_job(job, packages), jobs))


def answers(job: Job, target: str) -> tuple[NDArray, NDArray]:
    """Labels [n] and logits [n, outputs] of the validation split, in whatever order the contestant left them."""
    if job.contestant == "ours":
        table = read_predictions(job.folder / "predictions.parquet", target)
        return table.labels, table.logits
    with np.load(job.folder / "answers.npz") as arrays:
        return arrays["labels"], arrays["logits"]


def job_score(job: Job, metric: str) -> float:
    """The score of a finished job on the validation split; all contestants are scored by this function."""
    target = read_json(job.task_dir / "task.json")["target"]
    labels, logits = answers(job, target)
    return score(metric_for(metric, target), labels, predictions_of(logits, target))


def matrix_rate(config: Mapping[str, Any], threads: int, side_by_side: int, device: str) -> dict[str, Any]:
    """FLOP/s of the machine at matrix products of the model's sizes, summed over processes side by side.

    In bfloat16 on a GPU, where training uses it, else in single precision.
    """
    command = [
        *(sys.executable, str(BENCHMARKS / "matrix_rate.py"), "--device", device),
        *("--hidden", str(config["hidden_size"]), "--intermediate", str(config["intermediate_size"])),
        *(("--precision", "bf16", "--tokens", "1024", "2048", "4096", "8192") if device == "cuda" else ()),
    ]
    counts = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}

    def rate(_: int) -> dict[str, Any]:
        finished = subprocess.run(command, env={**os.environ, **counts}, capture_output=True, text=True)
        if finished.returncode:
            raise UserError(f"{command[1]} failed:\n{finished.stderr[-2000:]}")
        return json.loads(finished.stdout)

    with ThreadPoolExecutor(side_by_side) as pool:
        records = list(pool.map(rate, range(side_by_side)))
    return {"device": records[0]["device"], "flops": sum(record["best"] for record in records)}


def forward_flops(config: Mapping[str, Any], lengths: NDArray, outputs: int) -> float:
    """Floating-point operations of a BERT classifier's forward pass over texts of `lengths` [n] tokens, no padding.

    Two for each weight of a matrix and token, and the products of attention, queries with keys and weights with values;
    pooler and classifier once a text. Embeddings, norms and activations count nothing. (The usual count: Kaplan et
    al., "Scaling laws for neural language models", 2020, section 2.1, with attention over the whole text.)
    """
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    lengths = np.asarray(lengths, np.float64)
    per_token = 2 * layers * (4 * hidden**2 + 2 * hidden * config["intermediate_size"])
    attention = layers * 4 * hidden * np.square(lengths).sum()
    head = 2 * hidden * (hidden + outputs) * len(lengths)
    return float(per_token * lengths.sum() + attention + head)


def training_flops(config: Mapping[str, Any], lengths: NDArray, outputs: int, epochs: float) -> float:
    """Forward and backward, which costs twice as much, over all epochs. Work that is skipped counts as done."""
    return 3 * epochs * forward_flops(config, lengths, outputs)


def fetch_glue(subset: str, glue: Path, rows: int | None, folder: Path) -> Path:
    """The task's folder, with at most `rows` rows of each split of GLUE's files; the same rows every time."""
    definition: dict[str, Any] = {"name": subset, "source": "glue", "subset": subset, "directory": str(glue)}
    for split, name in (("train", "train"), ("validation", GLUE_TASKS[subset].validation)):
        path = glue / subset / f"{name}.parquet"
        if not path.is_file():
            raise UserError(f"{path}: file not found; name the folder with GLUE's parquet files with --glue")
        here = pq.read_metadata(path).num_rows
        definition[f"{split}_examples"] = min(rows or here, here)
    fetch_task({**definition, "directory": str(glue / subset)}, folder)
    return folder


def make_random_model(name: str, model_dir: Path, folder: Path) -> Path:
    """A model folder with random weights and another model's tokenizer, as the workflow has it.

    `bert-base` has BERT-base's size; a family's name makes a model of that family, at the size of the other one.
    """
    import transformers  # only here: seconds to import, and no part of what is measured

    if name not in RANDOM_MODELS:
        raise UserError(f"unknown random model {name!r}; there are {', '.join(RANDOM_MODELS)}")
    other = read_json(model_dir / "config.json")
    settings = {"vocab_size": other["vocab_size"], "pad_token_id": other["pad_token_id"]}
    if name == BERT_BASE:
        config = transformers.BertConfig(**settings)
    else:
        sizes = {OWN_NAMES.get(name, {}).get(size, size): other[size] for size in SIZES}
        config = transformers.AutoConfig.for_model(name, **settings, **sizes, **_PUBLISHED.get(name, {}))
    transformers.set_seed(0)
    made = folder.with_name(f"{folder.name} as made")
    transformers.AutoModel.from_config(config).save_pretrained(made)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(model_dir / file, made / file)
    fetch_model({"name": name, "source": "local", "directory": str(made)}, folder)
    return folder


def check_rivals(packages: Path) -> None:
    """Raise UserError when the Trainer would not start for want of accelerate."""
    find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('accelerate') is None)"
    if subprocess.run([sys.executable, "-c", find], env={**os.environ, "PYTHONPATH": str(packages)}).returncode:
        raise UserError(
            f"the Trainer needs accelerate, which is not in {packages}; use make benchmark-training, or "
            f"pip install --no-deps --target {packages} -r benchmarks/requirements.txt"
        )


def machine(device_name: str) -> dict[str, Any]:
    """Where and with what a benchmark ran."""
    packages = versions()
    return {
        "machine": f"{_cpu_name()}, {os.cpu_count()} cores",
        "compute_device": device_name,
        **{name: packages[name] for name in ("python", "torch", "transformers")},
        "commit": f"{(CODE['commit'] or 'none')[:12]}{' with changes' if CODE['dirty'] else ''}",
        "date": time.strftime("%Y-%m-%d"),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown CPU"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
