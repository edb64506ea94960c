"""recommended.csv and its sentences."""

import numpy as np
import pandas as pd
import pytest

from shallower.core.tables import read_table, write_table
from shallower.core.wording import DASH, JOINED, MINUS
from shallower.evaluation.estimates import Scores
from shallower.reporting.budget import budget_text, recommended_arm
from shallower.reporting.recommended import recommended_table
from synthetic_runs import SMALL, write_results, write_study

ARM = ["origin", "strategy", "amount"]
# Confidence of one half: intervals from the first to the third quartile, which five samples make easy.
HALF = 0.5
# Scores of the full model and two arms on five resamples, one seed. In per cent of the full model's these are
# 100 100 90 90 80 (quartiles 90 and 100) and 95 75 50 50 50 (quartiles 50 and 75).
FULL = [0.8, 0.5, 0.8, 0.5, 0.8]
TOP_1 = [0.8, 0.5, 0.72, 0.45, 0.64]
TOP_3 = [0.76, 0.375, 0.4, 0.25, 0.4]
ARMS = {
    ("baseline", "none", "0"): (0, "0 1 2 3", 0.8, FULL, 4.0),
    ("finetuned", "top", "1"): (1, "0 1 2", 0.76, TOP_1, 3.0),
    ("finetuned", "top", "3"): (3, "0", 0.4, TOP_3, 1.0),
}


def study(full=FULL, **changes):
    """A summary and the scores behind it: one model of four layers on one task, and `changes` of the summary.

    `full` are the resampled scores of the full model.
    """
    rows, runs, resamples = [], [], {}
    for (origin, strategy, amount), (dropped, kept, value, samples, latency) in ARMS.items():
        named = {"model": "m", "task": "t", "origin": origin, "strategy": strategy, "amount": amount}
        directory = f"results/s/m/t/{origin}/{strategy}-{amount}/seed3"
        shared = {
            **named,
            "target": "classification",
            "num_layers": 4,
            "num_dropped": dropped,
            "kept_layers": kept,
            "directory": directory,
        }
        runs.append({**shared, "seed": 3, "primary": True, "value": value})
        resamples[directory] = np.array(full if origin == "baseline" else samples)
        rows.append(
            {
                "study": "s",
                **shared,
                "metric": "accuracy",
                "positive_class": np.nan,
                "num_examples": 1500,
                "seeds": 1,
                "collapsed": 0,
                "score": value,
                "chance": 0.5,
                "kept_low": np.nan,
                "model_bytes": 1_000_000 * (2 + 4 - dropped),
                "latency_ms_batch1": latency,
                "latency_ms_batch8": 5 * latency,
            }
        )
    return pd.DataFrame(rows).assign(**changes), Scores(pd.DataFrame(runs), resamples)


def row_for(budget, confidence=HALF, **changes):
    table = recommended_table(*study(**changes), budget, confidence)
    assert len(table) == 1
    return table.iloc[0]


def plain(text: str) -> str:
    return text.replace(JOINED, " ").replace(DASH, "-")


def test_the_shallowest_model_whose_interval_is_within():
    row = row_for({"score_kept": 90})
    assert row["recommended"]
    assert (row["origin"], row["strategy"], row["amount"]) == ("finetuned", "top", "1")
    assert (row["num_layers"], row["layers"], row["kept_layers"]) == (4, 3, "0 1 2")
    assert (row["kept_percent"], row["kept_low"], row["kept_high"]) == pytest.approx((95, 90, 100))
    assert (row["score"], row["full_score"], row["seeds"], row["seed"]) == (0.76, 0.8, 1, 3)
    assert (row["megabytes"], row["latency_ms"], row["batch_size"]) == (5, 3, 1)
    assert (row["limits_held"], row["limits_missed"]) == ("score_kept", "")
    assert (row["models_compared"], row["models_within_budget"]) == (3, 2)
    assert row["directory"] == "results/s/m/t/finetuned/top-1/seed3"
    assert plain(row["sentence"]) == (
        "Keep 3 of 4 layers (0-2; top-1, dropped from the fine-tuned model): 95.0 % of the full model's accuracy (50 % "
        "interval 90.0 to 100.0, 1,500 examples and 1 seed), 5.00 instead of 6.00 MB, 3.00 instead of 4.00 ms for one "
        "text; the shallowest of 2 within the budget (at least 90 % of the score), chosen among 3 models on the "
        "validation split."
    )


