"""Estimates: values, intervals and paired differences."""

import numpy as np
import pandas as pd
import pytest

from shallower.core.errors import UserError
from shallower.core.variants import Variant
from shallower.evaluation.estimates import Estimate, Scores, mean, over_seeds, percentage


def estimate(value, samples, seeds=2):
    return Estimate(value, np.asarray(samples, dtype=float), seeds)


def test_differences_are_paired():
    hard = np.random.default_rng(0).normal(size=1000)
    ours, theirs = estimate(80, 80 + hard), estimate(82, 82 + hard, seeds=3)
    difference = ours - theirs
    assert difference.value == -2
    assert difference.seeds == 2
    assert difference.interval(0.95) == pytest.approx((-2, -2))


def test_the_mean_of_tasks_keeps_samples_together():
    found = mean([estimate(1, [0, 1, 2]), estimate(3, [3, 3, 3], seeds=1)])
    assert found.value == 2
    assert found.samples.tolist() == [1.5, 2.0, 2.5]
    assert found.seeds == 1


def test_an_interval_is_of_percentiles():
    assert estimate(50, np.arange(101)).interval(0.9) == pytest.approx((5, 95))


def test_several_seeds_widen_the_interval_by_their_variance():
    # Every example counts the same in each sample: all that varies is the seed.
    found = over_seeds(np.array([70.0, 80.0, 90.0]), np.array([70.0, 80.0, 90.0])[:, None] * np.ones((3, 2000)))
    low, high = found.interval(0.95)
    assert found.value == 80
    assert low < 73 and high > 87
    one = over_seeds(np.array([70.0]), np.full((1, 2000), 70.0))
    assert one.interval(0.95) == (70, 70)


def results(tmp_path, amounts=("1", "1")):
    rows = [
        {"model": "m", "task": "t", "origin": "baseline", "strategy": "none", "amount": "0", "seed": 1},
        *({"model": "m", "task": "t", "origin": "pretrained", "strategy": "top", "amount": a, "seed": s}
          for s, a in enumerate(amounts, start=1)),
    ]  # fmt: skip
    frame = pd.DataFrame(rows).assign(
        num_layers=3,
        num_dropped=[0, *(int(amount) for amount in amounts)],
        kept_layers=["0 1 2", *(["0 1"] * len(amounts))],
        primary=True,
        value=[0.9, 0.7, 0.8],
        directory=["base", "one", "two"],
    )
    frame.to_csv(tmp_path / "results.csv", index=False)
    return frame


def test_scores_of_arms_in_points(tmp_path):
    frame = results(tmp_path)
    resamples = {name: np.full(5, value) for name, value in zip(frame["directory"], frame["value"], strict=True)}
    scores = Scores(frame, resamples)
    assert scores.num_layers("m") == 3
    assert scores.baseline("m", "t").value == 90
    arm = scores.score("m", "t", "pretrained", "top", "1")
    assert (arm.value, arm.seeds) == (75, 2)
    assert set(arm.samples.round(6)) <= {70, 75, 80}
    assert scores.score("m", "t", "pretrained", "top", "2") is None
    assert scores.rows("m", "t", "pretrained", "bottom", "1").empty


def test_a_percentage_is_taken_sample_by_sample():
    found = percentage(estimate(72, [80, 63, -5], seeds=1), estimate(80, [80, 70, 50], seeds=3))
    assert found.value == 90
    assert found.samples.tolist() == pytest.approx([100, 90, -10])
    assert found.seeds == 1


def test_no_percentage_of_a_score_of_0_or_less():
    found = percentage(estimate(10, [10, 10, 10]), estimate(20, [20, 0, -5]))
    assert found.value == 50
    assert found.samples[0] == 50 and np.isnan(found.samples[1:]).all()
    assert np.isnan(found.interval(0.95)).all()
    assert np.isnan(percentage(estimate(10, [10]), estimate(-20, [20])).value)


