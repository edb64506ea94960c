"""Serving: rounds that treat all variants alike, and the statistics of what they show."""

import random
from collections import Counter

import numpy as np
import pytest
from test_processes import FAKE

from shallower.core.errors import UserError
from shallower.core.model_classes import SEQUENCE_CLASSIFICATION
from shallower.serving import measure
from shallower.serving.measure import Turn, draw_batches, measure_serving, row_of, run_rounds
from shallower.serving.processes import ServingProcess
from shallower.serving.served_models import ServedModel

TEXTS = [f"text {number}" for number in range(10)]


class FakeServer:
    """Answers as fast as a machine whose speed changes from round to round, `times` as fast as another."""

    def __init__(self, name, times, calls):
        self.name, self.times, self.calls = name, times, calls

    def answer(self, batches, threads):
        assert threads == 1
        self.calls.append((self.name, batches))
        slowness = 1 + len({str(batches) for _, batches in self.calls}) % 3
        return {"seconds": [slowness * 0.01 / self.times] * len(batches), "answered": 99, "peak_memory_bytes": 7}


def rounds_of(calls, servers):
    return [calls[start : start + servers] for start in range(0, len(calls), servers)]


def test_every_round_has_all_variants_in_random_order_on_the_same_texts():
    calls = []
    servers = {name: FakeServer(name, 1, calls) for name in "abc"}
    turns = run_rounds(servers, TEXTS, 2, 6, 4, random.Random(0), {name: {} for name in servers})
    assert {name: len(of_server) for name, of_server in turns.items()} == dict.fromkeys("abc", 6)
    rounds = rounds_of(calls, 3)
    assert len(rounds) == 6 + measure.WARM_UP_ROUNDS
    for of_round in rounds:
        assert sorted(name for name, _ in of_round) == ["a", "b", "c"]
        assert all(batches == of_round[0][1] for _, batches in of_round)
        assert [len(batch) for batch in of_round[0][1]] == [2, 2]
    assert len({tuple(name for name, _ in of_round) for of_round in rounds}) > 1
    assert len({str(of_round[0][1]) for of_round in rounds}) == len(rounds)  # other texts in each round


def test_meters_count_a_variants_own_turns():
    joules = iter([100.0, 2.0, 100.0, 3.0, 100.0, 5.0])
    calls = []
    turns = run_rounds(
        {"a": FakeServer("a", 1, calls)}, TEXTS, 1, 2, 1, random.Random(0), {"a": {"processor": lambda: next(joules)}}
    )
    # The first of each pair is what others used; the first round is a warm-up.
    assert [turn.joules for turn in turns["a"]] == [{"processor": 3.0}, {"processor": 5.0}]


def test_batches_are_whole_and_texts_return_when_all_have_come():
    draw = np.random.default_rng(0)
    batches = draw_batches(TEXTS, 4, 20, draw)
    assert [len(batch) for batch in batches] == [4] * 5
    assert set(Counter(text for batch in batches for text in batch).values()) == {2}
    assert [len(batch) for batch in draw_batches(TEXTS, 32, 1, draw)] == [32]
    few = [text for batch in draw_batches(TEXTS, 3, 9, draw) for text in batch]
    assert len(set(few)) == 9
    assert few != sorted(few)


def turn(*seconds, joules=None, idle=0.0):
    report = {"peak_memory_bytes": 5, "idle_cpu_seconds": idle, "idle_wall_seconds": 2.0}
    return Turn(seconds, 25, joules or {}, report)


def test_ratios_are_paired_by_round():
    """The machine is up to ten times slower in some rounds, and the variant twice as fast in each."""
    speeds = [1.0, 10.0, 3.0, 1.0, 7.0]
    full = [turn(0.2 * speed, 0.4 * speed) for speed in speeds]
    half = [turn(0.1 * speed, 0.2 * speed, idle=0.5) for speed in speeds]
    row = row_of(half, full, 4)
    assert row["speedups"] == pytest.approx([2.0] * 5)
    # 8 texts in 0.3, 3, 0.9, 0.3 and 2.1 seconds.
    assert row["texts_per_second"]["median"] == pytest.approx(8 / 0.9, abs=0.01)
    # 100, 200, 1000, 2000, 300, 600, 100, 200, 700 and 1400 ms.
    assert row["latency_ms"]["median"] == pytest.approx(450)
    assert row["idle_cpu_share"] == pytest.approx(0.25)
    assert row["processor_joules_per_1000_texts"] is None
    assert row_of(full, full, 4)["speedups"] == [1.0] * 5