def test_the_full_model_where_no_other_holds():
    row = row_for({"score_kept": 91})
    assert (row["recommended"], row["origin"], row["layers"]) == (True, "baseline", 4)
    assert row["directory"].startswith("results/s/m/t/baseline/")
    assert plain(row["sentence"]) == (
        "Keep all 4 layers: no shallower model is known to meet the budget (at least 91 % of the score); closest is 3 "
        "of 4 layers (0-2; top-1, dropped from the fine-tuned model) with 95.0 % of the full model's accuracy (50 % "
        "interval 90.0 to 100.0, 1,500 examples and 1 seed), whose interval begins at 90.0, below 91 %; chosen among 3 "
        "models on the validation split."
    )


def test_none_holds_and_what_comes_closest():
    row = row_for({"score_kept": 90, "layers": 2, "latency_ms": 20, "batch_size": 8})
    # top-1: 3 layers of 2; top-3: 50 % of 90 %, which is a smaller share.
    assert not row["recommended"]
    assert (row["strategy"], row["amount"], row["batch_size"]) == ("top", "3", 8)
    assert (row["limits_held"], row["limits_missed"]) == ("latency_ms layers", "score_kept")
    assert row["directory"] == ""
    assert plain(row["sentence"]) == (
        "No model is known to meet the budget (at least 90 % of the score, at most 20 ms for 8 texts at once and at "
        "most 2 layers): closest is 1 of 4 layers (0; top-3, dropped from the fine-tuned model) with 50.0 % of the "
        "full model's accuracy (50 % interval 50.0 to 75.0, 1,500 examples and 1 seed), whose interval begins at 50.0, "
        "below 90 %; 3 were compared."
    )
    certain = plain(row_for({"megabytes": 2.5, "layers": 1})["sentence"])
    assert certain.startswith("No model meets the budget (at most 2.5 MB and at most 1 layer): closest is 1 of 4")
    assert "whose file has 3.00 MB, more than 2.5;" in certain


def test_limits_of_size_take_the_highest_score():
    row = row_for({"megabytes": 5.5})
    assert (row["amount"], row["limits_held"]) == ("1", "megabytes")
    assert "; the best of 2 within the budget (at most 5.5 MB)" in plain(row["sentence"])
    assert "; the only one within the budget (at" in row_for({"score_kept": 90, "layers": 3})["sentence"]
    within = plain(row_for({"megabytes": 6})["sentence"])
    assert within == (
        "Keep all 4 layers: within the budget (at most 6 MB) the full model scores highest; chosen among 3 models on "
        "the validation split."
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"score": 0.5}, "No recommendation: the full model scores no better than a constant answer"),
        ({"collapsed": 1}, "No recommendation: the full model itself collapsed in 1 of 1 runs"),
        ({"kept_low": 130.0}, "No recommendation: the full model is badly trained"),
    ],
)
def test_a_full_model_that_learned_nothing_gives_no_recommendation(changes, reason):
    row = row_for({"layers": 2}, **changes)
    assert not row["recommended"]
    assert row["sentence"].startswith(reason)
    assert row[["origin", "layers", "kept_percent", "directory"]].isna().all()


def test_a_model_of_which_nothing_was_dropped_gives_no_recommendation():
    summary, scores = study()
    table = recommended_table(summary.iloc[:1], scores, {"layers": 4}, HALF)
    assert table["sentence"].tolist() == ["No recommendation: no arm drops a layer with every seed."]


def test_an_arm_that_drops_no_layer_is_no_shallower_model():
    """As a threshold may: the best of all by chance, it is not recommended, nor does it stand for the closest one."""
    summary, scores = study()
    again = summary.iloc[:1].assign(origin="finetuned", strategy="contribution", amount="0.95", score=0.81)
    runs = scores.runs.iloc[:1].assign(origin="finetuned", strategy="contribution", amount="0.95", directory="again")
    of_all = Scores(pd.concat([scores.runs, runs]), {"again": np.array(FULL)} | dict(scores._resamples))
    found = recommended_table(pd.concat([summary, again]), of_all, {"score_kept": 91}, HALF)
    pd.testing.assert_frame_equal(found, recommended_table(summary, scores, {"score_kept": 91}, HALF))


