"""The comparison of searches: its rival, its arithmetic, and one on a tiny model from files to tables."""

import json
import runpy
import sys
import time
from argparse import Namespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import compare_search
import search_case
import tiny
import write_readme
from contest import Usage
from prune_greedily import prune
from recorded import merged
from search_case import FULL, GREEDY_PRUNING, LABELS, METHODS, MORE_TEXTS, Case, Price
from search_summary import SEARCH_KEYS, SEARCH_MODE, goals, summarise
from shallower.analysis.race import Trial
from shallower.core.errors import UserError
from shallower.core.files import read_json

MODE = {
    "compared": "choices",
    "device": "cpu",
    "model": "minilm",
    "threads": 2,
    "dropped": 1,
    "rows": 100,
    "epochs": 3,
    "refine_epochs": 1,
}
PRICES = {"fine_tunings": 0, "refinings": 0.0, "forward_passes": 0.0, "refine_seconds": 1.0, "full_seconds": 5.0}


def run_row(method, seed=1, kept="0 1", score=0.8, seconds=1.0, task="sst2", refining=LABELS, **others):
    """A row of search_runs.csv."""
    found = {"task": task, "seed": seed, "refining": refining, "method": method, "kept_layers": kept, "score": score}
    times = {"choose_seconds": seconds, "forward_seconds": 0.5, "readout_seconds": 2.0, "walk_passes": 12.0}
    where = {"machine": "M", "full_score": 0.9, "train_examples": 100}
    return {**MODE, **PRICES, **times, **found, **where, **others}


def resamples_of(runs):
    """Resamples that spread around each score by one point, alike for all: what is paired cancels."""
    spread = np.tile([-0.01, 0.0, 0.01], 100)
    found = {
        (row["task"], row["seed"], row["refining"], row["kept_layers"]): row["score"] + spread
        for _, row in runs.iterrows()
    }
    full = {(row["task"], row["seed"], FULL, FULL): row["full_score"] + spread for _, row in runs.iterrows()}
    return found | full


@pytest.fixture
def trials():
    """A function that refines subsets of three layers: its scores by hand, greedy misses the best pair's rest."""
    scores = {(1, 2): 0.7, (0, 2): 0.8, (0, 1): 0.6, (2,): 0.5, (0,): 0.4}
    asked = []

    def refine(subset):
        asked.append(subset)
        return Trial(subset, 1, scores[subset], loss=1.0)

    return refine, asked


def test_greedy_pruning_refines_every_candidate_and_keeps_the_best(trials):
    refine, asked = trials
    order, held = prune(3, 2, refine)
    assert order == [1, 0]
    assert asked == [(1, 2), (0, 2), (0, 1), (2,), (0,)] == [trial.subset for trial in held]


def test_of_equal_candidates_the_lower_loss_and_then_the_lower_layers_stay():
    def refine(subset):
        return Trial(subset, 1, score=0.5, loss=2.0 if subset == (0, 1) else 1.0)

    assert prune(3, 1, refine)[0] == [1]


def test_half_of_six_layers_take_fifteen_fine_tunings():
    assert len(prune(6, 3, lambda subset: Trial(subset, 1, 0.5, 1.0))[1]) == 6 + 5 + 4


def test_prices_add_up():
    assert Price(1.5, 2, 0.5, 10.0) + Price(2.0, 3, 1.0, 0.5) == Price(3.5, 5, 1.5, 10.5)


def test_a_summary_compares_with_greedy_pruning_on_the_same_seeds():
    runs = pd.DataFrame(
        [
            run_row(GREEDY_PRUNING, seed=1, kept="0 2", score=0.80, seconds=100.0),
            run_row(GREEDY_PRUNING, seed=2, kept="0 2", score=0.82, seconds=120.0),
            run_row("subset-readout", seed=1, score=0.83, seconds=5.0),
            run_row("subset-readout", seed=2, score=0.85, seconds=6.0),
        ]
    )
    greedy, readout = (row for _, row in summarise(runs, resamples_of(runs)).iterrows())
    assert (greedy["choose_seconds"], readout["choose_seconds"]) == pytest.approx((110, 5.5))
    assert readout["kept_layers"] == "0 1" and readout["seeds"] == 2
    assert readout["score"] == pytest.approx(84) and readout["kept"] == pytest.approx(100 * 0.84 / 0.9)
    assert readout["score_low"] < 84 < readout["score_high"]
    # Both sides spread alike, in examples and in seeds, so that nothing is left but the difference.
    assert readout["difference"] == pytest.approx(3) and readout["against"] == GREEDY_PRUNING
    assert (readout["difference_low"], readout["difference_high"]) == pytest.approx((3, 3))
    assert readout["p_value"] < 0.001
    assert greedy["against"] == "" and np.isnan(greedy["difference"])


