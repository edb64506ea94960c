"""The models that a study delivers against the full model and what others make of it: time, bytes and score.

A study of MiniLM on tasks of GLUE runs through snakemake in a clean copy of this repository, from texts to delivered
models: layers chosen by races between subsets, models refined with the full model as a teacher, on texts without labels
too, delivered by torch or ONNX Runtime with the full or a trimmed vocabulary, whichever is fastest at no less than
--score-kept % of the score. All of this is chosen by rows of GLUE's training split; the scores that are compared are
those on its validation split. What is delivered answers its texts on one thread, in turns with

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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from contest import RESULTS, ROOT, machine
from delivered_summary import DELIVERED, DELIVERED_MODE, DISTIL, DISTIL_INT8, FULL, FULL_INT8, RANDOM, SPEEDUPS, goals
from recorded import merged
from search_summary import BOOTSTRAP_SAMPLES, CONFIDENCE
from shallower.core import layout
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json, write_text
from shallower.engine.tokens import TokenSet, tokenize
from shallower.evaluation.bootstrap import kept_interval, kept_percent, median_of
from shallower.evaluation.metrics import metric_for
from shallower.evaluation.predictions import predictions_of
from shallower.models.folder import CONFIG, TOKENIZER_FILES
from shallower.serving.measure import Text, measure_serving
from shallower.serving.served_models import ServedModel
from shallower.sources.glue import GLUE_TASKS
from shallower.study.resolve import resolve_study
from shallower.study.study import Study
from study_copy import comparison_key, copy_repository, run_study
from task_parts import write_files
from write_readme import write_readme

logger = logging.getLogger(__name__)

NAME, MODEL, STUDY_FILE = "benchmark-delivered", "minilm", "delivered.yaml"
FILES = {"torch": "", "onnx": "onnx/model.onnx", "onnx-int8": "onnx/model-int8.onnx"}


def task_definitions(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What says which of GLUE's files each task has."""
    for task in arguments.tasks:
        for split in ("train", GLUE_TASKS[task].validation):
            if not (file := arguments.glue / task / f"{split}.parquet").is_file():
                raise UserError(f"{file}: file not found; name the folder with GLUE's parquet files with --glue")
    study = resolve_study(
        {
            "study": NAME,
            "models": default_study()["models"],
            "glue_directory": str(arguments.glue.resolve()),
            "tasks": [{"name": task, "source": "glue", "subset": task} for task in arguments.tasks],
            "origins": [{"name": "finetuned"}],
            "strategies": [{"name": "top", "amounts": [1]}],
            "seeds": [1],
        }
    )
    return [
        study.task_definition(task) | {"metrics": study.evaluate_settings(task)["metrics"]} for task in arguments.tasks
    ]


def default_study() -> dict[str, Any]:
    """The study of config.yaml."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    return config


def study_config(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The study whose models are delivered; the parts of its tasks are written into a folder.

    Layers are chosen by calibration examples and models by the validation split, both rows of GLUE's training split;
    GLUE's validation split is the test. The other training rows teach, without their labels.
    """
    labelled = arguments.rows + arguments.calibration
    tasks = [
        write_files(definition, labelled, arguments.unlabelled, folder / definition["name"], arguments.validation_rows)
        for definition in task_definitions(arguments)
    ]
    return {
        "study": NAME,
        "models": [next(model for model in default_study()["models"] if model["name"] == MODEL)],
        "tasks": tasks,
        "origins": [{"name": "finetuned"}],
        "strategies": [{"name": name, "amounts": arguments.amounts} for name in arguments.strategies],
        "seeds": arguments.seeds,
        "calibration": {"examples": arguments.calibration},
        "race": {"shortlist": 4},
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
        """What is recommended, if anything is."""
        rows = pd.read_csv(self.copy / layout.RECOMMENDED.format(study=NAME))
        return rows[rows["task"] == task].iloc[0]

    def delivered(self, task: str) -> Path:
        """Folder of the delivered model."""
        return self.copy / layout.DELIVERED.format(study=NAME, model=MODEL, task=task)

    def full(self, task: str) -> Path:
        """Folder of the full model, fine-tuned with the first seed."""
        run = next(run for run in self.study.runs if run.task == task and run.is_baseline)
        return self.copy / run.directory

    def target(self, task: str) -> str:
        return str(read_json(self._data(task) / "task.json")["target"])

    def test(self, task: str) -> pa.Table:
        """The test examples: GLUE's validation split."""
        folder = layout.TEST_DATA.format(task_key=self.study.task_key(task), test=self.study.test_key(task))
        return pq.read_table(self.copy / folder / f"{layout.TEST}.parquet")

    def tokens(self, task: str, tokenizer_dir: Path) -> TokenSet:
        """The test examples as tokens of a model's tokenizer."""
        from transformers import AutoTokenizer  # only here: seconds to import

        tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir, local_files_only=True, trust_remote_code=False)
        size = read_json(tokenizer_dir / CONFIG)["vocab_size"]
        return tokenize(self.test(task), tokenizer, self.study.max_length(task), size)

    def _data(self, task: str) -> Path:
        return self.copy / layout.TASK.format(task_key=self.study.task_key(task))


