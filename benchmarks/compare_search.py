"""Ways of choosing the layers to keep, side by side: what each costs, and the score after refining.

Of each task and seed the full model is fine-tuned once. Each method then chooses half of the layers (or --amount fewer)
by the same calibration examples: greedy layer pruning as published, which fine-tunes every candidate; greedy by the
score without training (TALE); this project's readouts, race and loss of every subset; and the paper's best rule, the
top layers. Every choice is refined from the full model in the same way and scored on the validation split. With
--teacher the choices are refined from labels, with the full model as a teacher, and with it and more texts.

Writes results/search_runs.csv (a row a choice), results/search.csv (means, intervals and tests) and the tables in
README.md after every choice, and prints what was aimed at as met or missed. An interrupted comparison goes on where it
was when it is started again with the same options; a finished one is measured again.
"""

import argparse
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from compare_training import default_model
from contest import RESULTS, RIVALS_PACKAGES, ROOT, SCRIPTS, environment, machine, run_process
from recorded import merged
from search_case import (
    CHOICES,
    FULL,
    LABELS,
    METHODS,
    MORE_TEXTS,
    ORIGIN,
    REFININGS,
    TEACHER,
    Case,
    choose,
    forward_seconds,
    kept_label,
    refine,
    score_subsets,
    train_full_model,
)
from search_summary import BOOTSTRAP_SAMPLES, CONFIDENCE, SEARCH_KEYS, SEARCH_MODE, summarise
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json, write_text
from shallower.core.layout import CALIBRATION, SPLITS, UNLABELLED
from shallower.evaluation.bootstrap import score_bootstrap
from shallower.evaluation.metrics import metric_for, score
from shallower.evaluation.predictions import predictions_of, read_predictions
from shallower.models.families import family_of
from shallower.models.folder import CONFIG, WEIGHTS
from shallower.sources.glue import GLUE_TASKS
from shallower.sources.models import fetch_model
from shallower.sources.tasks import fetch_calibration, fetch_task
from shallower.sources.unlabelled import fetch_unlabelled
from shallower.study.resolve import resolve_study
from shallower.study.study import Study
from shallower.surgery.strategies import STRATEGIES
from study_copy import comparison_key
from write_readme import search_tables, write_readme

logger = logging.getLogger(__name__)


def fetched_model(arguments: argparse.Namespace) -> Path:
    """The model's folder, in the form that the workflow gives it."""
    if arguments.model_dir is None:
        return default_model(arguments.work_dir / "models" / "minilm")
    folder = arguments.work_dir / "models" / arguments.model_dir.name
    fetch_model({"name": folder.name, "source": "local", "directory": str(arguments.model_dir)}, folder)
    return folder


def search_study(arguments: argparse.Namespace, model_dir: Path, amount: int) -> Study:
    """The study whose settings all steps have: the command line's and, for the rest, the defaults of any study."""
    known = [method for method in arguments.methods if method in STRATEGIES]
    config = {
        "study": "search",
        "glue_directory": str(arguments.glue.resolve()),
        "models": [{"name": model_dir.name, "source": "local", "directory": str(model_dir.resolve())}],
        "tasks": [task_entry(arguments, name) for name in arguments.tasks],
        "origins": [{"name": ORIGIN}],
        "strategies": [{"name": method, "amounts": [amount]} for method in known or ["top"]],
        "seeds": arguments.seeds,
        "calibration": {"examples": arguments.calibration},
        "train": {
            "epochs": arguments.epochs,
            "batch_size": arguments.batch_size,
            "learning_rate": arguments.learning_rate,
            "max_length": arguments.max_length,
        },
        "refine": {"epochs": arguments.refine_epochs, "distill": {}},
    }
    return resolve_study(config)


