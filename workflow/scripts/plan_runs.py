"""Write the plan of a study: its grid in; runs.csv out, one row for each run, with the folder of its files.

After failed jobs, runs.csv has the runs that there are, and missing.csv the others; otherwise missing.csv has no rows.
"""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import read_json, write_text
from shallower.planning.missing import missing_as_csv, missing_runs, read_unmade
from shallower.study.grid import expand, runs_as_csv


def main(arguments: argparse.Namespace) -> None:
    runs = expand(read_json(arguments.grid))
    unmade = read_unmade(arguments.unmade) if arguments.unmade else {}
    missing = missing_runs(runs, unmade)
    write_text(arguments.output, runs_as_csv(run for run in runs if run not in missing))
    write_text(arguments.missing, missing_as_csv(runs, unmade))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=Path, required=True, help="JSON: names on each axis of the study")
    parser.add_argument("--unmade", type=Path, help="JSON: files that failed jobs did not make, and why")
    parser.add_argument("--output", type=Path, required=True, help="runs.csv")
    parser.add_argument("--missing", type=Path, required=True, help="missing.csv")
    run_step(parser, main)
