"""The scores of a study by Hugging Face's `evaluate`, from scikit-learn and scipy.

They are what results.csv holds, and a check of the scores in each run's metrics.json, which come from the functions
of `shallower.evaluation.metrics`. Importing `evaluate` takes many times longer than scoring a run, so that one process
scores all runs of a study. The metric is the class below; nothing is fetched from the network.
"""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import evaluate
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.parquet import arrow_type
from shallower.evaluation.metrics import POSITIVE, GroupScore, Subject, metric_for, subject_of
from shallower.evaluation.predictions import predictions_of, read_predictions
from shallower.task_kinds.registry import task_kind

# Largest difference of two scores that rounding explains.
TOLERANCE = 1e-9


class ReferenceMetric(evaluate.Metric):  # type: ignore[misc]
    """The reference scores of `METRICS` by name; `config_name` is the kind of task."""

    def _info(self) -> evaluate.MetricInfo:
        kind = task_kind(self.config_name)
        label = datasets.Features.from_arrow_schema(pa.schema({"label": arrow_type(kind.row_type)}))["label"]
        return evaluate.MetricInfo(
            description="Scores of text classification, text regression and other tasks on text.",
            citation="",
            inputs_description="predictions, references: class indices or values; metrics: names of scores",
            features=datasets.Features(dict.fromkeys(("predictions", "references"), label)),
        )

    def _compute(
        self,
        predictions: list[float],
        references: list[float],
        metrics: Iterable[str],
        subject: Subject,
        groups: NDArray[np.int64] | None,
    ) -> dict[str, float]:
        # Not `format="numpy"` above, which would round to single precision and so tie what differs.
        labels, answers = np.asarray(references), np.asarray(predictions)
        chosen = {name: metric_for(name, self.config_name, subject) for name in metrics}
        return {
            name: metric.reference(labels, answers, *((groups,) if isinstance(metric.function, GroupScore) else ()))
            for name, metric in chosen.items()
        }


def reference_scores(
    target: str,
    labels: NDArray[Any],
    predictions: NDArray[Any],
    metrics: Iterable[str],
    subject: Subject = POSITIVE,
    groups: NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """Scores by name of predictions [n] against labels [n], computed through `evaluate`.

    `subject` is what metrics of one class or of entities are of, `groups` [n] say which rows belong together.
    """
    with TemporaryDirectory() as cache:
        metric = ReferenceMetric(config_name=target, keep_in_memory=True, cache_dir=cache)
        return metric.compute(
            predictions=predictions, references=labels, metrics=list(metrics), subject=subject, groups=groups
        )


def checked_scores(directories: Iterable[str]) -> dict[str, dict[str, float]]:
    """Score the predictions of runs again with `evaluate`; returns the scores by directory and metric.

    Raises UserError, naming the run, when a score differs from that in its metrics.json by more than rounding.
    """
    found = {}
    for directory in directories:
        path = Path(directory, "metrics.json")
        record = read_json(path)
        predictions = read_predictions(Path(directory, "predictions.parquet"), record["target"])
        answers = predictions_of(predictions.logits, record["target"], record)
        values = reference_scores(
            record["target"], predictions.labels, answers, record["metrics"], subject_of(record), predictions.groups
        )
        for name, value in values.items():
            if not abs(value - record["metrics"][name]["value"]) <= TOLERANCE:
                raise UserError(
                    f"{path}: {name} is {record['metrics'][name]['value']}, but {value} by the evaluate package; "
                    "delete the file and run again"
                )
        found[directory] = values
    return found
