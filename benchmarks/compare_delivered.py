"""The models that a study delivers against the full model and what others make of it: time, bytes and score.

A study of MiniLM on tasks of GLUE runs through snakemake in a clean copy of this repository, from texts to delivered
models: layers chosen by readouts of subsets, models refined with the full model as a teacher, delivered by torch or
ONNX Runtime with the full or a trimmed vocabulary, whichever is fastest at no less than --score-kept % of the score.
What it delivers then answers the task's validation texts on one thread, in turns with

- the full model in torch, in eval mode, which the others are compared with;
- the full model in ONNX int8, exported by torch and quantised by onnxruntime's defaults, as sentence-transformers and
  optimum do it;
- a model of DistilBERT's shape with random weights, for its speed alone, in torch and in ONNX int8 by these defaults.

Writes results/delivered.csv and the table in README.md, and prints what was aimed at as met or missed. An interrupted
comparison goes on where it was when it is started again with the same options; a finished one is measured again.
"""

import argparse
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from compare_sweep import copy_repository
from contest import BENCHMARKS, LIBRARY, RESULTS, ROOT, machine, run_process
from delivered_summary import DELIVERED, DELIVERED_MODE, DISTIL, DISTIL_INT8, FULL, FULL_INT8, SPEEDUPS, goals
from search_summary import merged
from shallower.core import layout
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import fingerprint, read_json, sha256_of, write_json, write_text
from shallower.engine.tokens import TokenSet, read_tokens
from shallower.evaluation.metrics import metric_for, score
from shallower.evaluation.predictions import predictions_of
from shallower.models.folder import CONFIG, TOKENIZER_FILES
from shallower.serving.measure import Text, measure_serving
from shallower.serving.served_models import ServedModel
from shallower.sources.glue import GLUE_TASKS
from shallower.study.resolve import resolve_study
from shallower.study.study import Study
from write_readme import write_readme

logger = logging.getLogger(__name__)

NAME, MODEL, STUDY_FILE = "benchmark-delivered", "minilm", "delivered.yaml"
FILES = {"torch": "", "onnx": "onnx/model.onnx", "onnx-int8": "onnx/model-int8.onnx"}
POINTS = 100


def study_config(arguments: argparse.Namespace) -> dict[str, Any]:
    """The study whose models are delivered."""
    default = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    tasks = []
    for task in arguments.tasks:
        entry: dict[str, Any] = {"name": task, "source": "glue", "subset": task}
        validation = arguments.glue / task / f"{GLUE_TASKS[task].validation}.parquet"
        train = arguments.glue / task / "train.parquet"
        for file in (train, validation):
            if not file.is_file():
                raise UserError(f"{file}: file not found; name the folder with GLUE's parquet files with --glue")
        # Calibration examples come from what the training leaves.
        there = pq.read_metadata(train).num_rows - arguments.calibration
        entry["train_examples"] = min(arguments.rows, there)
        entry["validation_examples"] = min(arguments.validation_rows, pq.read_metadata(validation).num_rows)
        tasks.append(entry)
    return {
        "study": NAME,
        "glue_directory": str(arguments.glue.resolve()),
        "models": [next(model for model in default["models"] if model["name"] == MODEL)],
        "tasks": tasks,
        "origins": [{"name": "finetuned"}],
        "strategies": [{"name": name, "amounts": arguments.amounts} for name in arguments.strategies],
        "seeds": arguments.seeds,
        "calibration": {"examples": arguments.calibration},
        "train": {
            "epochs": arguments.epochs,
            "batch_size": arguments.batch_size,
            "learning_rate": arguments.learning_rate,
            "max_length": arguments.max_length,
        },
        "refine": {"epochs": arguments.refine_epochs, "distill": {}},
        "measure": {"repeats": arguments.rounds},
        "budget": {"score_kept": arguments.score_kept},
        "deliver": {"vocabularies": ["full", "trimmed"]},
        "compute": {"device": arguments.device},
    }


