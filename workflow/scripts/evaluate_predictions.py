"""Score the predictions of one run: predictions.parquet in, metrics.json and resamples.npy out.

resamples.npy holds the primary score on resampled validation examples, the same ones in every run of the task.
"""

import argparse
import logging
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.layers import Layers
from shallower.core.runs import Run
from shallower.evaluation.metrics import with_tagging
from shallower.evaluation.predictions import predictions_of, read_predictions
from shallower.evaluation.records import metrics_record
from shallower.evaluation.resamples import write_resamples
from shallower.evaluation.thresholds import with_thresholds
from shallower.models.checksums import verified_file

logger = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.task)
    task = read_json(arguments.task)
    target = task["target"]
    layers, family = Layers.read(arguments.layers), read_json(arguments.layers)["family"]
    manifest = read_json(arguments.manifest)
    table = read_predictions(arguments.predictions, target)
    settings = with_thresholds(arguments.settings, Run(**arguments.identity))
    predictions = predictions_of(table.logits, target, settings)
    record, resamples = metrics_record(
        target, table.labels, predictions, with_tagging(settings, task), task["labels"], table.groups
    )
    for name, scores in record["metrics"].items():
        if "positive_class" in scores:
            logger.info("%s is of the class %r", name, scores["positive_class"])
    write_resamples(arguments.resamples, resamples)
    write_json(
        arguments.output,
        {
            **arguments.identity,
            **record,
            "family": family,
            "num_layers": layers.num_layers,
            "kept_layers": layers.kept,
            "num_dropped": len(layers.dropped),
            **{key: manifest[key] for key in ("parameters", "model_bytes", "train_seconds")},
        },
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--layers", type=Path, required=True, help="layers.json of the run")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest.json of the run's training")
    parser.add_argument("--identity", type=json_argument, required=True, help="what the run is called")
    parser.add_argument("--settings", type=json_argument, required=True, help="confidence, bootstrap_samples, metrics")
    parser.add_argument("--resamples", type=Path, required=True, help="resamples.npy to write")
    parser.add_argument("--output", type=Path, required=True, help="metrics.json to write")
    run_step(parser, main)