def test_seeds_that_only_one_side_has_do_not_enter_the_difference():
    runs = pd.DataFrame(
        [
            run_row(GREEDY_PRUNING, seed=1, kept="0 2", score=0.80),
            run_row("top", seed=1, score=0.79),
            run_row("top", seed=2, score=0.20),
        ]
    )
    summary = summarise(runs, resamples_of(runs)).set_index("method")
    assert summary.loc["top", "difference"] == pytest.approx(-1)
    assert summary.loc["top", "score"] == pytest.approx(49.5)


def test_taught_choices_are_compared_with_those_refined_by_labels():
    runs = pd.DataFrame(
        [
            run_row("subset-readout", score=0.80),
            run_row("subset-readout", score=0.84, refining=MORE_TEXTS),
        ]
    )
    by_labels, taught = (row for _, row in summarise(runs, resamples_of(runs)).iterrows())
    assert taught["difference"] == pytest.approx(4) and taught["against"] == LABELS
    assert np.isnan(by_labels["difference"])


def summary_row(method, task="sst2", refining=LABELS, **others):
    row = {"method": method, "task": task, "refining": refining, "walk_passes": 12.0, "train_examples": 100}
    return {**row, "choose_seconds": 1.0, "difference": np.nan, "kept": 97.0, **others}


@pytest.mark.parametrize(
    ("seconds", "difference", "passes", "verdicts"),
    [
        (20.0, 0.5, 19.0, ["met", "met"]),
        (19.0, 0.5, 19.0, ["missed", "met"]),
        (20.0, -0.5, 21.0, ["missed", "missed"]),
    ],
)
def test_goals_are_met_or_missed(seconds, difference, passes, verdicts):
    summary = pd.DataFrame(
        [
            summary_row(GREEDY_PRUNING, choose_seconds=seconds, walk_passes=passes),
            summary_row("subset-readout", difference=difference, walk_passes=passes),
        ]
    )
    assert [verdict for _, verdict in goals(summary)] == verdicts


def test_rows_from_which_the_readout_is_cheap_enough_are_in_proportion():
    rows = [
        summary_row(method, task, choose_seconds=seconds, difference=0.0)
        for task, seconds in (("sst2", 10.0), ("mrpc", 40.0))
        for method, seconds in ((GREEDY_PRUNING, seconds), ("subset-readout", 1.0))
    ]
    text, verdict = goals(pd.DataFrame(rows))[0]
    assert verdict == "missed"
    assert "sst2 10.0 times, mrpc 40.0 times" in text and "from 200 training rows on" in text


@pytest.mark.parametrize(("scores", "verdict"), [([98.0, 99.0, 100.0], "met"), ([98.0, 97.9, 100.0], "missed")])
def test_enough_is_kept_where_three_tasks_keep_it(scores, verdict):
    rows = [
        summary_row("subset-readout", task, MORE_TEXTS, kept=kept)
        for task, kept in zip(("sst2", "mrpc", "stsb"), scores, strict=True)
    ]
    assert goals(pd.DataFrame(rows))[-1][1] == verdict


def test_new_rows_replace_those_of_the_same_mode_task_and_method():
    old = pd.DataFrame([run_row("top"), run_row("top", task="mrpc"), run_row(GREEDY_PRUNING)])
    new = pd.DataFrame([run_row("top", seed=7)])
    together = merged(old, new, SEARCH_MODE, ["task", "refining", "method"])
    found = zip(together["task"], together["method"], together["seed"], strict=True)
    assert sorted(found) == [("mrpc", "top", 1), ("sst2", GREEDY_PRUNING, 1), ("sst2", "top", 7)]


