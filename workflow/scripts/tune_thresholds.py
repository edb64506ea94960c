"""Tune a threshold for each label: the full model's predictions of calibration examples in, thresholds.json out."""

import argparse
import logging
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import read_json, write_json
from shallower.evaluation.predictions import read_predictions
from shallower.evaluation.thresholds import DEFAULT, FEW, thresholds_record
from shallower.models.checksums import verified_file

logger = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.task)
    task = read_json(arguments.task)
    table = read_predictions(arguments.predictions, task["target"])
    record = thresholds_record(table.labels, table.logits, task["labels"])
    for label in record["labels"]:
        scores = f"F1 {label['f1']:.3f}, by {DEFAULT:g} {label['f1_by_default']:.3f}"
        logger.info("%s: %.3f (%s, %d examples have it)", label["name"], label["threshold"], scores, label["support"])
    if few := [label["name"] for label in record["labels"] if label["support"] < FEW]:
        logger.warning(
            "warning: fewer than %d of the %d calibration examples have %s; a threshold by so few is uncertain, take "
            "more calibration examples",
            *(FEW, record["examples"], ", ".join(few)),
        )
    write_json(arguments.output, record)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.parquet of calibration examples")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--output", type=Path, required=True, help="thresholds.json")
    run_step(parser, main)
