"""Make one of the paper's tables or figures from a study: its results in, a CSV of our numbers and the paper's out."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from shallower.core.cli import json_argument, run_step
from shallower.core.errors import UserError
from shallower.core.tables import read_table, write_table
from shallower.evaluation.estimates import Scores
from shallower.paper import by_depth, score_tables
from shallower.paper.comparison import Counterparts
from shallower.paper.items import INPUTS, ITEMS
from shallower.paper.table_4 import table_4
from shallower.paper.values import read_values

# The function of each item takes what is compared with what, then the item's inputs; runs are one input.
MAKERS: dict[str, Callable[..., pd.DataFrame]] = {
    "table-2": score_tables.table_2,
    "table-3": score_tables.table_3,
    "table-4": table_4,
    "table-5": score_tables.table_5,
    "table-6": score_tables.table_6,
    "table-7": score_tables.table_7,
    "gradual": score_tables.gradual,
    "figure-2": score_tables.figure_2,
    "preprint-figure-3": score_tables.preprint_figure_3,
    "figure-3": by_depth.figure_3,
    "preprint-figure-5": by_depth.preprint_figure_5,
    "contribution": by_depth.contribution,
}


def main(arguments: argparse.Namespace) -> None:
    item, settings = arguments.item, arguments.settings
    paths = {name: getattr(arguments, name) for name in ITEMS[item].inputs}
    if missing := [name for name, path in paths.items() if path is None]:
        raise UserError(f"{item} is made from --{missing[0]}; name the file")
    inputs: list[Scores | pd.DataFrame] = []
    if "resamples" in paths:
        inputs.append(Scores.read(paths.pop("results"), paths.pop("resamples")))
    inputs += map(read_table, paths.values())
    counterparts = Counterparts(settings["models"], settings["tasks"], settings["confidence"], read_values())
    write_table(arguments.output, MAKERS[item](counterparts, *inputs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--item", choices=MAKERS, required=True)
    for name, path in INPUTS.items():
        items = ", ".join(item for item in ITEMS if name in ITEMS[item].inputs)
        parser.add_argument(f"--{name}", type=Path, help=f"{Path(path).name}, for {items}")
    parser.add_argument("--settings", type=json_argument, required=True, help="confidence, models and tasks, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="CSV to write")
    run_step(parser, main)