def test_where_every_shallower_model_collapsed_none_is_said_to_be_compared():
    summary, scores = study()
    summary.loc[1:, "collapsed"] = 1
    found = recommended_table(summary, scores, {"megabytes": 6}, HALF).iloc[0]
    assert (
        found["sentence"] == "Keep all 4 layers: no shallower model can be compared, as every one has a collapsed run."
    )


@pytest.mark.parametrize(
    ("megabytes", "limit", "shown"), [(20.04, 20, "20.04"), (19.96, 19.95, "20.0"), (20.00004, 20, "20.00004")]
)
def test_a_number_that_misses_its_limit_is_told_from_it(megabytes, limit, shown):
    sentence = plain(row_for({"megabytes": limit, "layers": 1}, model_bytes=megabytes * 1e6)["sentence"])
    assert f"whose file has {shown} MB, more than {limit:g}" in sentence


def test_the_full_model_counts_with_the_seeds_that_an_arm_has():
    """Of three seeds of the full model the arm has the first, with which it is as good."""
    summary, scores = study()
    more = [scores.runs.iloc[:1].assign(seed=seed, directory=f"full{seed}", value=0.9) for seed in (4, 5)]
    resamples = {name: np.array(FULL) for name in ("full4", "full5")} | dict(scores._resamples)
    several = Scores(pd.concat([scores.runs, *more]), resamples)
    summary.loc[0, ["seeds", "score"]] = [3, (0.8 + 2 * 0.9) / 3]
    row = recommended_table(summary, several, {"score_kept": 90}, HALF).iloc[0]
    assert (row["amount"], row["seeds"], row["full_score"]) == ("1", 1, pytest.approx(0.8))
    assert "1,500 examples and 1 seed)" in plain(row["sentence"])


def test_a_collapsed_arm_is_never_recommended():
    summary, scores = study()
    summary.loc[1, "collapsed"] = 1
    found = recommended_table(summary, scores, {"layers": 3}, HALF).iloc[0]
    assert (found["amount"], found["models_compared"]) == ("3", 2)


def test_a_full_model_near_zero_has_no_share_of_its_score():
    """As MCC may be: no percentage is taken of a score that is 0 or less in some resample."""
    summary, scores = study(full=[0.1, -0.1, 0.2, 0.1, 0.1], score=[0.1, 0.09, 0.02], chance=0.0)
    row = recommended_table(summary, scores, {"score_kept": 50}, HALF).iloc[0]
    assert not row["recommended"]
    assert row[["origin", "kept_low"]].isna().all()
    assert "0 or less on some resamples, so that no percentage of it can be taken" in row["sentence"]
    by_size = recommended_table(summary, scores, {"layers": 3}, HALF).iloc[0]
    assert by_size["amount"] == "1"
    assert "accuracy 0.090, the full model's is 0.100" in by_size["sentence"]


def test_a_time_that_was_not_measured():
    row = row_for({"latency_ms": 9, "batch_size": 8}, latency_ms_batch8=np.nan)
    assert "the time was not measured" in row["sentence"] and not row["recommended"]
    without = row_for({"layers": 3}, latency_ms_batch1=np.nan)
    assert " ms " not in plain(without["sentence"])


# On test examples the full model and top-1 over five resamples: the differences are -0.2 0 -0.1 0.1 0 (quartiles -0.1
# and 0), the shares 75, 100, 80, 120 and 100 per cent (quartiles 80 and 100), top-1's own quartiles 0.4 and 0.6.
FULL_ON_TEST = [0.8, 0.6, 0.5, 0.5, 0.4]
TOP_1_ON_TEST = [0.6, 0.6, 0.4, 0.6, 0.4]


def on_test() -> Scores:
    """Scores of all runs on test examples; top-3's are the best, so that a choice by them would be another."""
    _, scores = study()
    values = {"0": (0.75, FULL_ON_TEST), "1": (0.6, TOP_1_ON_TEST), "3": (0.99, [0.99] * 5)}
    runs = scores.runs.assign(value=[value for value, _ in values.values()], num_examples=1200, metric="accuracy")
    runs["directory"] += "/test"
    resamples = {at: np.array(samples) for at, (_, samples) in zip(runs["directory"], values.values(), strict=True)}
    return Scores(runs, resamples)


