"""Judge strategies by all subsets of layers: results, predictions and scores in; a folder of tables out.

Predictions are read from the folders that results.csv names, scores of layers and subsets from those of the study.
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.errors import UserError
from shallower.core.tables import write_table
from shallower.evaluation.estimates import Scores
from shallower.oracle.place import read_place
from shallower.oracle.tables import judge


def main(arguments: argparse.Namespace) -> None:
    scores = Scores.read(arguments.results, arguments.resamples)
    read = (read_place(arguments.study, where, scores, arguments.samples) for where in arguments.places)
    places = [place for place in read if place is not None]
    if not any(place.sizes for place in places):
        raise UserError(
            f"{arguments.results}: no number of layers has all its subsets refined; list the others as amounts of keep"
        )
    for name, table in judge(places, arguments.confidence).items():
        write_table(arguments.output_dir / f"{name}.csv", table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--results", type=Path, required=True, help="results.csv")
    parser.add_argument("--resamples", type=Path, required=True, help="resamples.parquet")
    parser.add_argument("--places", type=json_argument, required=True, help="JSON: list of [model, task, origin]")
    parser.add_argument("--confidence", type=float, required=True, help="level of the intervals, 0 to 1")
    parser.add_argument("--samples", type=int, required=True, help="number of bootstrap samples")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
