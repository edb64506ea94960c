"""Judge the paper's claims: results, resamples and layer-wise curves in, observations.csv and .html out.

Predictions are read from predictions.parquet in each run's directory, which results.csv names.
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, named_folder, run_step
from shallower.core.files import read_json, write_text
from shallower.core.tables import read_table, write_table
from shallower.evaluation.estimates import Scores
from shallower.paper.evidence import Evidence, Records
from shallower.paper.observations_page import observations_page
from shallower.paper.values import read_values
from shallower.paper.verdicts import judge
from shallower.reporting.summary import read_costs


def main(arguments: argparse.Namespace) -> None:
    scores = Scores.read(arguments.results, arguments.resamples)
    settings = arguments.settings
    records = Records(
        values=read_values(),
        sizes={task: read_json(folder / "task.json")["rows"] for task, folder in arguments.task},
        slices=settings["slices"],
        costs=read_costs(arguments.costs),
    )
    frame = judge(Evidence(scores, read_table(arguments.states), settings, records))
    write_table(arguments.output_dir / "observations.csv", frame)
    text = observations_page(frame, scores.runs["study"].iloc[0])
    write_text(arguments.output_dir / "observations.html", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results.csv")
    parser.add_argument("--resamples", type=Path, required=True, help="resamples.parquet")
    parser.add_argument("--states", type=Path, required=True, help="states.csv")
    parser.add_argument("--task", type=named_folder, action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--costs", type=Path, nargs="*", default=[], help="cost.json of models, for speeds")
    parser.add_argument(
        "--settings",
        type=json_argument,
        required=True,
        help="confidence; models and tasks: the paper's name of each or null; slices: by task, splits that are parts; "
        "protected_arms: model, task, origin, strategy and amount of arms of which some layers had to stay; "
        "scored_elsewhere: of those whose layers were scored on another task",
    )
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
