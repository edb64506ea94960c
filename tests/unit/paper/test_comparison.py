from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shallower.core.files import canonical_json
from shallower.core.runs import Run
from shallower.core.tables import read_table
from shallower.evaluation.estimates import Scores
from shallower.paper.by_depth import contribution, figure_3, preprint_figure_5
from shallower.paper.comparison import COLUMNS, NO_NUMBER, NOT_IN_STUDY, ONE_SEED, Counterparts, Ours, cell, frame
from shallower.paper.items import ITEMS
from shallower.paper.names import FIVE, PAPER_TASKS, SEVEN
from shallower.paper.run_scores import read_scores
from shallower.paper.score_tables import (
    OTHER_STRATEGY,
    figure_2,
    gradual,
    preprint_figure_3,
    table_2,
    table_3,
    table_5,
    table_6,
    table_7,
)
from shallower.paper.shown_runs import COMPARED_IN_TABLE_7, Model, cuts
from shallower.paper.table_4 import HalfLosses, dropped_by_split, half_losses, split_rows, table_4
from shallower.paper.values import PaperNumber, read_values
from shallower.reporting.results import RUN_COLUMNS
from shallower.reporting.summary import read_costs
from shallower.surgery.amounts import COUNT
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES
from shallower.surgery.strategy import Strategy
from synthetic_runs import SMALL, Study, draw_predictions, write_predictions, write_results, write_study

VALUES = read_values()
BASELINE = ("baseline", "none", "0", 0)
TOP = [BASELINE, *(("pretrained", "top", str(n), n) for n in range(1, 7))]
NOISE = np.random.default_rng(1).normal(scale=0.01, size=300)


def counterparts(models=None, tasks=PAPER_TASKS):
    return Counterparts(models or {"bert": "BERT"}, tasks, 0.95, VALUES)


def study(
    models=None, tasks=tuple(PAPER_TASKS), arms=TOP, seeds=(1, 2), value=lambda run: 0.9 - 0.01 * run["num_dropped"]
):
    """Made-up scores: `arms` are tuples of origin, strategy, amount and number of dropped layers."""
    models = models or {"bert": 12}
    runs = pd.DataFrame(
        {"model": model, "task": task, "origin": origin, "strategy": strategy, "amount": amount, "num_dropped": n}
        | {"seed": seed, "num_layers": num_layers, "layers": num_layers - n}
        for model, num_layers in models.items()
        for task in tasks
        for origin, strategy, amount, n in arms
        for seed in seeds
        if n < num_layers
    )
    runs["value"] = [value(run) for run in runs.to_dict("records")]
    runs["kept_layers"] = [" ".join(map(str, range(layers))) for layers in runs["layers"]]
    runs["parameters"], runs["train_seconds"] = 24_000_000 + 7_000_000 * runs["layers"], 10.0 + 5 * runs["layers"]
    runs["seconds_per_token"] = runs["train_seconds"] / 1000
    runs["collapsed"], runs["directory"] = False, [f"run{row}" for row in runs.index]
    resamples = {row.directory: row.value + NOISE for row in runs.itertuples()}
    return Scores(runs, resamples)


def at(table, row, column, quantity=None):
    """The one row of a frame in a cell."""
    found = table[(table["row"] == row) & (table["column"] == column)]
    found = found if quantity is None else found[found["quantity"] == quantity]
    assert len(found) == 1, f"{len(found)} rows at {row!r}, {column!r}"
    return found.iloc[0]


# --- cells ---------------------------------------------------------------------------------------------------------


def number(value, uncertainty=0.0, printed=None, note=""):
    return PaperNumber(value, value if printed is None else printed, "printed", uncertainty, note, "journal")


@pytest.mark.parametrize(
    ("paper", "uncertainty", "verdict"),
    [(90.0, 0, "inside"), (91.0, 0, "inside"), (91.1, 0, "outside"), (91.1, 0.2, "inside"), (88.7, 0.2, "outside")],
)
def test_verdict_widens_the_interval_by_the_papers_uncertainty(paper, uncertainty, verdict):
    filled = cell("r", "c", Ours(90.5, 89.0, 91.0, 3), number(paper, uncertainty), "score")
    assert filled["verdict"] == verdict
    assert filled["difference"] == pytest.approx(90.5 - paper)


