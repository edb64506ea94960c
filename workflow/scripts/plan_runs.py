"""Write the plan of a study: its grid in; runs.csv out, one row for each run, with the folder of its files."""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import write_text
from shallower.study.grid import expand, runs_as_csv


def main(arguments: argparse.Namespace) -> None:
    write_text(arguments.output, runs_as_csv(expand(arguments.grid)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=json_argument, required=True, help="names on each axis of the study, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="runs.csv")
    run_step(parser, main)
