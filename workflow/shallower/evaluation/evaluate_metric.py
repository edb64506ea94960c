"""The metric that scores every run, as a module of the `evaluate` package: scikit-learn and scipy inside.

It is loaded from this file, so that no metric is ever fetched from the network.
"""

import os
import sys
from pathlib import Path

import datasets
import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

# Importing `evaluate` imports its evaluators, and these all of transformers (and torch): 8 s in place of 2.
# They are optional there and of no use here, so transformers looks uninstalled while evaluate is imported.
_hide_transformers = "transformers" not in sys.modules
if _hide_transformers:
    sys.modules["transformers"] = None
try:
    import evaluate
finally:
    if _hide_transformers:
        del sys.modules["transformers"]


def load(target: str, directory: str | os.PathLike) -> evaluate.Metric:
    """This module as `evaluate` gives it: `.compute(predictions=, references=, metrics=[names])`.

    `target` is "classification" or "regression". `evaluate` copies the module into `directory` before it
    imports the copy: a folder for this process alone keeps parallel jobs out of each other's way.
    """
    evaluate.config.HF_MODULES_CACHE = Path(directory)
    return evaluate.load(str(Path(__file__).resolve()), target, cache_dir=str(directory), keep_in_memory=True)


def _correlation(function, references, predictions) -> float:
    """0.0, not NaN, where a side is constant and a correlation does not exist."""
    if np.ptp(references) == 0 or np.ptp(predictions) == 0:
        return 0.0
    return function(references, predictions).statistic


_FUNCTIONS = {
    "accuracy": sklearn_metrics.accuracy_score,
    "f1": lambda references, predictions: sklearn_metrics.f1_score(references, predictions, zero_division=0),
    "macro_f1": lambda references, predictions: sklearn_metrics.f1_score(
        references, predictions, average="macro", zero_division=0
    ),
    "matthews_correlation": sklearn_metrics.matthews_corrcoef,
    "pearson": lambda references, predictions: _correlation(stats.pearsonr, references, predictions),
    "spearmanr": lambda references, predictions: _correlation(stats.spearmanr, references, predictions),
}


class TaskMetric(evaluate.Metric):
    """Scores by name, as Hugging Face's `glue` metric computes them; `f1` takes label 1 as positive."""

    def _info(self) -> evaluate.MetricInfo:
        kind = "float64" if self.config_name == "regression" else "int64"
        return evaluate.MetricInfo(
            description="Scores of a text classification or text regression task.",
            citation="",
            inputs_description="predictions, references: class indices or values; metrics: names of scores",
            features=datasets.Features({name: datasets.Value(kind) for name in ("predictions", "references")}),
        )

    def _compute(self, predictions, references, metrics: list[str]) -> dict[str, float]:
        # Not `format="numpy"` above, which would round to single precision and so tie what differs.
        predictions, references = np.asarray(predictions), np.asarray(references)
        return {name: float(_FUNCTIONS[name](references, predictions)) for name in metrics}
