import copy
import json

import numpy as np
import pandas as pd
import pytest

from documented import unexplained_columns
from read_pages import Page
from shallower.core.errors import UserError
from shallower.core.tables import read_table, write_table
from shallower.core.wording import counted, layer_ranges, listed, percent
from shallower.reporting.answer import answer_page, span, summary_page, task_answers
from shallower.reporting.results import collect_results
from shallower.reporting.summary import (
    answer,
    choose,
    droppable,
    layer_sets,
    read_comparisons,
    read_costs,
    summarise,
    without_answer,
)
from synthetic_runs import SMALL, write_study

COST = "results/small/minilm/cost.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder in which a small study was written, with its results.csv."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_table("results/small/results.csv", collect_results(read_table("results/small/runs.csv")))
    return folder


@pytest.fixture(scope="module")
def whole(made):
    """Results, comparisons, costs and summary of the small study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        results = read_table("results/small/results.csv")
        comparisons = read_comparisons(read_table("results/small/runs.csv"))
        costs = read_costs([COST])
    return results, comparisons, costs, summarise(results, comparisons, costs)


@pytest.fixture
def summary(whole):
    return whole[-1].copy()


def arm(summary: pd.DataFrame, task: str, origin: str, strategy: str, amount: str) -> pd.Series:
    named = {"task": task, "origin": origin, "strategy": strategy, "amount": amount}
    return summary[(summary[list(named)] == pd.Series(named)).all(axis=1)].iloc[0]


def test_one_row_an_arm_with_the_primary_metric(whole, summary):
    results, comparisons, _, _ = whole
    assert len(summary) == 2 * (1 + 2 * 2 * 3)
    assert summary.groupby("task")["origin"].first().eq("baseline").all()
    assert set(summary["metric"]) == {"accuracy", "pearson"}
    row = arm(summary, "docs-pair", "pretrained", "top", "2")
    mine = results[results["directory"].str.contains("docs-pair/pretrained/top-2/") & results["primary"]]
    assert row["score"] == pytest.approx(mine["value"].mean())
    assert row["score_sd"] == pytest.approx(mine["value"].std())
    assert (row["score_min"], row["score_max"]) == (mine["value"].min(), mine["value"].max())
    assert row["train_seconds"] == pytest.approx(mine["train_seconds"].mean())
    assert row["directory"] == mine.loc[mine["value"].idxmax(), "directory"]
    assert (row["seeds"], row["num_dropped"], row["num_layers"], row["kept_layers"]) == (2, 2, 6, "0 1 2 3")
    comparison = comparisons[("small", "minilm", "docs-pair", "pretrained", "top", "2")]
    assert [row[key] for key in ("kept_percent", "kept_low", "kept_high")] == [
        comparison[key] for key in ("kept_percent", "kept_low", "kept_high")
    ]
    assert row["kept_percent"] == pytest.approx(100 * row["score"] / comparison["baseline_score"])


def test_size_and_speed_are_relative_to_the_full_model(whole, summary):
    cost = whole[2]["minilm"]
    by_depth = {entry["depth"]: entry["latency"] for entry in cost["depths"]}
    full = arm(summary, "docs-pair", "baseline", "none", "0")
    row = arm(summary, "docs-pair", "finetuned", "bottom", "3")
    assert row["size_percent"] == pytest.approx(100 * row["model_bytes"] / full["model_bytes"])
    assert row["latency_ms_batch1"] == by_depth[3][0]["median_ms"]
    assert row["latency_low_ms_batch32"] == by_depth[3][1]["low_ms"]
    assert row["speedup_batch32"] == pytest.approx(by_depth[6][1]["median_ms"] / by_depth[3][1]["median_ms"])
    assert (full["size_percent"], full["speedup_batch1"], full["kept_percent"]) == (100, 1, 100)


def test_collapsed_seeds_are_counted(summary):
    assert arm(summary, "docs-pair", "pretrained", "bottom", "3")["collapsed"] == 1
    assert summary["collapsed"].sum() == 1


def test_seeds_that_drop_different_layers_count_with_the_fewest(whole):
    results, comparisons, costs, _ = whole
    results = results.copy()
    odd = results["directory"].str.endswith("docs-pair/pretrained/top-2/seed2")
    results.loc[odd, ["num_dropped", "kept_layers", "model_bytes"]] = [1, "0 1 2 3 4", 99_000_000]
    row = arm(summarise(results, comparisons, costs), "docs-pair", "pretrained", "top", "2")
    assert (row["num_dropped"], row["kept_layers"]) == (1, "0 1 2 3 | 0 1 2 3 4")
    assert layer_sets(row["kept_layers"]) == [[0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert row["model_bytes"] == 99_000_000
    assert row["latency_ms_batch1"] == costs["minilm"]["depths"][4]["latency"][0]["median_ms"]


def test_the_speed_that_is_reported_is_that_of_the_smallest_batch(whole):
    results, comparisons, costs, _ = whole
    costs = copy.deepcopy(costs)
    for depth in costs["minilm"]["depths"]:
        depth["latency"].reverse()  # as in a study with batch_sizes: [32, 1]
        for latency in depth["latency"]:
            latency["median_ms"] = depth["depth"] if latency["batch_size"] == 1 else 100.0
    page = answer_page(summarise(results, comparisons, costs), [1, 3], 0.95, costs)
    assert "times as fast" in page.partition("Layers that can be dropped")[0]


def test_a_study_without_costs_has_no_times(whole):
    results, comparisons, _, _ = whole
    summary = summarise(results, comparisons, {})
    assert not [column for column in summary if "latency" in column or "speedup" in column]
    page = answer_page(summary, [1, 3], 0.95, {})
    assert "times as fast" not in page
    assert "smaller" in page


def test_a_cost_file_without_the_depth_is_refused(whole):
    results, comparisons, costs, _ = whole
    short = {"minilm": costs["minilm"] | {"depths": costs["minilm"]["depths"][3:]}}
    with pytest.raises(UserError, match="no depth 3"):
        summarise(results, comparisons, short)


def test_results_without_a_baseline_are_refused(whole):
    results, comparisons, costs, _ = whole
    with pytest.raises(UserError, match="no baseline run of minilm on docs-pair"):
        summarise(results[results["origin"] != "baseline"], comparisons, costs)


ARMS = pd.DataFrame(
    {
        "num_dropped": [1, 2, 2, 3, 4, 0],
        "kept_percent": [99.5, 98.0, 99.0, 97.5, 99.9, 100.0],
        "kept_low": [99.1, 97.0, 98.5, 96.0, 99.0, 99.9],
        "kept_high": [100.0, 99.0, 99.5, 98.0, 100.5, 100.1],
        "kept_percent_half1": [99.5, 99.4, 98.0, 97.5, 99.9, 100.0],
        "kept_percent_half2": [99.5, 96.6, 100.0, 97.5, 99.9, 100.0],
        "target": "classification",
        "score": [0.796, 0.784, 0.792, 0.78, 0.799, 0.8],
        "score_min": [0.795, 0.78, 0.7, 0.76, 0.1, 0.8],
        "collapsed": [0, 0, 0, 0, 1, 0],
        "amount": list("abcdef"),
        "kept_layers": "0 1",
        "model_bytes": 1,
        "size_percent": 50.0,
        "directory": list("abcdef"),
    }
)
BASELINE = pd.Series(
    ARMS.iloc[5].to_dict() | {"score": 0.8, "collapsed": 0, "seeds": 2, "chance": 0.5, "num_layers": 6}
)


def test_the_words_of_a_problem_are_those_of_the_kind_of_task():
    """Without a chance level a score above 0 is one."""

    def baseline(**changes):
        return pd.Series(BASELINE.to_dict() | changes)

    retrieval = {"target": "retrieval", "chance": np.nan, "score": 0.1}
    assert without_answer(baseline(**retrieval), ARMS.iloc[:0]) is None
    assert "better than nothing" in without_answer(baseline(**retrieval | {"score": 0.0}), ARMS.iloc[:0])
    assert "finds no relevant document" in without_answer(baseline(**retrieval | {"collapsed": 1}), ARMS.iloc[:0])
    found = without_answer(baseline(target="ranking", score=0.4), ARMS.iloc[:0])
    assert "no better than a random order" in found


@pytest.mark.parametrize(
    ("tolerance", "amount"),
    [(0.1, None), (0.5, "a"), (1, "c"), (2, "c"), (2.5, "d"), (3, "d")],
)
def test_the_choice_drops_most_layers_then_keeps_most(tolerance, amount):
    """Arm e has a collapsed seed and f drops nothing: neither is ever chosen."""
    chosen = choose(ARMS, tolerance)
    assert (None if chosen is None else chosen["amount"]) == amount


def test_an_answer_and_whether_it_is_robust():
    found = answer(ARMS, BASELINE, 1)
    assert (found["num_dropped"], found["directory"], found["robust"]) == (2, "c", False)  # its interval leaves 1 %
    assert answer(ARMS, BASELINE, 2)["robust"] is False  # a seed is far below
    assert answer(ARMS.assign(score_min=0.79), BASELINE, 2)["robust"] is True
    assert answer(ARMS, BASELINE, 0.9)["robust"] is True  # arm a
    nothing = answer(ARMS, BASELINE, 0.1)
    assert (nothing["num_dropped"], nothing["robust"], nothing["kept_percent"]) == (0, None, 100)


def test_the_held_out_check_chooses_on_one_half_and_measures_on_the_other():
    found = answer(ARMS, BASELINE, 1)
    assert found["amount"] == "c"
    assert (found["held_out_num_dropped"], found["held_out_kept_percent"]) == (2, 96.6)  # arm b


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"collapsed": 1}, "collapsed in 1 of 2 runs"), ({"score": 0.5}, "no better than a constant answer")],
)
def test_a_useless_baseline_gives_no_answer(change, reason):
    baseline = pd.Series(BASELINE.to_dict() | change)
    assert reason in without_answer(baseline, ARMS)
    assert set(answer(ARMS, baseline, 3).values()) == {None}
    assert without_answer(BASELINE, ARMS) is None


def test_a_baseline_far_below_a_shallower_model_gives_no_answer():
    better = ARMS.iloc[0].to_dict() | {"strategy": "odd-alternate", "num_dropped": 1, "score": 0.9, "collapsed": 0}
    for kept_low, problem in (
        (104.9, None),
        (130.0, "it scores 0.800, and 0.900 without 1 layer (strategy odd-alternate)"),
    ):
        arms = pd.concat([ARMS, pd.DataFrame([better | {"kept_low": kept_low}])], ignore_index=True)
        found = without_answer(BASELINE, arms)
        assert found is None if problem is None else problem in found
        # Also for the strategies that are not better: shares of this baseline's score mean nothing.
        assert (answer(ARMS, BASELINE, 3, arms)["num_dropped"] is None) is (problem is not None)


def test_droppable_knows_the_arms_of_the_other_strategies(summary):
    chosen = (summary["task"] == "docs-pair") & (summary["strategy"] == "top") & (summary["amount"] == "1")
    summary.loc[chosen, "kept_low"] = 140.0
    table = droppable(summary, [3])
    assert table.loc[table["task"] == "docs-pair", "num_dropped"].isna().all()
    assert table.loc[table["task"] != "docs-pair", "num_dropped"].notna().all()


def test_a_share_that_does_not_exist_is_never_chosen():
    arms = ARMS.assign(kept_percent=np.nan, kept_percent_half1=np.nan)
    assert choose(arms, 50) is None


def test_columns_are_explained(summary):
    assert unexplained_columns(summary.columns, "tables/summary.csv") == []
    assert unexplained_columns(droppable(summary, [1]).columns, "tables/droppable.csv", "tables/summary.csv") == []


def test_droppable_has_a_row_for_each_strategy_and_tolerance(summary):
    table = droppable(summary, [1, 3])
    assert len(table) == 2 * 2 * 2 * 2
    by_tolerance = table.pivot(index=["model", "task", "origin", "strategy"], columns="tolerance", values="num_dropped")
    assert (by_tolerance[1] <= by_tolerance[3]).all()
    for _, row in table[table["num_dropped"] > 0].iterrows():
        assert row["kept_percent"] >= 100 - row["tolerance"]
        source = arm(summary, row["task"], row["origin"], row["strategy"], row["amount"])
        assert (row["score"], row["directory"]) == (source["score"], source["directory"])


def test_droppable_without_an_answer_is_empty_not_zero(summary, tmp_path):
    summary.loc[summary["origin"] == "baseline", "collapsed"] = 1
    table = droppable(summary, [1])
    assert table["num_dropped"].isna().all()
    write_table(tmp_path / "droppable.csv", table)
    assert read_table(tmp_path / "droppable.csv")["num_dropped"].isna().all()


class Sentences(Page):
    """A page's text with no blank before what follows an inline element."""

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.text += data + ("" if self.open[-1] in ("b", "i", "span", "code") else " ")


