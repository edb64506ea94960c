import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.evaluation.bootstrap import kept_interval, kept_percent, median_of, score_bootstrap
from shallower.evaluation.metrics import METRICS, score
from shallower.evaluation.predictions import Predictions, read_matched, read_predictions
from shallower.evaluation.records import comparison_record, halves, metrics_record
from synthetic_runs import Study, draw_predictions, write_predictions

ACCURACY = METRICS["accuracy"]
SETTINGS = {"metrics": ["accuracy", "f1"], "confidence": 0.95, "bootstrap_samples": 500}
PAIR = Study().tasks["docs-pair"] | {"n": 400}


def answers(skill: float, seed: int) -> np.ndarray:
    return draw_predictions(PAIR, skill, seed).logits.argmax(1)


LABELS = draw_predictions(PAIR, 0.9, 0).labels


def test_interval_of_an_accuracy_is_close_to_the_binomial_one():
    labels = np.zeros(1000, int)
    predictions = (np.arange(1000) < 200).astype(int)  # accuracy 0.8, standard error 0.01265
    low, high = score_bootstrap(ACCURACY, labels, predictions, 0.95, 2000).interval
    assert low == pytest.approx(0.8 - 1.96 * 0.01265, abs=0.003)
    assert high == pytest.approx(0.8 + 1.96 * 0.01265, abs=0.003)


def test_intervals_repeat_exactly_and_narrow_with_less_confidence():
    predictions = answers(0.8, 1)
    first = score_bootstrap(ACCURACY, LABELS, predictions, 0.95, 300).interval
    assert first == score_bootstrap(ACCURACY, LABELS, predictions, 0.95, 300).interval
    low, high = score_bootstrap(ACCURACY, LABELS, predictions, 0.5, 300).interval
    assert first.low < low < high < first.high


def test_the_batches_of_resamples_do_not_change_an_interval(monkeypatch):
    predictions = answers(0.8, 1)
    whole = score_bootstrap(ACCURACY, LABELS, predictions, 0.95, 300).interval
    monkeypatch.setattr("shallower.evaluation.bootstrap.ROWS_AT_ONCE", 7 * len(LABELS))
    assert score_bootstrap(ACCURACY, LABELS, predictions, 0.95, 300).interval == whole


def test_an_interval_needs_two_examples():
    with pytest.raises(UserError, match="two validation examples"):
        score_bootstrap(ACCURACY, np.array([1]), np.array([1]), 0.95, 100)


@pytest.mark.parametrize(("confidence", "ends"), [(0.95, (1, 5)), (0.8, (2, 4))])
def test_the_interval_of_a_median_is_that_of_resampled_values(confidence, ends):
    """By hand: of five draws from 1 to 5 the median is 1 with a probability of 0.058, and at most 2 with 0.317."""
    assert median_of([3.0, 1.0, 5.0, 2.0, 4.0], confidence) == (3.0, ends)


def test_a_median_of_one_value_has_no_interval():
    with pytest.raises(UserError, match="needs at least two values, not 1"):
        median_of([2.0], 0.95)


def test_kept_percent_is_the_ratio_of_mean_scores_over_seeds():
    ours, theirs = np.stack([answers(0.8, 1), answers(0.8, 2)]), np.stack([answers(0.9, 3), answers(0.9, 4)])
    mean = [np.mean([score(ACCURACY, LABELS, seed) for seed in side]) for side in (ours, theirs)]
    rows = np.arange(len(LABELS))
    assert kept_percent(ACCURACY, LABELS, ours, theirs, rows) == pytest.approx(100 * mean[0] / mean[1])


