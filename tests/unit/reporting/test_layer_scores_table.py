"""scores.csv: every layer's score, told apart by where its file lies."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.core.files import write_json
from shallower.core.tables import read_table
from shallower.reporting.layer_scores_table import COLUMNS, collect_scores

SCRIPT = Path(__file__).parents[3] / "workflow" / "scripts" / "collect_scores.py"
FILES = {
    "results/s/m/rte/scores/contribution/pretrained.json": [0.9, 0.95],
    "results/s/m/rte/scores/contribution/finetuned-seed12.json": [0.8, 0.7],
    "results/s/other/rte/scores/parameter-variance/pretrained.json": [2e-5, 3e-5, 1e-5],
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, scores in FILES.items():
        write_json(path, {"method": Path(path).parent.name, "scores": scores})
    return list(FILES)


def test_one_row_a_file_and_layer(files, tmp_path):
    rows = collect_scores(files)
    assert [row["value"] for row in rows] == [0.9, 0.95, 0.8, 0.7, 2e-5, 3e-5, 1e-5]
    assert [row["layer"] for row in rows] == [0, 1, 0, 1, 0, 1, 2]
    assert [row["scored"] for row in rows] == ["pretrained"] * 2 + ["finetuned"] * 2 + ["pretrained"] * 3
    assert [row["seed"] for row in rows] == [None, None, 12, 12, None, None, None]
    place = {"study": "s", "model": "other", "task": "rte", "method": "parameter-variance", "seed": None}
    assert rows[-1] == place | {"scored": "pretrained", "layer": 2, "value": 1e-5}
    assert collect_scores([tmp_path / path for path in files]) == rows


@pytest.mark.parametrize(
    "path",
    [
        "results/s/m/rte/scores/pretrained.json",
        "results/s/m/rte/scores/contribution/finetuned.json",
        "m/rte/scores/contribution/pretrained.json",
    ],
)
def test_a_file_in_another_place_is_refused(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    write_json(path, {"method": "contribution", "scores": [1.0]})
    with pytest.raises(UserError, match="not where scores belong"):
        collect_scores([path])


def test_scores_of_another_method_are_refused(files):
    write_json(files[0], {"method": "parameter-variance", "scores": [1.0]})
    with pytest.raises(UserError, match=r"pretrained\.json: holds 'parameter-variance' scores"):
        collect_scores(files)


@pytest.mark.parametrize("given", [list(FILES), []])
def test_the_script_writes_the_table(files, monkeypatch, given):
    monkeypatch.setattr(sys, "argv", ["", "--scores", *given, "--output", "out/scores.csv"])
    spec = importlib.util.spec_from_file_location("__main__", SCRIPT)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    table = read_table("out/scores.csv")
    assert list(table.columns) == COLUMNS
    rows = collect_scores(given)
    assert table["value"].tolist() == [row["value"] for row in rows]
    assert [None if np.isnan(seed) else seed for seed in table["seed"]] == [row["seed"] for row in rows]
