"""Make one of the paper's tables or figures from a study: a CSV of our numbers and the paper's.

In: the scores and resamples of the runs that it shows, or a table of the study.
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.errors import UserError
from shallower.core.tables import read_table, write_table
from shallower.paper.comparison import Counterparts
from shallower.paper.items import ITEMS
from shallower.paper.makers import MAKERS
from shallower.paper.run_scores import read_scores, runs_of
from shallower.paper.shown_runs import Model, as_in_the_paper
from shallower.paper.values import read_values
from shallower.reporting.summary import read_costs


def main(arguments: argparse.Namespace) -> None:
    item, settings = ITEMS[arguments.item], arguments.settings
    counterparts = Counterparts(settings["models"], settings["tasks"], settings["confidence"], read_values())
    make = MAKERS[arguments.item]
    needed = "table" if item.runs is None else "runs"
    if getattr(arguments, needed) is None:
        raise UserError(f"{arguments.item} is made from --{needed}; name the file")
    if item.runs is None:
        table = make(counterparts, read_table(arguments.table))
    else:
        models = {
            name: Model(num_layers, settings["models"][name]) for name, num_layers in settings["num_layers"].items()
        }
        runs = read_table(arguments.runs)
        known = as_in_the_paper(runs_of(runs), settings["protected_arms"])
        shown = {run.directory for run in item.runs(known, models)}
        scores = read_scores(runs[runs["directory"].isin(shown)], with_pace=item.shows_speed)
        table = make(counterparts, scores, *([read_costs(arguments.costs)] if item.shows_speed else []))
    write_table(arguments.output, table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--item", choices=MAKERS, required=True)
    parser.add_argument("--runs", type=Path, help="runs.csv, for items that show runs; scores are in their folders")
    parser.add_argument("--costs", type=Path, nargs="*", default=[], help="cost.json of each model, for speeds")
    parser.add_argument("--table", type=Path, help="states.csv or scores.csv, for items that show no runs")
    parser.add_argument(
        "--settings",
        type=json_argument,
        required=True,
        help="confidence, models, num_layers, tasks and protected_arms, as JSON",
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV to write")
    run_step(parser, main)
