"""Make one of the paper's tables or figures from a study: its results in, a CSV of our numbers and the paper's out."""

import argparse
from pathlib import Path

import pandas as pd

from shallower.core.cli import json_argument, run_step
from shallower.core.errors import UserError
from shallower.core.tables import read_table, write_table
from shallower.evaluation.estimates import Scores
from shallower.paper.comparison import Counterparts
from shallower.paper.items import INPUTS, ITEMS
from shallower.paper.makers import MAKERS
from shallower.paper.values import read_values


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
