"""Gather the scores of all runs of a study: runs.csv and each run's metrics.json in, results.csv out."""

import argparse
from pathlib import Path

from shallower.results import collect_results, read_table, write_table
from shallower.step import run_step


def main(arguments: argparse.Namespace) -> None:
    write_table(arguments.output, collect_results(read_table(arguments.runs)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv, the plan of the study")
    parser.add_argument("--output", type=Path, required=True)
    run_step(parser, main)