def read(text: str) -> str:
    """A page's text, after a look at its soundness: tags closed, nothing loaded from elsewhere."""
    page = Sentences(text)
    assert not page.loads
    assert "@import" not in text
    assert "url(" not in text
    assert "nan" not in page.text.split()
    return page.text


def test_the_page_answers_first(whole, summary):
    text = read(answer_page(summary, [3, 1], 0.95, whole[2]))
    case = task_answers(summary, [1, 3])[0]
    drops = [case.answers[tolerance]["num_dropped"] for tolerance in (1, 3)]
    assert text.startswith("Study small How many layers can be dropped? minilm can lose")
    assert text.index("stay within 1 % of its score") < text.index("Every arm in numbers")
    assert f"drop {drops[1]} of 6 layers" in text
    assert case.answers[3]["directory"] in text
    assert "Collapsed, so never chosen: bottom-3 (pretrained, 1 of 2 seeds)." in text
    assert "Each arm was trained with 2 seeds" in text
    assert "minilm on cpu with 1 thread, texts of 64 tokens, median of 8 to 30 passes" in text
    assert text.count("minilm on docs-pair") == 2  # its card and its table
    for _, row in case.arms.iterrows():
        assert f"{row['strategy']} {row['amount']}" in text


def test_the_page_says_when_there_is_no_answer(whole, summary):
    summary.loc[summary["origin"] == "baseline", "collapsed"] = 1
    text = read(answer_page(summary, [1], 0.95, whole[2]))
    assert "minilm: no answer. The full model itself collapsed in 1 of 2 runs" in text
    assert "can lose" not in text
    summary.loc[summary["task"] == "similarity", "collapsed"] = 0
    text = read(answer_page(summary, [1], 0.95, whole[2]))
    assert "of its 6 layers on similarity and stay within 1 % of its score" in text
    assert "No answer on docs-pair." in text