def texts_of(table: pa.Table) -> list[Text]:
    """The texts of a task's table, or pairs of them."""
    parts = [table[name].to_pylist() for name in ("text", "text_pair") if name in table.column_names]
    return list(parts[0]) if len(parts) == 1 else list(zip(*parts, strict=True))


def export_by_default(model_dir: Path, folder: Path) -> Path:
    """A model in ONNX int8 as torch exports it and onnxruntime quantises it when asked for nothing special."""
    output = folder / "model-int8.onnx"
    if output.exists():
        return output
    # Only here: seconds to import.
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from shallower.export.onnx_export import OnnxExporter
    from shallower.export.quantisation import without_details

    folder.mkdir(parents=True, exist_ok=True)
    exported, prepared = folder / "model.onnx", folder / "prepared.onnx"
    OnnxExporter(rewrites=()).export(model_dir, exported)
    with without_details():
        quant_pre_process(exported, prepared, skip_symbolic_shape=True, skip_optimization=True)
        quantize_dynamic(prepared, folder / "part.onnx")
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
    """Who answers: the full torch model first; what is delivered, if anything is."""
    row, length, full = tasks.row(task), tasks.study.max_length(task), tasks.full(task)
    tokenizer = TOKENIZER_FILES[0]
    full_int8 = export_by_default(full, folder / task)
    distil = make_distilbert(tasks.full(tasks.study.tasks[0]), folder / "distilbert")
    distil_int8 = export_by_default(distil, folder / "distilbert-int8")
    models = [ServedModel(FULL, "torch", full, full / tokenizer, length)]
    if row["recommended"]:
        delivered, runtime = tasks.delivered(task), row["runtime"]
        models.append(ServedModel(DELIVERED, runtime, delivered / FILES[runtime], delivered / tokenizer, length))
    return [
        *models,
        ServedModel(FULL_INT8, "onnx-int8", full_int8, full_int8.with_name(tokenizer), length),
        ServedModel(DISTIL, "torch", distil, distil / tokenizer, length),
        ServedModel(DISTIL_INT8, "onnx-int8", distil_int8, distil_int8.with_name(tokenizer), length),
    ]


def outputs_of(model: ServedModel, tokens: TokenSet) -> NDArray[np.float32]:
    """What a model computes for tokens: logits [n, outputs]."""
    # Only here: seconds to import.
    from shallower.engine.classifiers.loading import load_for_prediction
    from shallower.engine.devices import choose_compute
    from shallower.engine.prediction import predict as predict_by_torch
    from shallower.export.onnx_prediction import OnnxModel
    from shallower.export.onnx_prediction import predict as predict_by_onnx

    if model.runtime == "torch":
        classifier = load_for_prediction(model.path, tokens.padding_side)
        return predict_by_torch(classifier, tokens, choose_compute("cpu", "fp32", 1))
    return predict_by_onnx(OnnxModel(model.path), tokens)


def kept_on_test(tasks: Tasks, task: str, models: Sequence[ServedModel]) -> dict[str, tuple[float, float, float]]:
    """Of each model by name: the test score in per cent of the first one's, with its paired interval over examples."""
    target, answers, labels = tasks.target(task), {}, None
    for model in models:
        tokens = tasks.tokens(task, model.tokenizer.parent)
        labels = tokens.labels
        answers[model.name] = predictions_of(outputs_of(model, tokens), target)[None]
    metric, full = metric_for(tasks.study.evaluate_settings(task)["metrics"][0], target), answers[models[0].name]
    found = {}
    for name, ours in answers.items():
        value = kept_percent(metric, labels, ours, full, np.arange(len(labels)))
        interval = kept_interval(metric, labels, ours, full, CONFIDENCE, BOOTSTRAP_SAMPLES)
        found[name] = (float(value), interval.low, interval.high)
    return found


