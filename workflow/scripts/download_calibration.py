"""Keep a part of a task's training data for choices from data.

In: the definition of the task. Out: calibration.parquet and its manifest.
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.sources.tasks import fetch_calibration


def main(arguments: argparse.Namespace) -> None:
    fetch_calibration(arguments.task, arguments.examples, arguments.output_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=json_argument, required=True, help="definition of the task, as JSON")
    parser.add_argument("--examples", type=int, required=True, help="number of calibration examples")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
