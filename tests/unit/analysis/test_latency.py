"""Costs: exact parameters of every depth, and times that make sense."""

import pytest
import torch

import tiny
from shallower.analysis import latency as cost
from shallower.analysis.latency import measure_costs
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import Compute

CPU = Compute("cpu", "fp32", 1)
TASK = {"name": "tiny", "target": "classification", "labels": ["bad", "good"]}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_depth_has_its_exact_parameters(tmp_path, family):
    folder = tiny.make_model(tmp_path / "full", family, num_layers=3)
    costs = measure_costs(read_json(folder / "config.json"), [1, 2], 8, 2, CPU)
    assert [entry["depth"] for entry in costs] == [1, 2, 3]
    for entry in costs:
        real = tiny.make_model(tmp_path / str(entry["depth"]), family, num_layers=entry["depth"])
        assert entry["parameters"] == load_for_training(real, TASK, seed=1).count_parameters()
        assert entry["bytes"] == 4 * entry["parameters"]
        assert [latency["batch_size"] for latency in entry["latency"]] == [1, 2]
        for latency in entry["latency"]:
            assert 0 < latency["low_ms"] <= latency["median_ms"] <= latency["high_ms"]


def test_less_depth_takes_less_time(tmp_path):
    config = {**tiny.make_config("bert", 8, tiny.make_tokenizer("bert")).to_dict(), "hidden_size": 128}
    costs = measure_costs(config, [4], 32, 7, CPU)
    times = [entry["latency"][0]["median_ms"] for entry in costs]
    assert times[7] > 2 * times[0]


def test_models_of_all_depths_share_their_weights_and_run_in_turn(monkeypatch):
    config = tiny.make_config("bert", 3, tiny.make_tokenizer("bert")).to_dict()
    order = []
    models = cost._models(config, [1, 2, 3])
    for depth, model in models.items():
        model.register_forward_pre_hook(lambda *_, depth=depth: order.append(depth))
    times = cost.time_models(models, 2, 8, 4, CPU)
    rounds = [order[start : start + 3] for start in range(0, len(order), 3)]
    assert len(rounds) == 4 + cost.WARM_UP_ROUNDS
    assert all(sorted(turn) == [1, 2, 3] for turn in rounds)
    assert {depth: len(values) for depth, values in times.items()} == {1: 4, 2: 4, 3: 4}
    storage = {id(model.bert.embeddings.word_embeddings.weight.untyped_storage()) for model in models.values()}
    pointers = {model.bert.embeddings.word_embeddings.weight.data_ptr() for model in models.values()}
    assert len(pointers) == 1
    assert len(storage) >= 1
    assert all(not torch.is_grad_enabled() or not model.training for model in models.values())


def test_sequences_longer_than_the_positions_are_refused():
    config = tiny.make_config("bert", 2, tiny.make_tokenizer("bert")).to_dict()
    with pytest.raises(UserError, match=r"measure\.sequence_length: 129 tokens, but the model has 128 positions"):
        measure_costs(config, [1], 129, 3, CPU)