@pytest.fixture
def case(tmp_path):
    return Case(None, "sst2", 1, tmp_path, tmp_path, tmp_path / "run", 1)


def test_what_took_its_time_is_not_run_again(case, monkeypatch, tmp_path):
    def run(command, log, environment=None):
        ran.append(command[1:])
        return Usage(0.0, 2.5, 0.0, 0.0)

    ran = []
    monkeypatch.setattr(search_case, "run_process", run)
    assert [case.timed("both", ["one"], ["two"]), case.timed("both", ["one"], ["two"])] == [5.0, 5.0]
    assert ran == [["one"], ["two"]]


def test_what_failed_is_run_again(case, monkeypatch):
    def fail(*_):
        raise UserError("it ended with 1")

    monkeypatch.setattr(search_case, "run_process", fail)
    for _ in range(2):
        with pytest.raises(UserError, match="ended with 1"):
            case.timed("step", ["one"])


def make_glue(folder):
    """SST-2's form with made-up rows: 60 of training, 20 of validation."""
    definition = tiny.make_task_files(folder / "files", 60, 20)
    labels = {"bad": 0, "good": 1}
    (folder / "sst2").mkdir()
    for split in ("train", "validation"):
        table = pd.read_csv(definition[f"{split}_file"])
        columns = {"sentence": table["text"], "label": table["label"].map(labels), "idx": range(len(table))}
        parquet.write_table(
            pa.table({name: list(column) for name, column in columns.items()}), folder / f"sst2/{split}.parquet"
        )
    return folder


