"""The scores of some of a study's runs, from the files in their folders."""

from pathlib import Path

import pandas as pd

from shallower.core.files import read_json
from shallower.core.runs import Run
from shallower.evaluation.estimates import Scores
from shallower.evaluation.resamples import FILE as RESAMPLES
from shallower.evaluation.resamples import read_resamples
from shallower.models.folder import MANIFEST
from shallower.reporting.results import RUN_COLUMNS, collect_results


def runs_of(plan: pd.DataFrame) -> list[Run]:
    """The runs of runs.csv, which `read_table` has read."""
    return [Run(**row) for row in plan[RUN_COLUMNS].to_dict("records")]


def read_scores(plan: pd.DataFrame, with_pace: bool = False) -> Scores:
    """The primary scores of runs, rows of runs.csv, from the files in their folders.

    `with_pace` adds the column `seconds_per_token`, of the training; NaN for models that were not trained.

    Raises UserError as `collect_results` does, and when resamples are missing or damaged.
    """
    results = collect_results(plan)
    resamples = {
        directory: read_resamples(Path(directory, RESAMPLES)).astype("float64") for directory in plan["directory"]
    }
    if with_pace:
        tokens = results["directory"].map(lambda directory: read_json(Path(directory, MANIFEST))["tokens"])
        results["seconds_per_token"] = results["train_seconds"] / tokens.where(tokens > 0)
    # Without any run the column has no type.
    return Scores(results[results["primary"].astype(bool)], resamples)
