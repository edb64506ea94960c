"""Gather the scores of all runs of a study, computed by the evaluate package.

In: runs.csv and each run's metrics.json, predictions.parquet and resamples.npy. Out: results.csv, resamples.parquet.
With --tested, all of it is of test examples, and so are the directories.
"""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.layout import TEST
from shallower.core.tables import read_table, write_table
from shallower.evaluation.reference import checked_scores
from shallower.evaluation.resamples import collect_resamples
from shallower.reporting.results import collect_results


def main(arguments: argparse.Namespace) -> None:
    runs = read_table(arguments.runs)
    if arguments.tested:
        runs = runs[runs["task"].isin(arguments.tested)]
        runs = runs.assign(directory=runs["directory"] + f"/{TEST}")
    results = collect_results(runs)
    scores = checked_scores(runs["directory"])
    results["value"] = [scores[at][metric] for at, metric in zip(results["directory"], results["metric"], strict=True)]
    write_table(arguments.output, results)
    collect_resamples(list(runs["directory"]), arguments.resamples)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv, the plan of the study")
    parser.add_argument("--tested", nargs="*", default=[], help="tasks with test examples, to gather these scores")
    parser.add_argument("--output", type=Path, required=True, help="results.csv to write")
    parser.add_argument("--resamples", type=Path, required=True, help="resamples.parquet to write")
    run_step(parser, main)
