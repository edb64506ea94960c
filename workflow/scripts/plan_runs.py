"""Write the plan of a study: study.json in; runs.csv out, one row for each run, with the folder of its files."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import write_text
from shallower.study.grid import runs_as_csv
from shallower.study.study import Study


def main(arguments: argparse.Namespace) -> None:
    write_text(arguments.output, runs_as_csv(Study.read(arguments.study).runs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study.json")
    parser.add_argument("--output", type=Path, required=True, help="runs.csv")
    run_step(parser, main)