def task_entry(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    """A task of GLUE with at most so many rows of each split, the calibration examples in addition."""
    splits = {
        "train": ("train", arguments.rows, arguments.calibration),
        "validation": (GLUE_TASKS[name].validation, arguments.validation_rows, 0),
    }
    sizes = {}
    for split, (file, most, reserved) in splits.items():
        path = arguments.glue / name / f"{file}.parquet"
        if not path.is_file():
            raise UserError(f"{path}: file not found; name the folder with GLUE's parquet files with --glue")
        sizes[f"{split}_examples"] = min(most, pq.read_metadata(path).num_rows - reserved)
    if sizes["train_examples"] < 1:
        raise UserError(f"{name}: {arguments.calibration} calibration examples leave none to train on; ask for fewer")
    return {"name": name, "source": "glue", "subset": name, **sizes}


def prepare_data(study: Study, task: str, model_dir: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """A task's tables and tokens, with calibration examples and, for a teacher, more texts; once."""
    ready = folder / "ready.json"
    if ready.exists():
        return
    definition = study.task_definition(task)
    fetch_task(definition, folder / "task")
    fetch_calibration(definition, arguments.calibration, folder / CALIBRATION)
    parts = {"task": SPLITS, CALIBRATION: (CALIBRATION,)}
    if arguments.teacher:
        fetch_more_texts(definition, folder, arguments.more_texts)
        parts[UNLABELLED] = (UNLABELLED,)
    for part, splits in parts.items():
        command = [
            *(sys.executable, SCRIPTS / "tokenize_task.py", "--model-dir", model_dir, "--task-dir", folder / part),
            *("--splits", *splits, "--max-length", str(study.max_length(task)), "--output-dir", folder / "tokens"),
        ]
        run_process(command, folder / "log.txt", environment("ours", arguments.threads, RIVALS_PACKAGES))
    write_json(ready, {"task": task})


def fetch_more_texts(definition: dict[str, Any], folder: Path, most: int) -> None:
    """Texts without labels for a teacher: those of the training file that no split has, at most so many."""
    found = {**definition, "unlabelled_file": str(Path(definition["directory"]) / "train.parquet")}
    places = (folder / "task", [folder / CALIBRATION / f"{CALIBRATION}.parquet"], folder / UNLABELLED)
    fetch_unlabelled(found, *places)
    if read_json(folder / UNLABELLED / "manifest.json")["rows"][UNLABELLED] > most:
        fetch_unlabelled({**found, "unlabelled_examples": most}, *places)


def more_texts(case: Case) -> int:
    """How many texts without labels the teacher of a case answers."""
    rows: dict[str, int] = read_json(case.data / UNLABELLED / "manifest.json")["rows"]
    return rows[UNLABELLED]


def scored(case: Case, predictions: Path) -> tuple[float, NDArray[np.float64]]:
    """The primary score of predictions of the validation split, and its values [samples] on resampled examples."""
    target = read_json(case.task_file)["target"]
    table = read_predictions(predictions, target)
    metric = metric_for(case.study.score_settings(case.task)["metrics"][0], target)
    answers = predictions_of(table.logits, target)
    samples = score_bootstrap(metric, table.labels, answers, CONFIDENCE, BOOTSTRAP_SAMPLES).resamples
    return score(metric, table.labels, answers), samples


def cases(arguments: argparse.Namespace, study: Study, model_dir: Path, amount: int, folder: Path) -> Iterator[Case]:
    """Every task and seed, its data prepared."""
    for task in study.tasks:
        data = folder / task
        prepare_data(study, task, model_dir, data, arguments)
        for seed in study.seeds(task):
            place = data / f"seed{seed}"
            yield Case(study, task, seed, model_dir, data, place, amount, arguments.threads, arguments.device)


def compare(arguments: argparse.Namespace, study: Study, model_dir: Path, amount: int, folder: Path) -> pd.DataFrame:
    """All choices, a row each; results are written after every one. Returns the summary."""
    refinings = (LABELS, TEACHER, MORE_TEXTS) if arguments.teacher else (LABELS,)
    rows: list[dict[str, Any]] = []
    resamples: dict[tuple[str, int, str, str], NDArray[np.float64]] = {}
    steps = len(study.tasks) * len(arguments.seeds) * (1 + len(arguments.methods) * len(refinings))
    done, started = 0, time.monotonic()

    def progress(text: str) -> None:
        nonlocal done
        done += 1
        left = (time.monotonic() - started) * (steps - done) / done
        logger.info("%d of %d, %s; about %.0f min left", done, steps, text, left / 60)

    summary = pd.DataFrame()
    for case in cases(arguments, study, model_dir, amount, folder):
        shared = full_model(arguments, case, resamples)
        progress(f"{case.task} seed {case.seed}: full model {shared['full_score']:.4f}")
        for method in arguments.methods:
            layers, price = choose(case, method)
            for refining in refinings:
                seconds, predictions = refine(case, layers, refining)
                value, samples = scored(case, predictions)
                kept = kept_label(layers)
                resamples[case.task, case.seed, refining, kept] = samples
                found = {"refining": refining, "more_texts": more_texts(case) if refining == MORE_TEXTS else 0}
                found |= {"method": method, "kept_layers": kept, **vars(price)}
                rows.append({**shared, **found, "refine_seconds": seconds, "score": value})
                summary = write_results(arguments.results, pd.DataFrame(rows), resamples)
                progress(
                    f"{case.task} seed {case.seed}: {method} keeps {kept} after {price.choose_seconds:.0f} s; "
                    f"{value:.4f} after {seconds:.0f} s of refining by {refining}"
                )
        (case.baseline / WEIGHTS).unlink(missing_ok=True)
    return summary


def full_model(
    arguments: argparse.Namespace, case: Case, resamples: dict[tuple[str, int, str, str], NDArray[np.float64]]
) -> dict[str, Any]:
    """What all rows of a case have alike; the full model's resampled scores go with the others."""
    full_seconds = train_full_model(case)
    value, samples = scored(case, case.baseline / "predictions.parquet")
    resamples[case.task, case.seed, FULL, FULL] = samples
    _, scores = score_subsets(case)
    forward = forward_seconds(case)
    return {
        "compared": REFININGS if arguments.teacher else CHOICES,
        "device": case.device,
        "model": case.model_dir.name,
        "threads": case.threads,
        "dropped": case.amount,
        "rows": arguments.rows,
        "task": case.task,
        "seed": case.seed,
        "calibration": arguments.calibration,
        **{name: getattr(arguments, name) for name in SETTINGS},
        "train_examples": read_json(case.task_file)["rows"]["train"],
        "validation_examples": read_json(case.task_file)["rows"]["validation"],
        "metric": case.study.score_settings(case.task)["metrics"][0],
        "full_score": value,
        "full_seconds": full_seconds,
        "forward_seconds": forward,
        "walk_passes": scores["cost"]["seconds"] / forward,
        "readout_seconds": scores["cost"]["readout_seconds"],
        **machine("cpu" if case.device == "cpu" else scores["cost"]["device"]),
    }


SETTINGS = ("epochs", "refine_epochs", "batch_size", "learning_rate", "max_length")


def write_results(results: Path, runs: pd.DataFrame, resamples: dict[Any, NDArray[np.float64]]) -> pd.DataFrame:
    """Put runs and their summary in place of the recorded ones of the same mode and kind; the summary."""
    summary = summarise(runs, resamples)
    for name, table in (("search_runs", runs), ("search", summary)):
        file = results / f"{name}.csv"
        together = merged(pd.read_csv(file) if file.exists() else None, table, SEARCH_MODE, SEARCH_KEYS)
        write_text(file, together.to_csv(index=False, float_format="%.6g"))
    write_readme(results)
    return summary


def check(arguments: argparse.Namespace) -> None:
    """Raise UserError for options that cannot be."""
    if unknown := set(arguments.tasks) - set(GLUE_TASKS):
        raise UserError(f"unknown tasks {sorted(unknown)}; there are {', '.join(GLUE_TASKS)}")
    if arguments.glue is None:
        raise UserError("the tasks are GLUE's: name the folder with its parquet files with --glue")


def main(arguments: argparse.Namespace) -> None:
    check(arguments)
    arguments.methods = arguments.methods or (["subset-readout"] if arguments.teacher else list(METHODS))
    model_dir = fetched_model(arguments)
    config = read_json(model_dir / CONFIG)
    amount = arguments.amount or family_of(config).num_layers(config) // 2
    study = search_study(arguments, model_dir, amount)
    names = ("methods", "teacher", "more_texts", "threads", "device")
    settings = {name: getattr(arguments, name) for name in names}
    settings |= {"study": study.config, "model": read_json(model_dir / "manifest.json")["sha256"]}
    folder = arguments.work_dir / comparison_key(settings)
    summary = compare(arguments, study, model_dir, amount, folder)
    shutil.rmtree(folder)
    print(search_tables(summary))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glue", type=Path, help="folder with GLUE's parquet files (sst2/train.parquet, ...)")
    parser.add_argument("--tasks", nargs="+", default=["sst2", "mrpc", "stsb"])
    parser.add_argument("--model-dir", type=Path, help="starting weights; the first model of config.yaml if not given")
    parser.add_argument("--amount", type=int, help="number of layers to drop; half of them if not given")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="all; with --teacher subset-readout alone")
    parser.add_argument("--teacher", action="store_true", help="compare ways of refining: labels, teacher, more texts")
    parser.add_argument("--more-texts", type=int, default=6000, help="texts without labels that a teacher answers")
    parser.add_argument("--rows", type=int, default=1500, help="at most so many training rows")
    parser.add_argument("--validation-rows", type=int, default=2000, help="at most so many validation rows")
    parser.add_argument("--calibration", type=int, default=400, help="training rows that choices are made on instead")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=3, help="of the full model")
    parser.add_argument("--refine-epochs", type=int, default=1, help="of every candidate and every choice")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="CPU threads of each step")
    parser.add_argument("--work-dir", type=Path, default=ROOT / ".scratch" / "search", help="folder for what is made")
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
