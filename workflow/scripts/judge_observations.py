"""Judge the paper's observations: results, resamples and layer-wise curves in, observations.csv and .html out.

Predictions are read from predictions.parquet in each run's directory, which results.csv names.
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import write_text
from shallower.core.tables import read_table, write_table
from shallower.evaluation.estimates import Scores
from shallower.paper.evidence import Evidence
from shallower.paper.observations_page import observations_page
from shallower.paper.verdicts import judge


def main(arguments: argparse.Namespace) -> None:
    scores = Scores.read(arguments.results, arguments.resamples)
    frame = judge(Evidence(scores, read_table(arguments.states), arguments.settings))
    write_table(arguments.output_dir / "observations.csv", frame)
    text = observations_page(frame, scores.runs["study"].iloc[0])
    write_text(arguments.output_dir / "observations.html", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results.csv")
    parser.add_argument("--resamples", type=Path, required=True, help="resamples.parquet")
    parser.add_argument("--states", type=Path, required=True, help="states.csv")
    parser.add_argument(
        "--settings",
        type=json_argument,
        required=True,
        help="confidence; models and tasks: the paper's name of each or null",
    )
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
