"""Compare an arm with the baseline over all seeds: predictions.parquet files in, comparison.json out."""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.evaluation.predictions import read_matched
from shallower.evaluation.records import comparison_record
from shallower.models.checksums import verified_file


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.task)
    target = read_json(arguments.task)["target"]
    table, baseline = read_matched(arguments.baseline_predictions, None, target, arguments.settings)
    _, predictions = read_matched(arguments.predictions, table, target, arguments.settings)
    record = comparison_record(
        target, table.labels, predictions, baseline, arguments.seeds, arguments.settings, table.groups
    )
    write_json(arguments.output, {**arguments.identity, **record})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="one a seed")
    parser.add_argument("--baseline-predictions", type=Path, nargs="+", required=True, help="one a seed")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, help="seed of each file, in both lists")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--settings", type=json_argument, required=True, help="confidence, bootstrap_samples, metrics")
    parser.add_argument("--identity", type=json_argument, required=True, help="what the arm is called")
    parser.add_argument("--output", type=Path, required=True)
    run_step(parser, main)