def test_the_page_says_when_no_layer_can_be_dropped(whole, summary):
    arms = summary["origin"] != "baseline"
    summary.loc[arms, ["kept_percent", "kept_percent_half1"]] = 70.0
    text = read(answer_page(summary, [1, 3], 0.95, whole[2]))
    assert "minilm can lose none of its 6 layers on any task and stay within 1 % of its score, by the arms that" in text
    assert "Within 1 % and 3 %: no layer can be dropped" in text


@pytest.mark.parametrize("kept_low", [99.9, 90.0])
def test_the_first_sentence_distinguishes_averages_from_clear_answers(whole, summary, kept_low):
    summary["kept_low"], summary["score_min"] = kept_low, 1.0
    text = read(answer_page(summary, [1], 0.95, whole[2]))
    first = text[: text.index("That makes it")]
    assert first.endswith("stay within 1 % of its score. " if kept_low > 99 else "of its score, on average. ")


def test_the_page_of_one_seed_warns(whole):
    results, comparisons, costs, _ = whole
    summary = summarise(results[results["seed"] == 1], comparisons, costs)
    text = read(answer_page(summary, [1, 3], 0.9, costs))
    assert "There is one seed only" in text
    assert "90 % interval" in text
    assert "±" not in text


def test_names_are_escaped(whole, summary):
    summary["task"] = summary["task"] + "<b>&"
    text = answer_page(summary, [1], 0.95, whole[2])
    assert "docs-pair&lt;b&gt;&amp;" in text
    assert "docs-pair<b>" not in text
    read(summary_page(summary, 0.95))


