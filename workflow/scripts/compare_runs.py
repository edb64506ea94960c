"""Compare an arm with the baseline over all seeds: predictions.parquet files in, comparison.json out."""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.runs import Run
from shallower.evaluation.metrics import with_tagging
from shallower.evaluation.predictions import read_matched
from shallower.evaluation.records import check_seeds, comparison_record
from shallower.evaluation.thresholds import with_thresholds
from shallower.models.checksums import verified_file


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.task)
    check_seeds(arguments.predictions, arguments.baseline_predictions, arguments.seeds)
    task = read_json(arguments.task)
    target, settings = task["target"], with_tagging(arguments.settings, task)
    of_seeds = [with_thresholds(settings, Run(**arguments.identity, seed=seed)) for seed in arguments.seeds]
    table, baseline = read_matched(arguments.baseline_predictions, None, target, of_seeds)
    _, predictions = read_matched(arguments.predictions, table, target, of_seeds)
    record = comparison_record(target, table.labels, predictions, baseline, arguments.seeds, settings, table.groups)
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
