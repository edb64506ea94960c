"""Bring a task's test examples into one form: the definition of the task in; test.parquet and its manifest out."""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.sources.tasks import fetch_test


def main(arguments: argparse.Namespace) -> None:
    fetch_test(arguments.task, arguments.output_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=json_argument, required=True, help="definition of the task, as JSON")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