def test_a_cell_without_one_side_has_no_verdict():
    alone = frame([cell("r", "c", Ours(90.5, 89.0, 91.0, 3), None, "score")]).iloc[0]
    assert (alone["ours"], alone["remark"]) == (90.5, NO_NUMBER)
    blank = frame([cell("r", "c", None, number(90.0), "score", ["not run"])]).iloc[0]
    assert (blank["paper"], blank["remark"]) == (90.0, "not run")
    for row in (alone, blank):
        assert pd.isna(row["verdict"])
        assert pd.isna(row["difference"])


def test_without_an_interval_there_is_no_verdict():
    assert cell("r", "c", Ours(1.2), number(1.2), "finetune_speedup")["verdict"] == ""


def test_frame_has_the_columns_units_and_the_order_in_which_cells_come():
    cells = [cell(row, column, None, None, "score") for row in ("b", "a") for column in ("y", "x")]
    table = frame(cells)
    assert list(table.columns) == COLUMNS
    assert table["row_order"].tolist() == [0, 0, 1, 1]
    assert table["column_order"].tolist() == [0, 1, 0, 1]
    assert set(table["unit"]) == {"points"}


@pytest.mark.parametrize(("num_layers", "expected"), [(12, [2, 4, 6]), (6, [1, 2, 3]), (4, [1, 2]), (2, [1])])
def test_cuts_are_the_papers_and_their_like(num_layers, expected):
    assert cuts(num_layers) == expected


# --- which models and tasks are compared with which ------------------------------------------------------------------


def test_a_model_of_another_depth_stands_alone_and_the_papers_model_too():
    table = table_2(counterparts({"tiny": "BERT"}), study({"tiny": 4}))
    ours = at(table, "tiny, 2 dropped", "SST-2")
    assert (ours["counterpart"], pd.isna(ours["paper"])) == ("", True)
    assert "4 layers, not the 12 of BERT" in ours["remark"]
    assert at(table, "BERT, 2 dropped", "SST-2")["paper"] == 92.20


def test_a_task_of_the_study_alone_has_a_column_but_no_part_in_the_means():
    tasks = {**PAPER_TASKS, "docs": None}
    scores = study(tasks=tuple(tasks), value=lambda run: 0.1 if run["task"] == "docs" else 0.9)
    table = table_2(counterparts(tasks=tasks), scores)
    own = at(table, "bert, all layers", "docs")
    assert (own["ours"], own["remark"]) == (pytest.approx(10), NO_NUMBER)
    assert at(table, "bert, all layers", "mean of 7 tasks")["ours"] == pytest.approx(90)


def test_a_task_under_another_name_is_named():
    table = table_2(counterparts(tasks={"sst2-slice": "SST-2"}), study(tasks=("sst2-slice",)))
    assert at(table, "bert, all layers", "SST-2 (sst2-slice)")["paper"] == 92.43


def test_a_mean_over_fewer_tasks_says_so_and_is_compared_with_the_same_tasks_of_the_paper():
    tasks = {name: PAPER_TASKS[name] for name in ("sst2", "mnli", "rte")}
    table = table_2(counterparts(tasks=tasks), study(tasks=tuple(tasks)))
    mean = at(table, "bert, 4 dropped", "mean of 3 of the 7 tasks")
    assert mean["paper"] == pytest.approx((90.60 + 82.51 + 67.87) / 3)
    assert mean["paper_how"] == "derived"
    assert "without QNLI, QQP, STS-B, MRPC" in mean["remark"]
    assert at(table, "bert, 4 dropped", "mean of 2 of the 5 tasks")["paper"] == pytest.approx((90.60 + 82.51) / 2)


def test_a_mean_that_the_paper_gives_over_other_tasks_only_is_not_compared():
    tasks = {"sst2": "SST-2", "mnli": "MNLI"}
    arms = [BASELINE, ("pretrained", "bottom", "2", 2)]
    row = at(figure_2(counterparts(tasks=tasks), study(tasks=tuple(tasks), arms=arms)), "bert, bottom", "2 dropped")
    assert pd.isna(row["paper"])
    assert "the paper's 83.3 is the mean of 7 tasks" in row["remark"]


# --- tables of scores ----------------------------------------------------------------------------------------------