def test_joules_are_for_all_texts_that_were_answered():
    turns = [turn(1.0, joules={"processor": 3.0}), turn(1.0, joules={"processor": 2.0})]
    # 5 J for two turns of 25 texts each.
    assert row_of(turns, turns, 1)["processor_joules_per_1000_texts"] == pytest.approx(100)
    assert row_of(turns, turns, 1)["gpu_joules_per_1000_texts"] is None


def fake_variants(tmp_path, monkeypatch, **seconds):
    """Variants of which each takes so many seconds a batch, served by processes."""
    monkeypatch.setattr(
        measure, "ServingProcess", lambda name, settings, most: ServingProcess(name, settings, most, FAKE)
    )
    monkeypatch.setattr(
        measure,
        "server_settings",
        lambda variant, threads, example: {
            "runtime": variant.runtime,
            "path": seconds[variant.name],
            "device": "cpu",
            "threads": threads,
            "example": example,
            "model_class": SEQUENCE_CLASSIFICATION,
        },
    )
    monkeypatch.setattr(measure, "size_bytes", lambda variant: 3)
    return [ServedModel(name, "torch", tmp_path, tmp_path / "tokenizer.json", 16) for name in seconds]


def test_processes_of_known_speed(tmp_path, monkeypatch):
    variants = fake_variants(tmp_path, monkeypatch, full="0.1", fast="0.01")
    record = measure_serving(variants, TEXTS, [2, 1], [1], repeats=3, texts_measured=2, starts=2)
    assert [(row["variant"], row["threads"], row["batch_size"]) for row in record["rows"]] == [
        ("full", 1, 1),
        ("fast", 1, 1),
        ("full", 1, 2),
        ("fast", 1, 2),
    ]
    for row in record["rows"]:
        if row["variant"] == "fast":
            # A sleep takes longer than asked for on a busy machine, but never less.
            assert len(row["speedups"]) == 3
            assert min(row["speedups"]) > 2
            assert row["latency_ms"]["low"] >= 10
        else:
            assert row["latency_ms"]["low"] >= 100
            assert row["speedups"] == [1, 1, 1]
        assert row["idle_cpu_share"] < 0.2
    assert [entry["starts"] for entry in record["variants"]] == [2, 2]
    assert record["variants"][0]["load_seconds"]["low"] >= 0.1
    assert record["machine"]["cores"] >= 1


def test_one_start_is_for_all_numbers_of_threads(tmp_path, monkeypatch):
    variants = fake_variants(tmp_path, monkeypatch, full="0.1", fast="0.01")
    record = measure_serving(variants, TEXTS, [1], [1, 2], repeats=3, texts_measured=2, starts=1)
    assert [(row["variant"], row["threads"]) for row in record["rows"]] == [
        ("full", 1),
        ("fast", 1),
        ("full", 2),
        ("fast", 2),
    ]
    assert record["rows"][0]["latency_ms"]["low"] >= 100
    assert 50 <= record["rows"][2]["latency_ms"]["low"] < 100
    assert [entry["starts"] for entry in record["variants"]] == [1, 1]


@pytest.mark.parametrize("change", [{"repeats": 2}, {"threads": []}, {"batch_sizes": [0]}, {"texts": []}])
def test_too_little_to_measure_is_refused_before_anything_starts(tmp_path, monkeypatch, change):
    variants = fake_variants(tmp_path, monkeypatch, full="0")
    asked = {"texts": TEXTS, "batch_sizes": [1], "threads": [1], "repeats": 3, "texts_measured": 1} | change
    monkeypatch.setattr(measure, "ServingProcess", None)
    with pytest.raises(UserError):
        measure_serving(variants, **asked)