def test_a_chosen_model_is_scored_on_test_examples():
    row = recommended_table(*study(), {"score_kept": 90}, HALF, on_test()).iloc[0]
    assert row[recommended_table(*study(), {"score_kept": 90}, HALF).columns].equals(row_for({"score_kept": 90}))
    assert (row["test_examples"], row["test_score"], row["test_full_score"]) == (1200, *map(pytest.approx, (0.6, 0.75)))
    assert (row["test_low"], row["test_high"]) == pytest.approx((0.4, 0.6))
    difference = row[["test_difference", "test_difference_low", "test_difference_high"]].tolist()
    assert difference == pytest.approx([-0.15, -0.1, 0], abs=1e-9)
    assert row[["test_kept_percent", "test_kept_low", "test_kept_high"]].tolist() == pytest.approx([80, 80, 100])
    assert plain(row["test_sentence"]).replace(MINUS, "-") == (
        "On the test split: accuracy 0.600 (50 % interval 0.400 to 0.600, 1,200 examples and 1 seed), the full model's "
        "is 0.750, the difference -0.150 (-0.100 to 0.000), 80.0 % kept (80.0 to 100.0); no choice was made by these "
        "examples."
    )


def test_the_full_model_on_test_examples():
    row = recommended_table(*study(), {"score_kept": 91}, HALF, on_test()).iloc[0]
    assert row["origin"] == "baseline"
    assert row[["test_difference", "test_difference_low", "test_difference_high"]].tolist() == [0, 0, 0]
    assert plain(row["test_sentence"]) == (
        "On the test split: accuracy 0.750 (50 % interval 0.500 to 0.600, 1,200 examples and 1 seed); no choice was "
        "made by these examples."
    )


def test_tasks_without_test_examples_next_to_others_with_them(tmp_path):
    summary, scores = study()
    none = Scores(on_test().runs.assign(task="other"), {})
    row = recommended_table(summary, scores, {"score_kept": 90}, HALF, none).iloc[0]
    assert row["recommended"] and row["test_sentence"] == ""
    assert row[["test_examples", "test_score", "test_kept_low"]].isna().all()


def test_the_limits_in_words():
    assert plain(budget_text({"score_kept": 99.5})) == "at least 99.5 % of the score"
    many = {"layers": 4, "latency_ms": 3, "batch_size": 32, "megabytes": 120}
    assert budget_text(many) == "at most 120 MB, at most 3 ms for 32 texts at once and at most 4 layers"


def test_the_script_writes_a_row_for_each_model_and_task(tmp_path, step):
    folder = write_study(tmp_path, SMALL)
    write_results(tmp_path, folder)

    def run(budget: str) -> pd.DataFrame:
        files = ("--summary", "summary.csv", "--results", "results.csv", "--resamples", "resamples.parquet")
        options = ("--budget", budget, "--confidence", "0.95", "--output", "recommended.csv")
        step("recommend_models", *files, *options, folder=folder)
        return read_table(folder / "recommended.csv")

    table = run('{"score_kept": 95}')
    assert table["task"].tolist() == ["docs-pair", "similarity"]
    assert table["recommended"].tolist() == [True, True]
    # The interval over seeds, too, is what the rule goes by: no shallower arm that holds is left out.
    summary = read_table(folder / "summary.csv")
    for row in table.to_dict("records"):
        assert row["kept_low"] >= 95
        assert (tmp_path / row["directory"]).is_dir() and row["directory"].endswith("seed1")
        here = summary[(summary["task"] == row["task"]) & (summary["collapsed"] == 0)]
        assert row["models_compared"] == len(here)
        shown = here[(here[ARM] == [row[key] for key in ARM]).all(axis=1)]
        assert row["kept_percent"] == pytest.approx(shown["kept_percent"].iloc[0])
    assert recommended_arm(table) == tuple(table.loc[0, ARM])
    assert recommended_arm(run('{"megabytes": 5}')) is None


def test_a_table_without_any_model_is_read_back(tmp_path):
    table = recommended_table(*study(score=0.5), {"layers": 2}, HALF)
    write_table(tmp_path / "recommended.csv", table)
    again = read_table(tmp_path / "recommended.csv")
    assert again.columns.tolist() == table.columns.tolist()
    assert recommended_arm(again) is None