def test_table_2_shows_ours_next_to_the_papers():
    table = table_2(counterparts(), study())
    row = at(table, "bert, 2 dropped", "SST-2")
    assert (row["ours"], row["seeds"], row["num_dropped"]) == (pytest.approx(88), 2, 2)
    assert row["low"] < row["ours"] < row["high"]
    assert (row["paper"], row["verdict"]) == (92.20, "outside")
    assert row["difference"] == pytest.approx(-4.2)
    mean = at(table, "bert, 2 dropped", "mean of 7 tasks")
    assert mean["paper"] == pytest.approx(84.86, abs=0.005)
    columns = table.drop_duplicates("column").sort_values("column_order")["column"]
    assert columns.tolist() == [*SEVEN, "mean of 7 tasks", "mean of 5 tasks"]
    # XLNet is in no study model's place, and still there.
    xlnet = at(table, "XLNet, 6 dropped", "MRPC")
    assert (xlnet["paper"], xlnet["remark"]) == (82.84, NOT_IN_STUDY)
    assert pd.isna(xlnet["ours"])


def test_an_interval_of_one_seed_says_what_it_leaves_out():
    assert ONE_SEED in at(table_2(counterparts(), study(seeds=(1,))), "bert, all layers", "RTE")["remark"]


def test_what_was_not_run_is_blank():
    table = table_2(counterparts(), study(arms=[BASELINE, ("pretrained", "top", "2", 2)]))
    row = at(table, "bert, 6 dropped", "QQP")
    assert (row["paper"], row["remark"]) == (90.35, "not run")
    assert pd.isna(row["ours"])


def test_a_mean_with_a_missing_part_is_blank_and_names_it():
    scores = study()
    keep = ~((scores.runs["task"] == "rte") & (scores.runs["num_dropped"] == 2))
    scores = Scores(scores.runs[keep], {f"run{row}": 0.9 + NOISE for row in scores.runs.index})
    row = at(table_2(counterparts(), scores), "bert, 2 dropped", "mean of 7 tasks")
    assert pd.isna(row["ours"])
    assert "not run on rte" in row["remark"]


def test_collapsed_runs_are_reported():
    scores = study()
    collapsed = scores.runs["directory"] == scores.rows("bert", "sst2", *TOP[2][:3])["directory"].iloc[0]
    scores = Scores(scores.runs.assign(collapsed=collapsed), {f"run{row}": 0.9 + NOISE for row in scores.runs.index})
    assert "1 of 2 runs collapsed" in at(table_2(counterparts(), scores), "bert, 2 dropped", "SST-2")["remark"]


def test_table_5_is_alberts():
    table = table_5(counterparts({"albert": "ALBERT", "bert": "BERT"}), study({"albert": 12, "bert": 12}))
    assert set(table["model"]) == {"albert"}
    assert at(table, "albert, 4 dropped", "STS-B")["paper"] == 87.00
    assert "albert" not in set(table_2(counterparts({"albert": "ALBERT"}), study({"albert": 12}))["model"])


def test_table_6_puts_distilled_models_next_to_halves():
    models = {"minilm": "DistilBERT", "bert": "BERT"}
    table = table_6(counterparts(models), study({"minilm": 6, "bert": 12}))
    assert at(table, "minilm, all 6 layers", "STS-B")["paper"] == 87.14
    assert at(table, "bert, 6 of 12 layers", "QNLI")["paper"] == 87.63
    quoted = table[~table["counterpart"].isin(["BERT", "DistilBERT"])]
    assert quoted["ours"].isna().all()
    assert {"DistilRoBERTa", "RoBERTa, 6 of 12 layers", "Vanilla-KD"} <= set(quoted["row"])
    assert not set(quoted["row"]) & {"BERT, 6 of 12 layers", "DistilBERT"}


def test_table_7_corrects_the_misprint_and_leaves_out_what_nobody_has():
    arms = [*TOP, ("finetuned", "top", "6", 6), ("finetuned-frozen", "bottom", "2", 2)]
    table = table_7(counterparts(), study(arms=arms))
    row = at(table, f"bert, top 6, {ORIGINS['pretrained'].title}", "SST-2")
    assert row["paper"] == 90.25
    assert "printed as 92.25" in row["remark"]
    assert at(table, f"bert, top 6, {ORIGINS['finetuned'].title}", "SST-2")["paper"] == 90.02
    rows = [row for row in table["row"].unique() if row.startswith("bert")]
    pretrained, finetuned, frozen = (ORIGINS[name].title for name in COMPARED_IN_TABLE_7)
    assert rows == [f"bert, top 6, {pretrained}", f"bert, top 6, {finetuned}", f"bert, bottom 2, {frozen}"]