def test_the_comparison_is_paired():
    """Equal predictions keep exactly 100 %; shared hard examples make the interval narrower than unpaired."""
    theirs = np.stack([answers(0.88, 1)])
    assert kept_interval(ACCURACY, LABELS, theirs, theirs, 0.95, 200) == pytest.approx((100, 100))
    ours = np.stack([answers(0.85, 2)])
    shuffled = np.random.default_rng(0).permutation(len(LABELS))
    paired = kept_interval(ACCURACY, LABELS, ours, theirs, 0.95, 500)
    # The same number of right answers, on other examples: nothing is shared any more.
    unrelated = np.where((ours[0] == LABELS)[shuffled], LABELS, 1 - LABELS)[None]
    unpaired = kept_interval(ACCURACY, LABELS, unrelated, theirs, 0.95, 500)
    assert paired.high - paired.low < 0.8 * (unpaired.high - unpaired.low)


def test_the_kept_interval_covers_the_truth_about_as_often_as_it_says():
    """Many validation sets, drawn with a true share kept of 0.81 / 0.9: the 90 % interval covers in 8 to 10."""
    covered = 0
    for draw in range(60):
        rng = np.random.default_rng(draw)
        hard = rng.random(300)
        right, right_less = (hard < 0.9).astype(int), (hard < 0.81).astype(int)
        low, high = kept_interval(ACCURACY, np.ones(300, int), right_less[None], right[None], 0.9, 200)
        covered += low <= 90.0 <= high
    assert 0.78 <= covered / 60 <= 1.0


def test_no_share_of_a_baseline_that_scores_nothing():
    metric = METRICS["matthews_correlation"]
    constant = np.zeros((1, len(LABELS)), int)
    interval = kept_interval(metric, LABELS, answers(0.9, 1)[None], constant, 0.95, 100)
    assert np.isnan(interval).all()
    settings = SETTINGS | {"metrics": ["matthews_correlation"]}
    record = comparison_record("classification", LABELS, answers(0.9, 1)[None], constant, [1], settings)
    assert record["kept_percent"] is None
    assert record["kept_low"] is None
    assert record["per_seed"][0]["kept_percent"] is None


def test_record_of_a_run():
    predictions = answers(0.85, 5)
    record, resamples = metrics_record("classification", LABELS, predictions, SETTINGS)
    assert resamples.shape == (SETTINGS["bootstrap_samples"],)
    low, high = np.percentile(resamples, [2.5, 97.5])
    assert (low, high) == pytest.approx(tuple(record["metrics"]["accuracy"][end] for end in ("low", "high")), abs=1e-6)
    assert record["primary"] == "accuracy"
    assert record["num_examples"] == 400
    assert record["collapsed"] is False
    accuracy = record["metrics"]["accuracy"]
    assert accuracy["value"] == np.mean(predictions == LABELS)  # as measured, not as resampled
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert accuracy["chance"] == pytest.approx(max(LABELS.mean(), 1 - LABELS.mean()))


def test_the_first_metric_is_the_primary_one():
    settings = SETTINGS | {"metrics": ["f1"]}
    record, _ = metrics_record("classification", LABELS, answers(0.85, 5), settings)
    assert (record["primary"], list(record["metrics"])) == ("f1", ["f1"])
    runs = answers(0.85, 5)[None]
    assert comparison_record("classification", LABELS, runs, runs, [1], settings)["metric"] == "f1"


def test_the_positive_class_is_named_and_scored():
    found = {}
    for index, name in enumerate(("spam", "ham")):
        settings = SETTINGS | {"metrics": ["f1"], "positive_class": index}
        record, _ = metrics_record("classification", LABELS, answers(0.85, 5), settings, ["spam", "ham"])
        assert record["metrics"]["f1"]["positive_class"] == name
        found[name] = record["metrics"]["f1"]["value"]
        runs = answers(0.85, 5)[None]
        assert comparison_record("classification", LABELS, runs, runs, [1], settings)["score"] == found[name]
    flipped, _ = metrics_record("classification", 1 - LABELS, 1 - answers(0.85, 5), settings, ["spam", "ham"])
    assert flipped["metrics"]["f1"]["value"] == pytest.approx(found["spam"])
    assert found["spam"] != found["ham"]


