"""Make one of the paper's tables or figures from a study: its results in, a CSV of ours beside the paper's out."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from shallower.core.cli import json_argument, run_step
from shallower.core.errors import UserError
from shallower.core.tables import read_table, write_table
from shallower.evaluation.estimates import Scores
from shallower.paper import by_depth as layers
from shallower.paper import score_tables as scores
from shallower.paper import table_4 as halves
from shallower.paper.comparison import Comparison
from shallower.paper.values import read_values


@dataclass(frozen=True)
class Sources:
    """The study's files, each read when an item needs it."""

    arguments: argparse.Namespace

    def table(self, name: str) -> pd.DataFrame:
        """One of the study's CSV files."""
        return read_table(self._path(name))

    @cached_property
    def runs(self) -> Scores:
        """Scores of all runs."""
        return Scores.read(self._path("results"), self._path("resamples"))

    def _path(self, name: str) -> Path:
        if (path := getattr(self.arguments, name)) is None:
            raise UserError(f"{self.arguments.item} is made from --{name}; name the file")
        return path


ITEMS: dict[str, Callable[[Comparison, Sources], pd.DataFrame]] = {
    "table-2": lambda comparison, study: scores.table_2(comparison, study.runs),
    "table-3": lambda comparison, study: scores.table_3(comparison, study.runs, study.table("summary")),
    "table-4": lambda comparison, study: halves.table_4(comparison, study.runs),
    "table-5": lambda comparison, study: scores.table_5(comparison, study.runs),
    "table-6": lambda comparison, study: scores.table_6(comparison, study.runs),
    "table-7": lambda comparison, study: scores.table_7(comparison, study.runs),
    "gradual": lambda comparison, study: scores.gradual(comparison, study.runs),
    "figure-2": lambda comparison, study: scores.figure_2(comparison, study.runs),
    "preprint-figure-3": lambda comparison, study: scores.preprint_figure_3(comparison, study.runs),
    "figure-3": lambda comparison, study: layers.figure_3(comparison, study.table("states")),
    "preprint-figure-5": lambda comparison, study: layers.preprint_figure_5(comparison, study.table("states")),
    "contribution": lambda comparison, study: layers.contribution(comparison, study.table("scores")),
}


def main(arguments: argparse.Namespace) -> None:
    settings = arguments.settings
    comparison = Comparison(settings["models"], settings["tasks"], settings["confidence"], read_values())
    write_table(arguments.output, ITEMS[arguments.item](comparison, Sources(arguments)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--item", choices=ITEMS, required=True)
    parser.add_argument("--results", type=Path, help="results.csv, for all items of scores")
    parser.add_argument("--resamples", type=Path, help="resamples.parquet, for all items of scores")
    parser.add_argument("--summary", type=Path, help="summary.csv, for table-3")
    parser.add_argument("--states", type=Path, help="states.csv, for figure-3 and preprint-figure-5")
    parser.add_argument("--scores", type=Path, help="scores.csv, for contribution")
    parser.add_argument("--settings", type=json_argument, required=True, help="confidence, models and tasks, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="CSV to write")
    run_step(parser, main)
