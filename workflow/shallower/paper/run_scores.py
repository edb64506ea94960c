"""The scores of some of a study's runs, from the files in their folders."""

from pathlib import Path

import pandas as pd

from shallower.core.runs import Run
from shallower.evaluation.estimates import Scores
from shallower.evaluation.resamples import FILE as RESAMPLES
from shallower.evaluation.resamples import read_resamples
from shallower.reporting.results import RUN_COLUMNS, collect_results


def runs_of(plan: pd.DataFrame) -> list[Run]:
    """The runs of runs.csv, which `read_table` has read."""
    return [Run(**row) for row in plan[RUN_COLUMNS].to_dict("records")]


def read_scores(plan: pd.DataFrame) -> Scores:
    """The primary scores of runs, rows of runs.csv, from the files in their folders.

    Raises UserError as `collect_results` does, and when resamples are missing or damaged.
    """
    results = collect_results(plan)
    resamples = {
        directory: read_resamples(Path(directory, RESAMPLES)).astype("float64") for directory in plan["directory"]
    }
    # Without any run the column has no type.
    return Scores(results[results["primary"].astype(bool)], resamples)
