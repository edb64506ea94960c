"""Choose the models of one task that are tried in every form.

In: the predictions, layers and manifest of each run. Out: candidates.json.
"""

import argparse
import logging
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import read_json
from shallower.core.runs import Run
from shallower.core.wording import counted, layer_ranges
from shallower.delivery.candidates import Candidate, choose_candidates, write_candidates
from shallower.evaluation.metrics import metric_for, score, subject_of, with_tagging
from shallower.evaluation.predictions import predictions_of, read_predictions
from shallower.evaluation.thresholds import with_thresholds
from shallower.models.checksums import verified_file
from shallower.models.folder import MANIFEST, WEIGHTS
from shallower.task_kinds.registry import task_kind

logger = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.task)
    task = read_json(arguments.task)
    target, settings = task["target"], with_tagging(arguments.settings, task)
    metric = metric_for(settings["metrics"][0], target, subject_of(settings))
    scored = []
    for run in sorted((Run(**run) for run in read_json(arguments.runs)), key=lambda run: run.seed):
        folder = Path(run.directory)
        layers, manifest = read_json(folder / "layers.json"), read_json(folder / MANIFEST)
        table = read_predictions(folder / "predictions.parquet", target)
        answers = predictions_of(table.logits, target, with_thresholds(settings, run))
        candidate = Candidate(run, layers["num_layers"], tuple(layers["kept_layers"]), manifest["sha256"][WEIGHTS])
        is_collapsed = task_kind(target).is_collapsed(table.labels, answers, table.groups)
        scored.append((candidate, score(metric, table.labels, answers, table.groups), is_collapsed))
    chosen = choose_candidates(scored)
    for candidate in chosen:
        kept = candidate.kept_layers
        logger.info("%s: %s (%s)", candidate.run.directory, counted(len(kept), "layer"), layer_ranges(kept))
    write_candidates(arguments.output, chosen)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="JSON: all runs of a model on a task")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--settings", type=json_argument, required=True, help="JSON: metrics, the first of them counts")
    parser.add_argument("--output", type=Path, required=True, help="candidates.json")
    run_step(parser, main)
