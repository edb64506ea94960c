"""The benchmark of training steps: its models, its measurements, and its table with goals."""

import shutil
from argparse import Namespace

import pandas as pd
import pytest

import compare_steps
import tiny
from compare_steps import block_seconds, compare
from contest import RANDOM_MODELS, Job, make_random_model
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.devices import choose_compute
from shallower.sources.tasks import fetch_task
from write_readme import steps_table


@pytest.fixture
def tiny_model(tmp_path):
    return tiny.make_model(tmp_path / "tiny model", "bert", 2)


@pytest.fixture
def tiny_task(tmp_path):
    fetch_task(tiny.make_task_files(tmp_path, 21, 8), tmp_path / "task")
    return tmp_path / "task"


def test_blocks_of_training_steps_are_timed(tiny_model, tiny_task, tmp_path):
    job = Job("ours", tiny_model, tiny_task, tmp_path, 1, 8, 3, 1e-4, 32)
    seconds = block_seconds(job, choose_compute("cpu", "fp32", 1), steps=2, blocks=2)
    assert len(seconds) == 2
    assert all(second > 0 for second in seconds)


@pytest.mark.parametrize("family", [name for name in RANDOM_MODELS if name != "bert-base"])
def test_a_model_of_any_family_has_the_size_of_the_other_and_trains(
    family, tiny_model, tiny_task, tmp_path, monkeypatch
):
    monkeypatch.setattr(compare_steps, "fetch_glue", lambda *names: shutil.copytree(tiny_task, names[-1]))
    settings = {"model_dir": tiny_model, "random_weights": [family], "tasks": ["sst2"], "glue": tmp_path}
    settings |= {"batch_sizes": [4], "contestants": ["ours"], "steps": 1, "blocks": 1, "threads": 1, "device": "cpu"}
    ((row,),) = (table.to_dict("records") for table in compare(Namespace(**settings), tmp_path / "benchmark"))
    assert (row["model"], row["batch_size"], row["contestant"]) == (family, 4, "ours")
    assert 0 < row["lowest"] <= row["milliseconds"] <= row["highest"]
    config = read_json(tmp_path / "benchmark" / family / "config.json")
    assert config["model_type"] == family
    assert 32 in (config.get("hidden_size"), config.get("dim"))
    assert 2 in (config.get("num_hidden_layers"), config.get("n_layers"))
    assert 64 in (config.get("intermediate_size"), config.get("hidden_dim"))


def test_an_unknown_model_is_refused(tiny_model, tmp_path):
    with pytest.raises(UserError, match="unknown random model 'gpt5'; there are bert-base, bert, roberta"):
        make_random_model("gpt5", tiny_model, tmp_path / "made")


def rows_of(milliseconds):
    common = {"task": "sst2", "batch_size": 32, "lowest": 1.0, "highest": 200.0, "blocks": 3, "steps": 10, "threads": 1}
    common |= {"device": "cpu", "machine": "m", "compute_device": "cpu", "torch": "2", "transformers": "5"}
    common |= {"python": "3", "commit": "c", "date": "d"}
    return pd.DataFrame(
        common | {"model": model, "contestant": contestant, "milliseconds": taken}
        for (model, contestant), taken in milliseconds.items()
    )


@pytest.mark.parametrize(
    ("roberta", "mpnet", "packed", "others"),
    [(105.0, 50.0, "met", "met"), (120.0, 85.0, "missed", "missed")],
)
def test_families_are_compared_with_bert_and_with_the_tuned_trainer(roberta, mpnet, packed, others):
    found = {("bert", "ours"): 100.0, ("roberta", "ours"): roberta, ("bert", "tuned"): 150.0, ("bert", "stock"): 640.0}
    found |= {("mpnet", "ours"): mpnet, ("mpnet", "tuned"): 80.0}
    table = steps_table(rows_of(found))
    line = (
        "| bert | sst2 | 32 | 640.0 (1.0 to 200.0) | 150.0 (1.0 to 200.0) | 100.0 (1.0 to 200.0) | 320 | 1.50 | 6.40 |"
    )
    assert line in table
    assert (
        f"- {packed}: families of the packed encoder take at most 1.1 times as long as BERT: {roberta / 100:.2f}"
        in table
    )
    assert f"- {others}: families that transformers computes at least as fast as by the tuned Trainer" in table
    assert f"times: mpnet {80 / mpnet:.2f}" in table