def test_the_score_kept_is_by_the_full_model_of_the_same_seeds():
    """Full model: 0.8 with seed 1, 0.4 with seed 2, in every sample; the arm 0.8 and 0.2."""
    rows = pd.DataFrame(
        [
            {"model": "m", "task": "t", "origin": origin, "strategy": strategy, "amount": amount, "seed": seed}
            | {"value": value, "directory": f"{origin}{amount}{seed}"}
            for origin, strategy, amount, seed, value in (
                ("baseline", "none", "0", 1, 0.8),
                ("baseline", "none", "0", 2, 0.4),
                ("finetuned", "top", "1", 1, 0.8),
                ("finetuned", "top", "1", 2, 0.2),
                ("finetuned", "top", "2", 2, 0.2),
            )
        ]
    )
    resamples = {name: np.full(200, value) for name, value in zip(rows["directory"], rows["value"], strict=True)}
    scores = Scores(rows, resamples)
    both = scores.kept("m", "t", "finetuned", "top", "1")
    assert both.value == pytest.approx(100 * 0.5 / 0.6)
    # Seeds 1 1, 1 2 and 2 2: never seed 1 of the one model against seed 2 of the other, which would be 200 or 25.
    assert set(both.samples.round(2)) == {100, 83.33, 50}
    # Only one of the two runs is there: that of seed 2, whose full model has 0.4.
    assert scores.kept("m", "t", "finetuned", "top", "2").value == pytest.approx(50)
    assert scores.kept("m", "t", "finetuned", "top", "3") is None


def test_runs_without_resamples_are_named(tmp_path):
    from shallower.evaluation.resamples import collect_resamples, write_resamples

    results(tmp_path)
    write_resamples(tmp_path / "base" / "resamples.npy", np.zeros(3))
    collect_resamples([f"{tmp_path}/base"], tmp_path / "resamples.parquet")
    with pytest.raises(UserError, match="no resamples of"):
        Scores.read(tmp_path / "results.csv", tmp_path / "resamples.parquet")


def test_variants_are_compared_with_the_full_model_as_it_was_trained():
    run = {"model": "m", "task": "t", "origin": "baseline", "strategy": "none", "amount": "0", "num_layers": 3}
    runs = pd.DataFrame([{**run, "seed": seed, "value": 0.8, "directory": f"seed{seed}"} for seed in (2, 1)])
    trained = Scores(runs, {"seed2": np.array([0.8, 0.5]), "seed1": np.array([0.8, 0.5])})
    arm, int8 = ("m", "t", "baseline", "none", "0"), Variant("onnx-int8", "full")
    # Seeds in another order than those of the study.
    rows = runs.assign(value=[0.2, 0.6], directory=["b", "a"], seed=[1, 2], runtime="onnx-int8", vocabulary="full")
    scores = trained.with_variants(rows, {"a": np.array([0.4, 0.5]), "b": np.array([0.4, 0.5])})
    assert scores.kept(*arm, int8).value == pytest.approx(50)
    assert scores.kept(*arm, int8).samples == pytest.approx([50, 100])
    assert scores.rows(*arm, int8)["seed"].tolist() == [2, 1]
    assert scores.kept(*arm).value == trained.kept(*arm).value == 100
    assert scores.score(*arm, Variant("onnx", "full")) is None and trained.rows(*arm, int8).empty
    assert len(trained.rows(*arm)) == len(scores.rows(*arm)) == 2
    assert trained.with_variants(pd.DataFrame(), {}).kept(*arm).value == 100


def test_variants_have_the_order_of_seeds_of_their_own_task():
    """Task a has seed 2 alone, and comes first; on b the variant scores as the full model does, seed by seed."""
    own = pd.DataFrame(
        [
            {"model": "m", "task": task, "origin": "baseline", "strategy": "none", "amount": "0", "seed": seed}
            | {"value": value, "directory": f"{task}{seed}"}
            for task, seed, value in (("a", 2, 0.5), ("b", 1, 0.9), ("b", 2, 0.7))
        ]
    )
    resamples = {name: np.full(50, value) for name, value in zip(own["directory"], own["value"], strict=True)}
    variants = own.assign(directory="v" + own["directory"], runtime="onnx", vocabulary="full")
    scores = Scores(own, resamples).with_variants(variants, {f"v{name}": values for name, values in resamples.items()})
    for task in ("a", "b"):
        kept = scores.kept("m", task, "baseline", "none", "0", Variant("onnx", "full"))
        assert kept.samples == pytest.approx(np.full(50, 100.0))
