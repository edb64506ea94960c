"""Bring texts without labels, which a teacher answers, into one form, without those that the task's splits have.

In: the definition of the task, its tables and those of its calibration and test examples. Out: unlabelled.parquet and
its manifest.
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.sources.unlabelled import fetch_unlabelled


def main(arguments: argparse.Namespace) -> None:
    fetch_unlabelled(arguments.task, arguments.task_dir, arguments.others, arguments.output_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=json_argument, required=True, help="definition of the task, as JSON")
    parser.add_argument("--task-dir", type=Path, required=True, help="folder with the tables of the task's splits")
    parser.add_argument(
        "--others", type=Path, nargs="*", default=[], help="tables of the task's calibration and test examples"
    )
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