def test_a_model_of_shared_layers_is_said_to_be_as_large_as_before(whole, summary):
    summary["model_bytes"], summary["size_percent"] = 47_000_000, 100.0
    text = read(answer_page(summary, [3], 0.95, whole[2]))
    assert "as large as before (47 MB)" in text
    assert "% smaller" not in text


def test_script_writes_all_tables_and_the_same_again(made, step):
    options = [
        *("--results", "results/small/results.csv", "--runs", "results/small/runs.csv"),
        *("--costs", COST, "--tolerances", json.dumps([1, 2, 3]), "--output-dir", "tables"),
    ]

    def written() -> dict[str, bytes]:
        step("tabulate_results", *options, folder=made)
        return {path.name: path.read_bytes() for path in (made / "tables").iterdir()}

    files = written()
    assert sorted(files) == ["answer.html", "droppable.csv", "summary.csv", "summary.html"]
    assert files == written()
    assert len(read_table(made / "tables/droppable.csv")) == 24
    read(files["answer.html"].decode())
    read(files["summary.html"].decode())


def test_wording():
    assert [layer_ranges(layers) for layers in ([0, 1, 2, 5], [3], [])] == ["0\N{EN DASH}2, 5", "3", ""]
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        *("", "a", "a and b"),
        "a, b and c",
    ]
    assert [counted(number, "layer") for number in (0, 1, 2)] == ["no layers", "1 layer", "2 layers"]
    assert percent(-1.25) == "\N{MINUS SIGN}1.2\N{NO-BREAK SPACE}%"


def test_a_model_of_which_nothing_was_dropped_is_in_the_numbers_but_has_no_answer(summary):
    bare = summary[(summary["task"] != "similarity") | (summary["origin"] == "baseline")]
    answer, numbers = answer_page(bare, [1.0], 0.95, {}).split("<h2>Every arm in numbers</h2>")
    assert "docs-pair" in answer and "similarity" not in answer.split("How to read this")[0]
    assert "similarity" in numbers


@pytest.mark.parametrize(
    ("counts", "text"),
    [([0, 0], "none"), ([2, 2], "2"), ([0, 1], "none or 1"), ([1, 3], "1 to 3"), ([3, 0], "up to 3")],
)
def test_a_span_of_numbers_of_layers(counts, text):
    assert span(counts) == text
