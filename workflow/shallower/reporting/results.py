"""results.csv: the scores of every run of a study, one row for each run and metric."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.runs import ARM_COLUMNS
from shallower.reporting.missing import missing_files_error

RUN_COLUMNS = ["study", *ARM_COLUMNS, "seed"]
COLUMNS = [
    *("study", *ARM_COLUMNS, "num_layers", "num_dropped", "kept_layers", "seed"),
    *("target", "metric", "positive_class", "primary", "value", "low", "high", "chance", "num_examples"),
    *("parameters", "model_bytes", "train_seconds", "collapsed", "directory"),
]


def collect_results(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of results.csv, in the order of the plan, from `metrics.json` in each run's directory.

    Raises UserError naming the runs without one, or a metrics.json of another run.
    """
    missing = [path for path in map(_metrics_path, runs["directory"]) if not path.is_file()]
    if missing:
        raise missing_files_error(f"{len(missing)} of {len(runs)} runs have no metrics yet", missing, "run them first")
    return pd.DataFrame(_rows(runs.to_dict("records")), columns=COLUMNS)


def _metrics_path(directory: str) -> Path:
    return Path(directory, "metrics.json")


def _rows(runs: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for run in runs:
        path = _metrics_path(run["directory"])
        record = read_json(path)
        strange = [key for key in RUN_COLUMNS if str(record.get(key)) != str(run[key])]
        if strange:
            key = strange[0]
            raise UserError(f"{path}: is of {key} {record.get(key)!r}, not {run[key]!r}; delete the file and run again")
        for metric, scores in record["metrics"].items():
            yield {
                **run,
                **{key: record[key] for key in ("num_layers", "num_dropped", "target", "num_examples", "collapsed")},
                **{key: record[key] for key in ("parameters", "model_bytes", "train_seconds")},
                "kept_layers": " ".join(map(str, record["kept_layers"])),
                "metric": metric,
                "primary": metric == record["primary"],
                **scores,
            }
