"""Costs: exact parameters of every depth, and the times of its own passes."""

import pytest
import torch

import tiny
from shallower.analysis import latency
from shallower.analysis.latency import batches_of_texts, measure_costs, random_batches
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import Compute
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)


def batches(batch_size, length=8):
    """One batch of tokens."""
    input_ids = torch.full((batch_size, length), 5)
    return [{"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}]


def random_costs(folder, batch_sizes):
    """Arguments of measure_costs for a model's folder."""
    config = read_json(folder / "config.json")
    return config, random_batches(config, batch_sizes, 8)


TASK = {"name": "tiny", "target": "classification", "labels": ["bad", "good"]}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_depth_has_its_exact_parameters(tmp_path, family):
    folder = tiny.make_model(tmp_path / "full", family, num_layers=3)
    costs = measure_costs(*random_costs(folder, [1, 2]), 2, CPU)
    assert [entry["depth"] for entry in costs] == [1, 2, 3]
    for entry in costs:
        real = tiny.make_model(tmp_path / str(entry["depth"]), family, num_layers=entry["depth"])
        assert entry["parameters"] == load_for_training(real, TASK, seed=1).count_parameters()
        assert entry["bytes"] == 4 * entry["parameters"]
        assert [(times["batch_size"], times["rounds"]) for times in entry["latency"]] == [(1, 2), (2, 2)]
        for times in entry["latency"]:
            assert 0 < times["low_ms"] <= times["median_ms"] <= times["high_ms"]


def test_a_model_that_answers_with_vectors_is_timed_without_a_head():
    config = tiny.make_config("bert", 2, tiny.make_tokenizer("bert")).to_dict()
    embedding = {"pooling": "mean", "normalize": True, "max_length": 8}
    models = latency._models({**config, "sentence_embedding": embedding}, [1, 2])
    assert {type(model).__name__ for model in models.values()} == {"BertModel"}
    (model,) = latency._models(config, [1]).values()
    assert type(model).__name__ == "BertForSequenceClassification"


def test_times_are_those_of_each_models_own_passes(monkeypatch):
    """By a clock that only the layers advance, by one millisecond each, a pass takes as long as the model is deep."""
    models = latency._models(tiny.make_config("bert", 5, tiny.make_tokenizer("bert")).to_dict(), [1, 2, 5])
    now, order, modes = [0.0], [], set()

    def tick(*_):
        now[0] += 0.001

    for depth, model in models.items():
        model.register_forward_pre_hook(lambda model, _, depth=depth: order.append(depth))
        model.register_forward_pre_hook(lambda model, _: modes.add((model.training, torch.is_inference_mode_enabled())))
        for layer in model.bert.encoder.layer:
            layer.register_forward_pre_hook(tick)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])
    times = latency.time_models(models, batches(2), 4, CPU)
    monkeypatch.undo()
    assert times == {depth: pytest.approx([depth] * 4) for depth in (1, 2, 5)}
    assert modes == {(False, True)}
    rounds = [order[start : start + 3] for start in range(0, len(order), 3)]
    assert len(rounds) == 4 + latency.WARM_UP_ROUNDS
    assert all(sorted(turn) == [1, 2, 5] for turn in rounds)
    assert len({tuple(turn) for turn in rounds}) > 1  # in random order


@pytest.mark.parametrize(
    ("milliseconds", "is_known"),
    [
        ([10.0] * 5, True),
        ([9.0, 10.0, 11.0, 10.0, 10.0], True),  # quartiles are 10 and 10
        ([9.0, 9.5, 10.0, 10.5, 11.0], False),  # 1.57 x 1 / sqrt(5) = 0.70, more than 4 % of 10
        ([9.95, 9.97, 10.0, 10.03, 10.05], True),  # 1.57 x 0.06 / sqrt(5) = 0.04
        ([9.0, 9.5, 10.0, 10.5, 11.0] * 3, False),  # 1.57 x 1 / sqrt(15) = 0.405
        ([9.0, 9.5, 10.0, 10.5, 11.0] * 4, True),  # 1.57 x 1 / sqrt(20) = 0.351
    ],
)
def test_a_median_is_known_by_its_interval(milliseconds, is_known):
    assert latency.is_known(milliseconds) is is_known


@pytest.mark.parametrize(("jitter", "rounds"), [(0.0, latency.LEAST_ROUNDS), (0.5, 9)])
def test_steady_times_take_fewer_rounds(monkeypatch, jitter, rounds):
    """By a clock that adds, or does not add, half a millisecond to every second pass."""
    models = latency._models(tiny.make_config("bert", 2, tiny.make_tokenizer("bert")).to_dict(), [2])
    now, passes = [0.0], [0]

    def tick(*_):
        passes[0] += 1
        now[0] += 0.001 * (1 + jitter * (passes[0] % 2))

    models[2].register_forward_pre_hook(tick)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])
    times = latency.time_models(models, batches(1), 9, CPU)
    monkeypatch.undo()
    assert len(times[2]) == rounds


def test_models_of_all_depths_share_their_weights():
    models = latency._models(tiny.make_config("bert", 3, tiny.make_tokenizer("bert")).to_dict(), [1, 2, 3])
    tensors = [dict(model.named_parameters()) for model in models.values()]
    for name, parameter in tensors[0].items():
        assert {other[name].data_ptr() for other in tensors} == {parameter.data_ptr()}, name


def test_sequences_longer_than_the_positions_are_refused():
    config = tiny.make_config("bert", 2, tiny.make_tokenizer("bert")).to_dict()
    with pytest.raises(UserError, match=r"measure\.sequence_length: 129 tokens, but the model has 128 positions"):
        random_batches(config, [1], 129)


def test_texts_of_a_task_are_timed_in_batches_padded_to_their_longest(tmp_path):
    """The same texts for each batch size, each once, in whole batches; few texts come again."""
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert"), 6)
    found = batches_of_texts(tokens, [1, 2, 8], 5)
    assert {size: len(of_size) for size, of_size in found.items()} == {1: 5, 2: 2, 8: 1}
    texts = [batch["input_ids"][0].tolist() for batch in found[1]]
    assert all(batch["attention_mask"].all() for batch in found[1])
    assert len({*map(tuple, texts)}) == 5
    for first, batch in zip((0, 2), found[2], strict=True):
        pair = [
            ids[mask.bool()].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ]
        assert pair == texts[first : first + 2]
        assert batch["input_ids"].shape[1] == max(map(len, pair))
    # Six texts fill a batch of eight: the first two come twice.
    eight = found[8][0]["input_ids"].tolist()
    assert len({*map(tuple, eight)}) == 6
    assert eight[6:] == eight[:2]


def test_the_time_of_several_batches_is_their_mean(monkeypatch):
    """By a clock that each pass advances by a millisecond for each token of its sequences."""
    models = latency._models(tiny.make_config("bert", 2, tiny.make_tokenizer("bert")).to_dict(), [1, 2])
    now = [0.0]
    for model in models.values():
        model.register_forward_pre_hook(lambda model, _, given: tick(given["input_ids"]), with_kwargs=True)

    def tick(input_ids):
        now[0] += 0.001 * input_ids.shape[1]

    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])
    times = latency.time_models(models, [*batches(2, 4), *batches(2, 8)], 3, CPU)
    monkeypatch.undo()
    assert times == {depth: pytest.approx([6] * 3) for depth in (1, 2)}
