"""states.csv: probes and similarities of fine-tuned models, one row for each model, task, seed and depth.

A depth is the number of layers that a text has passed, 0 for the embedding output.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.runs import BASELINE
from shallower.evaluation.metrics import POSITIVE, Metric, chance_score, metric_of_class, score
from shallower.reporting.missing import missing_files_error

COLUMNS = ["study", "model", "task", "seed", "quantity", "depth", "metric", "value", "chance"]


def collect_states(
    runs: pd.DataFrame,
    metrics: Mapping[str, Sequence[str]],
    positive: Mapping[str, int] | None = None,
    known_missing: Container[str] = (),
) -> pd.DataFrame:
    """Rows of states.csv from `probes.parquet` and `similarity.json` of each baseline, in the order of the plan.

    `metrics` are the names of each task's metrics; probes are scored by the first. `positive` are the indices of the
    classes that metrics of one class are of, by task, where they are not 1. The quantity "probe" is a score
    (with that of a constant answer as its `chance`), "similarity" a mean cosine (without chance).
    Files that are `known_missing` are left out. Raises UserError naming what else is missing or damaged.
    """
    baselines = runs[runs["origin"] == BASELINE].to_dict("records")
    files = [
        (run, path)
        for run in baselines
        for name in ("probes.parquet", "similarity.json")
        if str(path := Path(run["directory"], name)) not in known_missing
    ]
    if missing := [path for _, path in files if not path.is_file()]:
        problem = f"{len(missing)} files of fine-tuned models are missing"
        raise missing_files_error(problem, missing, "make them first")
    rows = [
        {**{key: run[key] for key in ("study", "model", "task", "seed")}, **row}
        for run, path in files
        for row in (
            _probe_rows(path, metric_of_class(metrics[run["task"]][0], (positive or {}).get(run["task"], POSITIVE)))
            if path.suffix == ".parquet"
            else _similarity_rows(path)
        )
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _probe_rows(path: Path, metric: Metric) -> Iterator[dict[str, Any]]:
    try:
        names = parquet.read_schema(path).names
        columns = ["depth", "id", "label", "prediction", *({"group"} & {*names})]
        table = parquet.read_table(path, columns=columns).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a file of predictions ({error}); delete it and run again") from None
    if table.empty or table.groupby("depth").size().nunique() != 1:
        raise UserError(f"{path}: depths differ in their number of examples; delete the file and run again")
    for depth, rows in table.groupby("depth"):
        labels, predictions = (np.stack(rows[name].to_numpy()) for name in ("label", "prediction"))
        groups = rows["group"].to_numpy() if "group" in rows else None
        yield {
            "quantity": "probe",
            "depth": depth,
            "metric": metric.name,
            "value": score(metric, labels, predictions, groups),
            "chance": chance_score(metric, labels, groups),
        }


def _similarity_rows(path: Path) -> Iterator[dict[str, Any]]:
    for depth, cosine in enumerate(read_json(path)["cosine"]):
        yield {"quantity": "similarity", "depth": depth, "metric": "cosine", "value": cosine}
