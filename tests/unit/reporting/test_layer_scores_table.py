"""scores.csv: every layer's score, found through the study."""

import csv
import io

import pytest

from shallower.core.errors import UserError
from shallower.core.files import write_json
from shallower.reporting.layer_scores_table import COLUMNS, collect_scores, scores_as_csv

PAIRS = [("m", "rte"), ("other", "rte")]
SCORES = {"m": [0.9, 0.95], "other": [2e-5, 3e-5, 1e-5]}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = {model: f"results/s/{model}/rte/scores/contribution/pretrained.json" for model in SCORES}
    for model, path in paths.items():
        write_json(path, {"method": "contribution", "scores": SCORES[model]})
    return paths


def test_one_row_a_model_task_and_layer(files):
    rows = collect_scores("s", PAIRS, "contribution")
    assert [row["value"] for row in rows] == [0.9, 0.95, 2e-5, 3e-5, 1e-5]
    assert [row["layer"] for row in rows] == [0, 1, 0, 1, 2]
    place = {"study": "s", "model": "other", "task": "rte", "method": "contribution"}
    assert rows[-1] == place | {"layer": 2, "value": 1e-5}


def test_scores_of_another_method_are_refused(files):
    write_json(files["m"], {"method": "parameter-variance", "scores": [1.0]})
    with pytest.raises(UserError, match=r"pretrained\.json: holds 'parameter-variance' scores"):
        collect_scores("s", PAIRS, "contribution")


def test_a_missing_file_is_named(files):
    with pytest.raises(UserError, match=r"s/m/sst2/scores/contribution/pretrained\.json: file not found"):
        collect_scores("s", [("m", "sst2")], "contribution")


@pytest.mark.parametrize("pairs", [PAIRS, []])
def test_the_table_has_the_same_columns_with_and_without_rows(files, pairs):
    rows = list(csv.DictReader(io.StringIO(scores_as_csv(collect_scores("s", pairs, "contribution")))))
    assert scores_as_csv([]).strip() == ",".join(COLUMNS)
    assert [float(row["value"]) for row in rows] == [score for model, _ in pairs for score in SCORES[model]]
