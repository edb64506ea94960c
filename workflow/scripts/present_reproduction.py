"""Present the reproduction of the paper: its tables, figures and verdicts in, a section of the report out."""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.tables import read_table
from shallower.paper.frames import read_frame
from shallower.paper.section import Reproduction, section


def main(arguments: argparse.Namespace) -> None:
    reproduction = Reproduction(
        frames={path.stem: read_frame(path) for path in arguments.frames},
        figures={path.stem: path for path in arguments.figures},
        observations=read_table(arguments.observations),
        parameter_orders=read_table(arguments.parameter_orders),
        settings=arguments.settings,
    )
    section(reproduction).write(arguments.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, nargs="+", required=True, help="{item}.csv of each table and figure")
    parser.add_argument("--figures", type=Path, nargs="*", default=[], help="{item}.svg of each figure")
    parser.add_argument("--observations", type=Path, required=True, help="observations.csv")
    parser.add_argument("--parameter-orders", type=Path, required=True, help="parameter-orders.csv")
    parser.add_argument(
        "--settings",
        type=json_argument,
        required=True,
        help="JSON: confidence; models with the paper's name of each or null; probe_examples; parameters",
    )
    parser.add_argument("--output", type=Path, required=True, help="section.json to write")
    run_step(parser, main)