def test_gradual_is_a_paired_difference():
    arms = [*TOP, ("gradual", "top", "3", 3)]
    scores = study(arms=arms, value=lambda run: 0.9 - 0.01 * run["num_dropped"] + 0.02 * (run["origin"] == "gradual"))
    row = at(gradual(counterparts(), scores), "bert, top 3, gradual minus at once", "QQP")
    assert row["ours"] == pytest.approx(2)
    # The noise is that of the examples, the same in both, so that it cancels.
    assert (row["low"], row["high"]) == (pytest.approx(2), pytest.approx(2))
    assert "no improvement" in row["remark"]


def test_gradual_that_was_not_run_is_blank():
    table = gradual(counterparts(), study())
    assert table["ours"].isna().all()
    assert table["remark"].str.contains("not run").all()


# --- the runs that an item shows -------------------------------------------------------------------------------------

MAKERS = {
    "table-2": table_2,
    "table-3": lambda compared, scores: table_3(compared, scores, costs(scores)),
    "table-4": table_4,
    "table-5": table_5,
    "table-6": table_6,
    "table-7": table_7,
    "gradual": gradual,
    "figure-2": figure_2,
    "preprint-figure-3": preprint_figure_3,
}
STUDY_OF_ALL = [
    *TOP,
    *(("pretrained", strategy, "2", 2) for strategy in ("bottom", "symmetric", "parameter-variance", "custom")),
    ("pretrained", "contribution", "0.9", 3),
    ("pretrained", "bottom", "5", 5),
    ("finetuned", "top", "2", 2),
    ("finetuned", "bottom", "5", 5),
    ("finetuned-frozen", "top", "3", 3),
    ("gradual", "top", "3", 3),
    ("gradual", "bottom", "2", 2),
]
COUNTERPARTS = {"bert": "BERT", "albert": "ALBERT", "distil": "DistilBERT", "other": None}


@pytest.mark.parametrize("item", MAKERS)
def test_an_item_is_the_same_when_made_from_the_runs_that_it_shows(item, monkeypatch):
    scores = study({"bert": 12, "albert": 12, "distil": 6, "other": 4}, arms=STUDY_OF_ALL, seeds=(1,))
    monkeypatch.setattr("shallower.paper.table_4.half_losses", lambda runs: None)
    all_runs = scores.runs.assign(study="s", directory=scores.runs["directory"])
    models = {name: Model(scores.num_layers(name), COUNTERPARTS[name]) for name in COUNTERPARTS}
    shown = ITEMS[item].runs([Run(**row) for row in all_runs[RUN_COLUMNS].to_dict("records")], models)
    assert 0 < len(shown) < len(scores.runs)
    keys = {(run.model, run.task, run.origin, run.strategy, run.amount, run.seed) for run in shown}
    rows = all_runs[[*RUN_COLUMNS[1:]]].apply(tuple, axis=1).isin(keys)
    of_shown = Scores(
        scores.runs[rows.to_numpy()], {row.directory: row.value + NOISE for row in scores.runs.itertuples()}
    )
    compared = counterparts(COUNTERPARTS)
    pd.testing.assert_frame_equal(MAKERS[item](compared, of_shown), MAKERS[item](compared, scores))


# --- Table 3 -------------------------------------------------------------------------------------------------------


def costs(scores):
    """Latencies of batches of 32 that are in proportion to the number of layers."""

    def latency(batch_size, middle):
        return {"batch_size": batch_size, "median_ms": middle, "low_ms": 0.9 * middle, "high_ms": 1.1 * middle}

    return {
        model: {
            "sequence_length": 64,
            "task": None,
            "depths": [
                {"depth": depth, "latency": [latency(32, 10.0 * depth), latency(1, 7.0)]}
                for depth in range(1, scores.num_layers(model) + 1)
            ],
        }
        for model in scores.runs["model"].unique()
    }


