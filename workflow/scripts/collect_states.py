"""Gather the probes and similarities of fine-tuned models at each depth.

In: runs.csv, missing.csv, and probes.parquet and similarity.json of each baseline. Out: states.csv.
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.tables import read_table, write_table
from shallower.reporting.depth_table import collect_states


def main(arguments: argparse.Namespace) -> None:
    settings, missing = arguments.settings, set(read_table(arguments.missing)["file"])
    states = collect_states(read_table(arguments.runs), settings["metrics"], settings.get("positive_class"), missing)
    write_table(arguments.output, states)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv, the plan of the study")
    parser.add_argument("--missing", type=Path, required=True, help="missing.csv, what failed jobs did not make")
    parser.add_argument(
        "--settings", type=json_argument, required=True, help='{"metrics": {task: [names, the primary one first]}}'
    )
    parser.add_argument("--output", type=Path, required=True, help="states.csv to write")
    run_step(parser, main)
