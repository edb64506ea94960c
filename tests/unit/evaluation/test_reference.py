"""Scores by the `evaluate` package: those of our own functions, for whole studies, without network or home."""

import subprocess
import sys

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.evaluation.metrics import metric_names, metric_of_class, score
from shallower.evaluation.reference import checked_scores, reference_scores
from synthetic_runs import SMALL, write_study


@pytest.mark.parametrize("target", ["classification", "regression"])
def test_scores_are_those_of_our_functions(target):
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 100) if target == "classification" else random.normal(size=100)
    answers = np.where(random.random(100) < 0.7, labels, random.permutation(labels))
    names = metric_names(target)
    for positive in (0, 1):
        expected = {name: score(metric_of_class(name, positive), labels, answers) for name in names}
        assert reference_scores(target, labels, answers, names, positive) == pytest.approx(expected, abs=1e-12)


def test_constants_score_zero(recwarn):
    labels, names = np.array([0.5, 1.5, 2.5]), ["pearson", "spearmanr"]
    assert reference_scores("regression", labels, np.full(3, 1.0), names) == {"pearson": 0.0, "spearmanr": 0.0}


def test_values_are_not_rounded_to_single_precision():
    labels = np.array([1.0, 2.0, 3.0, 4.0])
    answers = 1.0 + np.array([3.0, 2.0, 1.0, 0.0]) * 1e-12  # the same numbers in single precision
    assert reference_scores("regression", labels, answers, ["spearmanr"]) == {"spearmanr": pytest.approx(-1.0)}


def test_runs_are_scored_and_a_wrong_metrics_file_is_named(tmp_path):
    folder = write_study(tmp_path, SMALL)
    runs = sorted(path.parent for path in folder.rglob("predictions.parquet"))[:3]
    scores = checked_scores(str(run) for run in runs)
    for run in runs:
        record = read_json(run / "metrics.json")
        stored = {name: values["value"] for name, values in record["metrics"].items()}
        assert scores[str(run)] == pytest.approx(stored, abs=1e-12)
    assert "positive_class" not in record["metrics"]["accuracy"]
    primary = record["primary"]
    record["metrics"][primary]["value"] += 1e-6
    write_json(runs[-1] / "metrics.json", record)
    with pytest.raises(UserError, match=rf"metrics\.json: {primary} is .* by the evaluate package"):
        checked_scores([str(runs[-1])])


def test_scoring_needs_neither_network_nor_home_nor_locks(tmp_path):
    program = """
import errno, fcntl, socket
def refuse(*arguments, **settings):
    raise AssertionError("no network")
def flock(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")
socket.socket.connect, fcntl.flock = refuse, flock
from shallower.evaluation.reference import reference_scores
print(reference_scores("classification", [0, 0], [0, 1], ["accuracy"]))
"""
    environment = {"PYTHONPATH": "workflow", "HOME": str(tmp_path / "home"), "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "{'accuracy': 0.5}" in done.stdout
    assert not (tmp_path / "home").exists()


def test_names_and_titles_need_none_of_the_large_libraries():
    program = (
        "import sys; from shallower.evaluation.metrics import METRICS; from shallower.task_kinds.registry import *;"
        "print([name for name in ('scipy', 'sklearn', 'torch', 'transformers', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": "workflow"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