def test_table_3_has_loss_size_and_speed():
    scores = study()
    table = table_3(counterparts(), scores, costs(scores))
    loss = at(table, "bert, 6 dropped", "loss, mean of 7 tasks")
    assert (loss["ours"], loss["low"]) == (pytest.approx(6), pytest.approx(6))
    assert loss["paper"] == pytest.approx(2.91)
    size = at(table, "bert, 2 dropped", "parameters")
    assert (size["ours"], size["paper"], size["verdict"]) == (94, 94, "inside")
    speedup = at(table, "bert, 6 dropped", "speed-up of fine-tuning")
    assert (speedup["ours"], speedup["paper"]) == (pytest.approx(70 / 40), 1.94)
    # Of trainings that see other numbers of tokens, the time for each.
    scores.runs.loc[scores.runs["num_dropped"] == 0, "train_seconds"] *= 3
    again = table_3(counterparts(), scores, costs(scores))
    assert at(again, "bert, 6 dropped", "speed-up of fine-tuning")["ours"] == pytest.approx(70 / 40)
    time = at(table, "bert, 6 dropped", "inference time")
    assert (time["ours"], time["paper"], time["verdict"]) == (pytest.approx(-50), -50, "inside")
    assert time["low"] < -50 < time["high"]
    # What is timed is not what the paper timed.
    assert "batches of 32 texts, of 64 random tokens each, not of QQP" in time["remark"]
    timed = {model: {**cost, "task": "qqp"} for model, cost in costs(scores).items()}
    time = at(table_3(counterparts(), scores, timed), "bert, 6 dropped", "inference time")
    assert "batches of 32 texts, of task qqp, on this machine" in time["remark"]


def test_table_3_gives_both_means_of_robertas_loss():
    scores = study({"roberta": 12})
    table = table_3(counterparts({"roberta": "RoBERTa"}), scores, costs(scores))
    assert at(table, "roberta, 6 dropped", "loss, mean of 7 tasks")["paper"] == pytest.approx(1.64, abs=0.02)
    assert at(table, "roberta, 6 dropped", "loss, mean of 5 tasks")["paper"] == 0.89


def test_table_3_without_latencies_says_so():
    scores = study()
    time = at(table_3(counterparts(), scores, {}), "bert, 2 dropped", "inference time")
    assert pd.isna(time["ours"])
    assert "not measured" in time["remark"]


# --- Table 4 -------------------------------------------------------------------------------------------------------