@pytest.fixture
def options(tmp_path):
    model_dir = tiny.make_model(tmp_path / "tiny", "bert", 3)
    settings = {"epochs": 1, "refine_epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "max_length": 16}
    sizes = {"rows": 24, "validation_rows": 20, "calibration": 20, "more_texts": 10}
    places = {"glue": make_glue(tmp_path), "work_dir": tmp_path / "work", "results": tmp_path / "results"}
    others = {"tasks": ["sst2"], "seeds": [1], "amount": 1, "methods": None, "teacher": False}
    return Namespace(**settings, **sizes, **places, **others, model_dir=model_dir, device="cpu", threads=1)


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Names of the scripts that ran, here in this process, which spares their start-up."""
    names = []

    def run(command, log, environment=None, directory=None):
        names.append(command[1].stem)
        if command[1].stem in ("finetune", "prune_greedily"):
            assert json.loads(command[command.index("--settings") + 1])["epochs"] == 1
        monkeypatch.setattr(sys, "argv", [str(part) for part in command[1:]])
        started = time.time()
        runpy.run_path(str(command[1]), run_name="__main__")
        return Usage(started, time.time() - started, 0.0, 0.0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shallower.core.cli.run_step", lambda parser, main: main(parser.parse_args()))
    for module in (compare_search, search_case):
        monkeypatch.setattr(module, "run_process", run)
    return names


def test_a_comparison_of_all_methods(options, ran, capsys, tmp_path):
    compare_search.main(options)
    runs = pd.read_csv(options.results / "search_runs.csv").set_index("method")
    assert list(runs.index) == list(METHODS)
    assert runs.loc["top", "kept_layers"] == "0 1" and (runs["kept_layers"].str.split().str.len() == 2).all()
    # Choices of the same layers are refined once, and have the same score and price.
    picks = runs.groupby("kept_layers")
    assert ran.count("finetune") == 1 + len(picks) and (picks["score"].nunique() == 1).all()
    assert (picks["refine_seconds"].nunique() == 1).all()
    assert ran.count("score_subsets") == ran.count("race_subsets") == ran.count("prune_greedily") == 1
    # Three candidates of two layers; a race of all three: for half an epoch, then two of them for one.
    assert runs["fine_tunings"].to_dict() == {**dict.fromkeys(METHODS, 0), GREEDY_PRUNING: 3, "subset-race": 5}
    assert runs.loc["subset-race", "refinings"] == pytest.approx(3 * 0.5 + 2)
    assert runs.loc[GREEDY_PRUNING, "forward_passes"] == pytest.approx(2)
    assert runs.loc["subset-readout", "forward_passes"] == pytest.approx(7 / 3, abs=0.01)
    assert (runs["choose_seconds"] > 0).all() and (runs["walk_passes"] > 0).all()
    summary = pd.read_csv(options.results / "search.csv").set_index("method")
    assert summary["score"].to_list() == pytest.approx((100 * runs["score"]).to_list(), rel=1e-4)
    assert "subset-readout at least 20 times cheaper" in capsys.readouterr().out
    assert [path.name for path in options.work_dir.iterdir()] == ["models"]


def test_an_interrupted_comparison_goes_on_with_teachers(options, ran, monkeypatch):
    options.teacher = True
    write = compare_search.write_results

    def interrupt(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_search, "write_results", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compare_search.main(options)
    assert len(pd.read_csv(options.results / "search_runs.csv")) == 1
    before = len(ran)
    monkeypatch.setattr(compare_search, "write_results", write)
    compare_search.main(options)
    again = ran[before:]
    assert again == ["teach", "drop_layers", "finetune", "predict"] * 2
    runs = pd.read_csv(options.results / "search_runs.csv")
    assert runs["refining"].to_list() == ["labels", "teacher", "teacher and more texts"]
    assert runs["kept_layers"].nunique() == 1
    assert runs["more_texts"].to_list() == [0, 0, 10]


def test_more_texts_are_those_that_no_split_has(options, ran):
    options.methods, options.teacher = ["top"], True
    found = []
    fetch = compare_search.fetch_more_texts

    def spy(definition, folder, most):
        fetch(definition, folder, most)
        found.append(read_json(folder / "unlabelled" / "manifest.json"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_search, "fetch_more_texts", spy)
        compare_search.main(options)
    (manifest,) = found
    assert {name: manifest["found"][name] for name in ("read", "train", "calibration", "left")} == {
        "read": 60,
        "train": 24,
        "calibration": 20,
        "left": 16,
    }
    assert manifest["rows"] == {"unlabelled": 10}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"glue": None}, "with --glue"),
        ({"tasks": ["imdb"]}, r"unknown tasks \['imdb'\]"),
        ({"tasks": ["mrpc"]}, "mrpc/train.parquet: file not found"),
        ({"calibration": 60}, "leave none to train on"),
    ],
)
def test_options_that_cannot_be_are_refused(options, changes, message):
    with pytest.raises(UserError, match=message):
        compare_search.main(Namespace(**{**vars(options), **changes}))


def test_ways_of_refining_take_the_place_of_no_choice():
    choice = {**MODE, "machine": "M", "task": "sst2", "refining": "labels", "more_texts": 0, "method": "subset-readout"}
    recorded = pd.DataFrame([choice | {"score": 0.8}])
    for change in ({"compared": "refinings"}, {"refine_epochs": 3}, {"more_texts": 6000}):
        assert len(merged(recorded, pd.DataFrame([choice | change]), SEARCH_MODE, SEARCH_KEYS)) == 2
    assert merged(recorded, pd.DataFrame([choice | {"score": 0.9}]), SEARCH_MODE, SEARCH_KEYS)["score"].to_list() == [
        0.9
    ]


def test_a_table_of_choices():
    where = {"machine": "M", "torch": "2", "transformers": "5", "python": "3", "commit": "c", "date": "today"}
    where["compute_device"] = "cpu"
    settings = {"batch_size": 16, "learning_rate": 1e-4, "calibration": 50}
    runs = pd.DataFrame(
        [
            run_row(GREEDY_PRUNING, kept="0 2", score=0.81, seconds=100.0, metric="accuracy", **where, **settings),
            run_row("top", score=0.80, seconds=0.1, metric="accuracy", **where, **settings),
        ]
    )
    table = write_readme.search_tables(summarise(runs, resamples_of(runs)))
    assert "### Choices: minilm on cpu, 1 layers dropped" in table and "sst2 90.00 (accuracy) after 5 s" in table
    assert "| sst2 | greedy-pruning | 0 2 | 100 |" in table
    assert "| -1.00 (-1.00 to -1.00) | greedy-pruning |" in table