def test_record_of_a_comparison():
    ours = np.stack([answers(0.8, 1), np.ones_like(LABELS)])
    theirs = np.stack([answers(0.9, 3), answers(0.9, 4)])
    record = comparison_record("classification", LABELS, ours, theirs, [7, 8], SETTINGS)
    assert record["metric"] == "accuracy"
    assert record["seeds"] == [7, 8]
    assert record["collapsed_seeds"] == [8]
    assert record["kept_percent"] == pytest.approx(100 * record["score"] / record["baseline_score"])
    assert record["kept_low"] < record["kept_percent"] < record["kept_high"]
    assert [seed["seed"] for seed in record["per_seed"]] == [7, 8]
    assert np.mean([seed["score"] for seed in record["per_seed"]]) == pytest.approx(record["score"])
    first, second = record["kept_percent_halves"]
    assert min(first, second) <= record["kept_percent"] <= max(first, second)


def test_seeds_must_fit_the_runs():
    runs = np.stack([answers(0.8, 1)])
    with pytest.raises(UserError, match="2 seeds"):
        comparison_record("classification", LABELS, runs, runs, [1, 2], SETTINGS)


def test_halves_share_no_example_and_cover_all():
    first, second = halves(101)
    assert sorted([*first, *second]) == list(range(101))
    assert (len(first), len(second)) == (50, 51)
    np.testing.assert_array_equal(first, halves(101)[0])


def test_examples_are_matched_by_id_whatever_their_order(tmp_path):
    one, other = draw_predictions(PAIR, 0.9, 1), draw_predictions(PAIR, 0.8, 2)
    paths = [tmp_path / "one.parquet", tmp_path / "other.parquet"]
    write_predictions(paths[0], one)
    write_predictions(paths[1], other, order=np.random.default_rng(0).permutation(400))
    table, matched = read_matched(paths, None, "classification")
    np.testing.assert_array_equal(table.labels, one.labels)
    np.testing.assert_array_equal(matched, [one.logits.argmax(1), other.logits.argmax(1)])


def test_other_examples_and_other_labels_are_refused(tmp_path):
    one = draw_predictions(PAIR, 0.9, 1)
    write_predictions(tmp_path / "one.parquet", one)
    write_predictions(tmp_path / "ids.parquet", Predictions(one.ids + 3, one.labels, one.logits))
    write_predictions(tmp_path / "labels.parquet", Predictions(one.ids, 1 - one.labels, one.logits))
    with pytest.raises(UserError, match=r"ids\.parquet.*1 ids only here, 1 only there"):
        read_matched([tmp_path / "one.parquet", tmp_path / "ids.parquet"], None, "classification")
    with pytest.raises(UserError, match=r"labels\.parquet: labels differ"):
        read_matched([tmp_path / "labels.parquet"], one, "classification")


def test_damaged_predictions_are_refused(tmp_path):
    path = tmp_path / "predictions.parquet"
    with pytest.raises(UserError, match="not found"):
        read_predictions(path, "classification")
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a file of predictions"):
        read_predictions(path, "classification")
    sound = draw_predictions(PAIR, 0.9, 1)
    write_predictions(path, Predictions(np.zeros_like(sound.ids), sound.labels, sound.logits))
    with pytest.raises(UserError, match="comes twice"):
        read_predictions(path, "classification")
    broken = sound.logits.copy()
    broken[3, 0] = np.nan
    write_predictions(path, Predictions(sound.ids, sound.labels, broken))
    with pytest.raises(UserError, match="learning rate"):
        read_predictions(path, "classification")
    write_predictions(path, Predictions(sound.ids[:0], sound.labels[:0], sound.logits[:0]))
    with pytest.raises(UserError, match="no predictions"):
        read_predictions(path, "classification")


def test_a_slice_of_a_table_is_read_whole(tmp_path):
    """Row groups and chunks must not confuse the lists of logits."""
    from pyarrow import parquet

    path = tmp_path / "predictions.parquet"
    sound = draw_predictions(PAIR, 0.9, 1)
    write_predictions(path, sound)
    parquet.write_table(parquet.read_table(path), path, row_group_size=7)
    np.testing.assert_array_equal(read_predictions(path, "classification").logits, sound.logits)