class Tasks:
    """Where a finished study has what is compared on a task."""

    def __init__(self, study: Study, copy: Path) -> None:
        self.study, self.copy = study, copy

    def row(self, task: str) -> pd.Series:
        """What is recommended. Raises UserError when nothing is within the budget."""
        rows = pd.read_csv(self.copy / layout.RECOMMENDED.format(study=NAME))
        row = rows[rows["task"] == task].iloc[0]
        if not row["recommended"]:
            raise UserError(f"{task}: no model keeps the score (--score-kept), so none is delivered: {row['sentence']}")
        return row

    def delivered(self, task: str) -> Path:
        """Folder of the delivered model."""
        return self.copy / layout.DELIVERED.format(study=NAME, model=MODEL, task=task)

    def full(self, task: str) -> Path:
        """Folder of the full model, fine-tuned with the first seed."""
        run = next(run for run in self.study.runs if run.task == task and run.is_baseline)
        return self.copy / run.directory

    def has_pair(self, task: str) -> bool:
        return bool(read_json(self._data(task) / "task.json")["has_pair"])

    def target(self, task: str) -> str:
        return str(read_json(self._data(task) / "task.json")["target"])

    def texts(self, task: str) -> list[Text]:
        """The validation texts, or pairs of them."""
        columns = ["text", "text_pair"] if self.has_pair(task) else ["text"]
        table = pq.read_table(self._data(task) / "validation.parquet", columns=columns)
        parts = [table[column].to_pylist() for column in columns]
        return list(parts[0]) if len(parts) == 1 else list(zip(*parts, strict=True))

    def tokens(self, task: str) -> TokenSet:
        """The same texts as tokens."""
        keys = {"model_key": self.study.model_key(MODEL), "task_key": self.study.task_key(task)}
        folder = layout.TOKENS.format(**keys, max_length=self.study.max_length(task))
        return read_tokens(self.copy / folder / "validation.safetensors")

    def _data(self, task: str) -> Path:
        return self.copy / layout.TASK.format(task_key=self.study.task_key(task))


def export_by_default(model_dir: Path, folder: Path) -> Path:
    """A model in ONNX int8 as torch exports it and onnxruntime quantises it when asked for nothing special."""
    output = folder / "model-int8.onnx"
    if output.exists():
        return output
    # Only here: seconds to import.
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from shallower.export.onnx_export import OnnxExporter

    folder.mkdir(parents=True, exist_ok=True)
    OnnxExporter(rewrites=()).export(model_dir, folder / "model.onnx")
    quant_pre_process(folder / "model.onnx", folder / "prepared.onnx", skip_symbolic_shape=True, skip_optimization=True)
    quantize_dynamic(folder / "prepared.onnx", folder / "part.onnx")
    for name in (CONFIG, *TOKENIZER_FILES):
        shutil.copyfile(model_dir / name, folder / name)
    (folder / "part.onnx").replace(output)
    return output


def make_distilbert(tokenizer_dir: Path, folder: Path) -> Path:
    """A classifier of DistilBERT's shape (6 layers, vectors of 768) with random weights."""
    if (folder / CONFIG).exists():
        return folder
    import transformers  # only here: seconds to import

    transformers.set_seed(0)
    vocabulary = read_json(tokenizer_dir / CONFIG)["vocab_size"]
    model = transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(vocab_size=vocabulary))
    for name in TOKENIZER_FILES:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tokenizer_dir / name, folder / name)
    model.save_pretrained(folder)
    return folder


def contestants(tasks: Tasks, task: str, folder: Path) -> list[ServedModel]:
    """Who answers: the full torch model first."""
    row, length = tasks.row(task), tasks.study.max_length(task)
    full, delivered = tasks.full(task), tasks.delivered(task)
    full_int8 = export_by_default(full, folder / task)
    distil = make_distilbert(tasks.full(tasks.study.tasks[0]), folder / "distilbert")
    distil_int8 = export_by_default(distil, folder / "distilbert-int8")
    tokenizer = TOKENIZER_FILES[0]
    runtime = row["runtime"]
    return [
        ServedModel(FULL, "torch", full, full / tokenizer, length),
        ServedModel(DELIVERED, runtime, delivered / FILES[runtime], delivered / tokenizer, length),
        ServedModel(FULL_INT8, "onnx-int8", full_int8, full_int8.with_name(tokenizer), length),
        ServedModel(DISTIL, "torch", distil, distil / tokenizer, length),
        ServedModel(DISTIL_INT8, "onnx-int8", distil_int8, distil_int8.with_name(tokenizer), length),
    ]


def rival_score(tasks: Tasks, task: str, model: Path) -> float:
    """The score of an ONNX model on the validation split, as parts of 1."""
    from shallower.export.onnx_prediction import OnnxModel, predict

    tokens, target = tasks.tokens(task), tasks.target(task)
    metric = metric_for(tasks.study.evaluate_settings(task)["metrics"][0], target)
    return score(metric, tokens.labels, predictions_of(predict(OnnxModel(model), tokens), target))