def task_rows(tasks: Tasks, task: str, arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row for each contestant on a task."""
    models, row = contestants(tasks, task, folder), tasks.row(task)
    record = measure_serving(
        models, texts_of(tasks.test(task)), list(SPEEDUPS), [1], arguments.rounds, arguments.texts_measured, starts=1
    )
    kept = kept_on_test(tasks, task, [model for model in models if not model.name.startswith(RANDOM)])
    tokens = tasks.tokens(task, tasks.full(task))
    sizes = {entry["variant"]: entry["bytes"] for entry in record["variants"]}
    rows = []
    for model in models:
        is_delivered = model.name == DELIVERED
        share, low, high = kept.get(model.name, (None, None, None))
        found: dict[str, Any] = {
            "model": MODEL,
            "rows": arguments.rows,
            "task": task,
            "contestant": model.name,
            "runtime": model.runtime,
            "vocabulary": row["vocabulary"] if is_delivered else "full",
            "layers": row["layers"] if is_delivered else 6,
            "kept_layers": row["kept_layers"] if is_delivered else "",
            "megabytes": sizes[model.name] / 1e6,
            "times_smaller": sizes[FULL] / sizes[model.name],
            "kept": share,
            "kept_low": low,
            "kept_high": high,
            "test_rows": tokens.size,
            "tokens": float(np.diff(tokens.offsets).mean()),
            "seeds": len(arguments.seeds),
            "rounds": arguments.rounds,
            "texts_measured": arguments.texts_measured,
        }
        for measured in record["rows"]:
            if measured["variant"] == model.name:
                size, speedup = measured["batch_size"], median_of(measured["speedups"], CONFIDENCE)
                found |= {
                    f"ms_{size}": measured["latency_ms"]["median"],
                    f"speedup_{size}": speedup[0],
                    f"speedup_{size}_low": speedup[1].low,
                    f"speedup_{size}_high": speedup[1].high,
                }
        rows.append({**found, **machine("cpu"), "onnxruntime": record["machine"]["versions"]["onnxruntime"]})
    return rows


def main(arguments: argparse.Namespace) -> None:
    if arguments.glue is None:
        raise UserError("the tasks are GLUE's: name the folder with its parquet files with --glue")
    if unknown := set(arguments.tasks) - set(GLUE_TASKS):
        raise UserError(f"unknown tasks {sorted(unknown)}; there are {', '.join(GLUE_TASKS)}")
    options = {name: str(value) for name, value in vars(arguments).items() if name not in ("work_dir", "results")}
    folder = (arguments.work_dir / comparison_key(options)).resolve()
    copy = folder / "copy"
    file = copy / STUDY_FILE
    if not file.exists():
        copy_repository(copy)
        write_text(file, yaml.safe_dump(study_config(arguments, folder / "tasks"), sort_keys=False))
    study = resolve_study(yaml.safe_load(file.read_text(encoding="utf-8")))
    logger.info("the study runs; see %s", (copy / STUDY_FILE).with_suffix(".log"))
    run_study(copy, STUDY_FILE, arguments.cores)
    tasks, rows = Tasks(study, copy), []
    for task in arguments.tasks:
        file = folder / "rows" / f"{task}.json"
        if not file.exists():
            write_json(file, {"rows": task_rows(tasks, task, arguments, folder / "rivals")})
        rows += read_json(file)["rows"]
    file = arguments.results / "delivered.csv"
    # All of a task: what it does not deliver any more is not to stay.
    table = merged(pd.read_csv(file) if file.exists() else None, pd.DataFrame(rows), DELIVERED_MODE, ["task"])
    write_text(file, table.to_csv(index=False, float_format="%.6g"))
    write_readme(arguments.results)
    for text, verdict in goals(pd.DataFrame(rows)):
        print(f"{verdict}: {text}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue", type=Path, help="folder with GLUE's parquet files (sst2/train.parquet, ...)")
    parser.add_argument("--tasks", nargs="+", default=["sst2", "mrpc", "stsb", "cola"])
    parser.add_argument("--strategies", nargs="+", default=["subset-race"])
    parser.add_argument("--amounts", type=int, nargs="+", default=[2], help="layers to drop")
    parser.add_argument("--rows", type=int, default=1500, help="training rows with labels")
    parser.add_argument("--calibration", type=int, default=400, help="further training rows, that layers are chosen by")
    parser.add_argument("--validation-rows", type=int, default=1000, help="further ones, that models are chosen by")
    parser.add_argument("--unlabelled", type=int, default=1500, help="most of the others, that teach without labels")
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
