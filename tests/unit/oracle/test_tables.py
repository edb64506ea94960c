"""Regrets, verdicts and their tables, worked out by hand."""

import numpy as np
import pytest
from made_up import make_place

from documented import unexplained_columns
from shallower.evaluation.estimates import Estimate
from shallower.oracle.names import BEST, RANDOM, TABLES, UNDECIDED, WITHIN, WORSE
from shallower.oracle.regrets import Depth
from shallower.oracle.tables import judge, verdict

# Of one layer 2 is best, of two 0 and 2.
SCORES = {"0": [50], "1": [60], "2": [70], "0 1": [80], "0 2": [90], "1 2": [85]}
LOSSES = {"0": 0.9, "1": 0.7, "2": 0.8, "0 1": 0.4, "0 2": 0.5, "1 2": 0.6}
MAGNITUDES = {"magnitude": [1.0, 2.0, 3.0]}


def regrets(place, size):
    return {found.choice: found for found in Depth(place, size).regrets()}


def test_regret_is_what_is_missing_to_the_best_of_the_size():
    place = make_place(SCORES, readout_loss=LOSSES, layer_scores=MAGNITUDES)
    two = regrets(place, 2)
    assert {name: found.regret.value for name, found in two.items()} == {
        "top": 10, "bottom": 5, "even-alternate": 0, "odd-alternate": 10, "symmetric": 0, "magnitude": 5,
        "subset-readout": 10, "subset-loss": 10, "ablation": 10, "greedy-score": 10, RANDOM: pytest.approx(5),
    }  # fmt: skip
    assert {name: found.ranks for name, found in two.items() if found.kept}["top"] == [3]
    assert two["even-alternate"].kept == [(0, 2)]
    one = regrets(place, 1)
    assert (one["subset-readout"].regret.value, one["bottom"].regret.value, one["top"].regret.value) == (10, 0, 20)
    assert not {"even-alternate", "symmetric", "subset-race", "taylor"} & set(one)


def test_the_apparent_regret_is_against_what_is_best_on_all_examples():
    # On the first half 0 1 is best, on the second 0 2; by the means of both 0 2.
    halves = [SCORES | {"0 1": [92], "0 2": [80]}, SCORES | {"0 1": [80], "0 2": [91]}]
    means = SCORES | {"0 1": [86], "0 2": [85.5]}
    found = regrets(make_place(means, halves), 2)
    assert found["top"].apparent == 0
    # Best of the second half, 0 2, has 80 on the first; 0 1, best there, 80 on the second: (80 - 92 + 80 - 80) / 2.
    assert found["top"].regret.value == -6


def test_a_shortlist_of_one_is_the_pick_by_the_readout_and_all_subsets_lose_nothing():
    depth = Depth(make_place(SCORES, readout_loss=LOSSES), 2)
    found = {count: depth.shortlist_regret(count) for count in (1, 2, 4)}
    assert [regret.value for regret, _ in found.values()] == [10, 0, 0]
    assert [price.refinings for _, price in found.values()] == [0, 1, 2]  # there are three subsets


def test_equal_subsets_share_the_mean_of_their_ranks():
    found = regrets(make_place(SCORES | {"0 1": [90], "0 2": [90], "1 2": [80]}), 2)
    assert (found["top"].ranks, found["even-alternate"].ranks, found["bottom"].ranks) == ([1.5], [1.5], [3])


def test_the_race_is_judged_by_its_own_picks():
    race = {"method": "race", "num_layers": 3, "winner": "1 2", "cost": {"epochs": 3.0}, "refine_epochs": 0.5}
    found = regrets(make_place(SCORES, races={(1, 1): race}), 2)["subset-race"]
    assert (found.regret.value, found.price.refinings) == (5, 6)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(-2, 0.9, WITHIN), (0.1, 0.9, WITHIN), (0.1, 1.5, WORSE), (-0.1, 1.5, UNDECIDED)]
)
def test_verdicts_go_by_the_whole_interval(low, high, expected):
    samples = np.concatenate([[low] * 50, [(low + high) / 2] * 900, [high] * 50])
    assert verdict(Estimate((low + high) / 2, samples, 2), 0.95) == expected


def test_tables_of_two_tasks():
    other = {label: [score - 2 * len(label)] for label, (score,) in SCORES.items()}
    places = [
        make_place(SCORES, readout_loss=LOSSES, layer_scores=MAGNITUDES),
        make_place({name: other[name] for name in ("0", "1", "2", "0 1")}, readout_loss=LOSSES, task="u"),
    ]
    tables = judge(places, 0.95)
    assert list(tables) == list(TABLES)
    for name, table in tables.items():
        assert unexplained_columns(table.columns, "oracle/*.csv") == [], name
    coverage = tables["coverage"].set_index(["task", "num_kept"])["judged"]
    assert coverage.to_dict() == {("t", 1): True, ("t", 2): True, ("u", 1): True, ("u", 2): False}
    strategies = tables["strategies"].set_index("strategy")
    # On t with two layers and one, and on u with one, bottom keeps 1 2 and then 2: regrets 5, 0 and 0.
    bottom, top = strategies.loc["bottom"], strategies.loc["top"]
    assert (bottom["regret"], bottom["cases"], bottom["verdict"]) == (pytest.approx(5 / 3), 3, BEST)
    assert (bottom["in_best_third"], bottom["picks"], bottom["expected_by_chance"]) == (2, 3, pytest.approx(1))
    # Top keeps 0 1 and then 0: 10, 20 and 20.
    assert (top["regret"], top["difference"], top["verdict"]) == (pytest.approx(50 / 3), pytest.approx(15), WORSE)
    # What cannot drop two layers is compared where it can.
    even = strategies.loc["even-alternate"]
    assert (even["cases"], even["regret"], even["difference"]) == (1, 0, pytest.approx(-5))
    shortlists = tables["shortlists"]
    of_mean = shortlists[shortlists["task"] == ""].set_index("refined")["regret"]
    # One: 10 on t with two layers, else that of layer 1, 10; all: nothing.
    assert (of_mean[1], of_mean[4]) == (pytest.approx(10), 0)
    best = tables["best"].set_index(["task", "num_kept"])["kept_layers"].to_dict()
    assert best == {("t", 1): "2", ("t", 2): "0 2", ("u", 1): "2"}
    correlations = tables["correlations"].set_index(["task", "measure", "num_kept"])["correlation"]
    assert correlations["t", "readout_loss", "1"] == pytest.approx(0.5)
    assert correlations["", "sum of magnitude", "within"] == correlations["t", "sum of magnitude", "within"]