def test_halves_are_random_and_disjoint():
    first, second = split_rows(11, 3)
    assert (first.shape, second.shape) == ((3, 5), (3, 6))
    assert all(sorted([*a, *b]) == list(range(11)) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(np.sort(first[0]), np.sort(first[1]))


def test_the_largest_number_within_the_tolerance_is_judged_on_the_other_half():
    losses = HalfLosses(
        amounts=np.array([0, 1, 2, 3]),
        chosen_on=np.array([[0.0, 0.0], [0.5, 1.5], [2.5, 1.1], [1.0, 4.0]]),
        judged_on=np.array([[0.0, 0.0], [0.7, 0.7], [0.8, 0.8], [3.0, 3.0]]),
        seeds=1,
    )
    layers, loss = dropped_by_split(losses, 1)
    # 3 layers are within a point though 2 are not; in the second split nothing is.
    assert (layers.tolist(), loss.tolist()) == ([3, 0], [3.0, 0.0])


@pytest.fixture
def predicted(tmp_path):
    """Runs of a model of three layers with predictions: one layer costs nothing, two cost a lot."""
    definition = {"metrics": ["accuracy"], "labels": ["no", "yes"], "skill": 0.9, "n": 500}
    arms = [BASELINE, ("pretrained", "top", "1", 1), ("pretrained", "top", "2", 2)]
    scores = study({"tiny": 3}, ("sst2",), arms)
    directories = [str(tmp_path / name) for name in scores.runs["directory"]]
    runs = scores.runs.assign(metric="accuracy", directory=directories)
    for run in runs.itertuples():
        skill = 0.7 if run.num_dropped == 2 else 0.9
        order = np.random.default_rng(run.Index).permutation(500)
        write_predictions(
            Path(run.directory, "predictions.parquet"), draw_predictions(definition, skill, run.seed), order
        )
    return Scores(runs, dict.fromkeys(directories, 0.9 + NOISE))


def test_half_losses_come_from_the_predictions(predicted):
    losses = half_losses(predicted.runs)
    assert losses.amounts.tolist() == [0, 1, 2]
    assert (losses.chosen_on[:2] == 0).all()  # the same answers, though in another order on disk
    assert losses.chosen_on[2].mean() == pytest.approx(20, abs=4)
    assert losses.chosen_on[2].mean() == pytest.approx(losses.judged_on[2].mean(), abs=0.5)


def test_table_4_has_layers_and_loss_in_a_cell(predicted):
    table = table_4(counterparts({"tiny": None}, {"sst2": "SST-2"}), predicted)
    layers = at(table, "tiny, within 1 point", "SST-2", "droppable_layers")
    assert (layers["ours"], layers["low"], layers["high"], layers["unit"]) == (1, 1, 1, "layers")
    assert at(table, "tiny, within 1 point", "SST-2", "held_out_loss")["ours"] == 0
    assert "only" not in layers["remark"]  # 1 and 2 are all there are
    assert at(table, "XLNet, within 3 points", "QQP", "held_out_loss")["paper"] == 0.60
    distil = at(table, "DistilBERT, within 3 points", "QQP", "droppable_layers")
    assert (distil["paper"], "from the preprint" in distil["remark"]) == (4, True)


def test_table_4_says_which_numbers_were_tried(predicted):
    runs = predicted.runs[predicted.runs["num_dropped"] != 1]
    table = table_4(
        counterparts({"tiny": None}, {"sst2": "SST-2"}), Scores(runs, dict.fromkeys(runs["directory"], NOISE))
    )
    assert "only 2 dropped layers" in at(table, "tiny, within 1 point", "SST-2", "droppable_layers")["remark"]


# --- figures -------------------------------------------------------------------------------------------------------


def test_figure_2_puts_strategies_that_the_paper_does_not_have_last_and_says_so(monkeypatch):
    made_up = Strategy("made-up", "The layers of a test.", "not in the paper", COUNT, None, range, lambda *_: None)
    monkeypatch.setitem(STRATEGIES, "made-up", made_up)
    arms = [*TOP, ("pretrained", "made-up", "2", 2), ("pretrained", "bottom", "2", 2)]
    table = figure_2(counterparts(), study(arms=arms))
    ours = table[(table["model"] == "bert") & table["ours"].notna()]
    assert list(ours["strategy"].unique()) == ["none", "top", "bottom", "made-up"]
    remarks = ours.set_index("strategy")["remark"]
    assert OTHER_STRATEGY in remarks["made-up"]
    assert OTHER_STRATEGY not in remarks["bottom"]


def test_figure_2_has_every_strategy_at_each_cut():
    arms = [*TOP, ("pretrained", "contribution-rank", "2", 2), ("pretrained", "bottom", "6", 6)]
    table = figure_2(counterparts(), study(arms=arms))
    whole = at(table, "bert, full model", "all layers")
    assert (whole["strategy"], whole["paper"], whole["task"]) == ("none", 86.19, "mean7")
    assert at(table, "bert, top", "4 dropped")["paper"] == pytest.approx(84.1)
    assert at(table, "bert, top", "4 dropped")["uncertainty"] == pytest.approx(0.1)
    assert at(table, "bert, contribution-rank", "2 dropped")["remark"] == f"{OTHER_STRATEGY}; {NO_NUMBER}"
    blank = at(table, "bert, parameter-variance", "6 dropped")
    assert (blank["paper"], pd.isna(blank["ours"])) == (82.1, True)
    assert not ((table["row"] == "bert, top") & (table["column"] == "3 dropped")).any()
    order = table.drop_duplicates("column").set_index("column")["column_order"]
    assert order.to_dict() == {"all layers": 0, "2 dropped": 1, "4 dropped": 2, "6 dropped": 3}
    # The paper alone, as it is.
    assert at(table, "XLNet, symmetric", "2 dropped")["paper"] == 82.9


def test_a_strategy_that_the_paper_does_not_have_comes_last(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "made-up", STRATEGIES["top"])
    table = figure_2(counterparts(), study(arms=[*TOP, ("pretrained", "made-up", "2", 2)]))
    assert table.loc[table["model"] == "bert", "strategy"].iloc[-1] == "made-up"


def test_bars_are_over_the_tasks_on_which_every_strategy_was_run():
    arms = [*TOP, ("pretrained", "bottom", "2", 2)]
    scores = study(arms=arms, value=lambda run: 0.9 if run["task"] in ("sst2", "stsb") else 0.5)
    runs = scores.runs[(scores.runs["strategy"] != "bottom") | scores.runs["task"].isin(["sst2", "stsb"])]
    table = figure_2(counterparts(), Scores(runs, dict.fromkeys(runs["directory"], 0.9 + NOISE)))
    top = at(table, "bert, top", "2 dropped")
    assert top["ours"] == pytest.approx(90)
    assert "over SST-2, STS-B, on which every strategy was run" in top["remark"]
    assert (top["paper"], top["paper_how"]) == (pytest.approx((92.20 + 88.70) / 2), "derived")
    bottom = at(table, "bert, bottom", "2 dropped")
    assert (bottom["ours"], pd.isna(bottom["paper"])) == (pytest.approx(90), True)
    assert "83.3 is the mean of 7 tasks" in bottom["remark"]


def test_thresholds_stand_where_they_came_out():
    arms = [BASELINE, ("pretrained", "contribution", "0.95", 0), ("pretrained", "contribution", "0.9", 4)]
    scores = study(arms=arms)
    one_other = (scores.runs["amount"] == "0.9") & (scores.runs["task"] == "rte") & (scores.runs["seed"] == 1)
    runs = scores.runs.assign(num_dropped=scores.runs["num_dropped"].where(~one_other, 3))
    table = figure_2(counterparts(), Scores(runs, dict.fromkeys(runs["directory"], 0.9 + NOISE)))
    row = at(table, "bert, contribution 0.9", "4 dropped")
    assert (row["paper"], row["amount"]) == (83.1, "0.9")
    assert "drops 3 to 4 layers" in row["remark"]
    assert "drops no layer" in at(table, "bert, contribution 0.95", "all layers")["remark"]
    assert "no threshold" in at(table, "bert, contribution", "2 dropped")["remark"]


def test_strategy_figures_part_at_six_layers():
    models = {"bert": "BERT", "minilm": "DistilBERT"}
    scores = study({"bert": 12, "minilm": 6})
    assert set(figure_2(counterparts(models), scores)["model"]) == {"bert", ""}
    table = preprint_figure_3(counterparts(models), scores)
    assert set(table["model"]) == {"minilm"}
    assert at(table, "minilm, top", "3 dropped")["paper"] == pytest.approx(80.2)


def states(quantity, seeds=(1, 2), num_layers=12, tasks=tuple(PAPER_TASKS)):
    return pd.DataFrame(
        {"model": "bert", "task": task, "seed": seed, "quantity": quantity, "depth": depth}
        | {"value": 0.5 + 0.03 * depth + 0.01 * seed}
        for task in tasks
        for seed in seeds
        for depth in range(num_layers + 1)
    )


def test_figure_3_is_the_mean_over_tasks_with_the_range_over_seeds():
    table = figure_3(counterparts(), states("probe"))
    row = at(table, "bert", "depth 12")
    assert (row["ours"], row["low"], row["high"]) == tuple(map(pytest.approx, (87.5, 87, 88)))
    assert (row["paper"], row["depth"], row["unit"]) == (89, 12, "points")
    assert "range over seeds" in row["remark"]
    assert at(table, "RoBERTa", "depth 1")["remark"].startswith(NOT_IN_STUDY)


def test_a_curve_of_one_seed_has_no_range():
    row = at(preprint_figure_5(counterparts(), states("similarity", seeds=(1,))), "bert", "depth 6")
    assert (row["ours"], row["paper"], row["unit"]) == (pytest.approx(0.69), 0.75, "cosine")
    assert (pd.isna(row["low"]), row["verdict"]) == (True, "")
    assert "one seed" in row["remark"]


def test_a_curve_without_one_of_the_tasks_is_blank():
    table = figure_3(counterparts(), states("probe", tasks=("sst2", "mnli")))
    row = at(table, "bert", "depth 3")
    assert pd.isna(row["ours"])
    assert "not run on qnli, qqp" in row["remark"]


def test_contribution_scores_show_which_layers_the_paper_drops():
    scores = pd.DataFrame(
        {"model": "bert", "task": task, "scored": "pretrained", "method": "contribution", "layer": layer}
        | {"value": 0.8 + 0.01 * layer + 0.02 * (task == "rte")}
        for task in ("sst2", "rte")
        for layer in range(12)
    )
    table = contribution(counterparts(tasks={"sst2": "SST-2", "rte": "RTE"}), scores)
    assert at(table, "bert, rte", "layer 4")["ours"] == pytest.approx(0.86)
    mean = at(table, "bert, mean of tasks", "layer 4")
    assert (mean["ours"], mean["depth"]) == (pytest.approx(0.85), 4)
    assert "BERT, threshold 0.95" in mean["remark"]
    assert "threshold" not in at(table, "bert, rte", "layer 0")["remark"]


# --- script --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder in which a small study was written."""
    folder = tmp_path_factory.mktemp("study")
    made_up: Study = replace(SMALL, strategies=("top", "contribution"), origins=("pretrained",), collapsed=())
    write_results(folder, write_study(folder, made_up))
    return folder


def reproduce(step, folder, item, status=0, protected=(), **files):
    settings = {"confidence": 0.95, "models": {"minilm": "DistilBERT"}, "num_layers": {"minilm": 6}}
    settings["protected_arms"] = [*protected]
    settings["tasks"] = {"docs-pair": None, "similarity": "STS-B"}
    options = ["--item", item, "--settings", canonical_json(settings), "--output", f"{item}.csv"]
    for option, file in files.items():
        options += [f"--{option}", f"results/small/{file}"]
    return step("reproduce_item", *options, folder=folder, status=status)


def test_script_makes_an_item_from_the_files_of_a_study(made, step):
    reproduce(step, made, "table-4", runs="runs.csv")
    table = read_table(made / "table-4.csv")
    assert list(table.columns) == COLUMNS
    row = at(table, "minilm, within 2 points", "STS-B (similarity)", "droppable_layers")
    assert row["paper"] == 3
    assert row["low"] <= row["ours"] <= row["high"]
    assert len(table["column"].unique()) == len(FIVE) + 1


def test_arms_with_protected_layers_are_not_shown(made, step):
    protected = [["minilm", "similarity", "pretrained", "top", amount] for amount in ("1", "2", "3")]
    reproduce(step, made, "table-2", runs="runs.csv", protected=protected)
    table = read_table(made / "table-2.csv")
    ours = table[(table["model"] == "minilm") & (table["num_dropped"] > 0)]
    assert ours[ours["task"] == "docs-pair"]["ours"].notna().all()
    of_limited = ours[ours["task"] == "similarity"]
    assert len(of_limited) and of_limited["ours"].isna().all() and (of_limited["remark"] != "").all()


def test_script_names_the_file_that_an_item_lacks(made, step):
    printed = reproduce(step, made, "figure-3", status=1, runs="runs.csv").stderr
    assert printed.splitlines()[-1] == "error: figure-3 is made from --table; name the file"


def test_every_item_of_a_written_study_is_a_frame(made, monkeypatch):
    monkeypatch.chdir(made)
    compared = counterparts({"minilm": "DistilBERT"}, {"docs-pair": "MRPC", "similarity": "STS-B"})
    folder = Path("results/small")
    scores = Scores.read(folder / "results.csv", folder / "resamples.parquet")
    by_layer = [figure_3(compared, read_table(folder / "states.csv"))]
    by_layer += [preprint_figure_5(compared, read_table(folder / "states.csv"))]
    by_layer += [contribution(compared, read_table(folder / "scores.csv"))]
    of_scores = [make(compared, scores) for make in (table_2, table_5, table_6, table_7, gradual, figure_2)]
    of_scores += [
        preprint_figure_3(compared, scores),
        table_3(
            compared,
            read_scores(read_table(folder / "runs.csv"), with_pace=True),
            read_costs([folder / "minilm/cost.json"]),
        ),
    ]
    for table in [*by_layer, *of_scores]:
        assert list(table.columns) == COLUMNS
        assert len(table)
        # Never a number without its word, never a blank without its reason.
        assert (table["ours"].notna() | (table["remark"] != "")).all()
        assert table["unit"].notna().all()
        ours = table[(table["model"] == "minilm") & table["low"].notna()]
        assert (ours["low"] <= ours["high"]).all()
    assert at(by_layer[0], "minilm", "depth 6")["ours"] > 80