def task_rows(tasks: Tasks, task: str, arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row for each contestant on a task."""
    models, row = contestants(tasks, task, folder), tasks.row(task)
    record = measure_serving(
        models, tasks.texts(task), list(SPEEDUPS), [1], arguments.rounds, arguments.texts_measured, starts=1
    )
    tokens = tasks.tokens(task)
    full_score = read_json(tasks.full(task) / "metrics.json")["metrics"][row["metric"]]["value"]
    by_default = POINTS * rival_score(tasks, task, models[2].path) / full_score
    kept = {
        FULL: (100.0, np.nan, np.nan),
        DELIVERED: (row["kept_percent"], row["kept_low"], row["kept_high"]),
        FULL_INT8: (by_default, np.nan, np.nan),
    }
    sizes = {entry["variant"]: entry["bytes"] for entry in record["variants"]}
    depth = {FULL: 6, DELIVERED: row["layers"], FULL_INT8: 6}
    rows = []
    for model in models:
        share, low, high = kept.get(model.name, (np.nan, np.nan, np.nan))
        found: dict[str, Any] = {
            "model": MODEL,
            "rows": arguments.rows,
            "task": task,
            "contestant": model.name,
            "runtime": model.runtime,
            "vocabulary": row["vocabulary"] if model.name == DELIVERED else "full",
            "layers": depth.get(model.name, 6),
            "kept_layers": row["kept_layers"] if model.name == DELIVERED else "",
            "megabytes": sizes[model.name] / 1e6,
            "times_smaller": sizes[FULL] / sizes[model.name],
            "kept": share,
            "kept_low": low,
            "kept_high": high,
            "tokens": float(np.diff(tokens.offsets).mean()),
            "seeds": len(arguments.seeds),
            "rounds": arguments.rounds,
            "texts_measured": arguments.texts_measured,
        }
        for measured in record["rows"]:
            if measured["variant"] == model.name:
                size, speedup = measured["batch_size"], measured["speedup"]
                found |= {
                    f"ms_{size}": measured["latency_ms"]["median"],
                    f"speedup_{size}": speedup["median"],
                    f"speedup_{size}_low": speedup["interval"][0],
                    f"speedup_{size}_high": speedup["interval"][1],
                }
        rows.append({**found, **machine("cpu"), "onnxruntime": record["machine"]["versions"]["onnxruntime"]})
    return rows


def comparison_key(config: Mapping[str, Any], arguments: argparse.Namespace) -> str:
    """Name of the folder of a comparison: one with other settings, code or machine does not go on with it."""
    where = {name: value for name, value in machine("").items() if name not in ("commit", "date")}
    code = [sha256_of(file) for folder in (LIBRARY, BENCHMARKS) for file in sorted(folder.rglob("*.py"))]
    return fingerprint({"config": config, "texts": arguments.texts_measured, "where": where, "code": code})


def main(arguments: argparse.Namespace) -> None:
    if arguments.glue is None:
        raise UserError("the tasks are GLUE's: name the folder with its parquet files with --glue")
    if unknown := set(arguments.tasks) - set(GLUE_TASKS):
        raise UserError(f"unknown tasks {sorted(unknown)}; there are {', '.join(GLUE_TASKS)}")
    config = study_config(arguments)
    study = resolve_study(config)
    folder = (arguments.work_dir / comparison_key(config, arguments)).resolve()
    copy = folder / "copy"
    if not (copy / STUDY_FILE).exists():
        copy_repository(copy)
        write_text(copy / STUDY_FILE, yaml.safe_dump(config, sort_keys=False))
    logger.info("the study runs; see %s", copy / "study.log")
    command = [sys.executable, "-m", "snakemake", "--cores", str(arguments.cores), "--rerun-incomplete"]
    run_process([*command, "--configfile", STUDY_FILE], copy / "study.log", directory=copy)
    tasks, rows = Tasks(study, copy), []
    for task in arguments.tasks:
        file = folder / "rows" / f"{task}.json"
        if not file.exists():
            write_json(file, {"rows": task_rows(tasks, task, arguments, folder / "rivals")})
        rows += read_json(file)["rows"]
    file = arguments.results / "delivered.csv"
    keys = [*DELIVERED_MODE, "task", "contestant"]
    table = merged(pd.read_csv(file) if file.exists() else None, pd.DataFrame(rows), keys)
    write_text(file, table.to_csv(index=False, float_format="%.6g"))
    write_readme(arguments.results)
    for text, verdict in goals(pd.DataFrame(rows)):
        print(f"{verdict}: {text}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue", type=Path, help="folder with GLUE's parquet files (sst2/train.parquet, ...)")
    parser.add_argument("--tasks", nargs="+", default=["sst2", "mrpc", "stsb", "qnli"])
    parser.add_argument("--strategies", nargs="+", default=["subset-readout"])
    parser.add_argument("--amounts", type=int, nargs="+", default=[2, 3, 4], help="layers to drop")
    parser.add_argument("--rows", type=int, default=1500, help="at most so many training rows")
    parser.add_argument("--validation-rows", type=int, default=1000, help="at most so many validation rows")
    parser.add_argument("--calibration", type=int, default=400, help="further training rows, that layers are chosen by")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=3, help="of the full model")
    parser.add_argument("--refine-epochs", type=int, default=2, help="of the shallower ones")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument(
        "--score-kept", type=float, default=96, help="least %% of the score, of the interval's lower end"
    )
    parser.add_argument("--rounds", type=int, default=10, help="of measuring")
    parser.add_argument("--texts-measured", type=int, default=128, help="in a round")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="of the study")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work-dir", type=Path, default=ROOT / ".scratch" / "delivered", help="for what is made")
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
