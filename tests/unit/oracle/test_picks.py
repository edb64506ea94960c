"""What strategies keep, by files of scores, and what that costs."""

import math

import pytest

from shallower.models.stack import Stack
from shallower.oracle.picks import Price, judged_strategies, pick, scores_to_read, summed_scores
from shallower.surgery.strategies import drop_order

SCORES = {
    "taylor": {"method": "taylor", "scores": [3.0, 1.0, 2.0]},
    "contribution": {"method": "contribution", "scores": [0.9, 0.5, 0.8]},
    "magnitude": {"method": "magnitude", "scores": [0.3, 0.2, 0.1]},
    "angular-distance": {"method": "angular-distance", "scores": [[0.1, 0.2, 0.3], [0.4, 0.3], [0.5]]},
    "subsets": {
        "method": "subsets",
        "num_layers": 3,
        "is_complete": True,
        "kept_layers": ["0", "1", "2", "0 1", "0 2", "1 2", "0 1 2"],
        "readout_loss": [0.7, 0.8, 0.9, 0.6, 0.4, 0.5, 0.1],
        "cost": {"forward_passes": 2.33},
    },
}
RACE = {"method": "race", "num_layers": 3, "winner": "0 1", "cost": {"epochs": 12.0}, "refine_epochs": 3}


@pytest.mark.parametrize(
    ("name", "amount", "kept", "price"),
    [
        ("top", 1, (0, 1), Price(0, 0)),
        ("bottom", 2, (2,), Price(0, 0)),
        ("magnitude", 1, (0, 1), Price(0, 0)),
        ("contribution-rank", 1, (1, 2), Price(0, 1)),
        ("angular-distance", 2, (0,), Price(0, 1)),
        ("taylor", 1, (0, 2), Price(0, 3)),
        ("subset-readout", 1, (0, 2), Price(0, 2.33)),
        ("subset-race", 1, (0, 1), Price(4, 2.33)),
    ],
)
def test_picks_and_their_prices(name, amount, kept, price):
    found = pick(name, Stack(3), amount, SCORES, RACE)
    assert (found.kept, found.price) == (kept, price)


def test_what_a_strategy_cannot_drop_or_has_no_scores_for_is_not_picked():
    assert pick("symmetric", Stack(3), 2, SCORES) is None
    assert pick("even-alternate", Stack(3), 2, SCORES) is None
    assert pick("subset-race", Stack(3), 1, SCORES) is None
    assert pick("block-influence", Stack(3), 1, SCORES) is None


def test_a_race_whose_refinings_train_nothing_has_no_price():
    assert math.isnan(pick("subset-race", Stack(3), 1, SCORES, RACE | {"refine_epochs": 0}).price.refinings)


def test_strategies_that_need_a_head_are_judged_where_runs_start_from_the_fine_tuned_model():
    needing = {"taylor", "subset-loss", "greedy-score"}
    assert needing <= set(judged_strategies("finetuned"))
    assert not needing & set(judged_strategies("pretrained"))
    for origin in ("pretrained", "finetuned"):
        assert not {"custom", "keep", "contribution"} & set(judged_strategies(origin))
    assert set(scores_to_read("finetuned")) - set(scores_to_read("pretrained")) == {"taylor"}
    assert "race" not in scores_to_read("finetuned")


@pytest.mark.parametrize("strategy", ["taylor", "contribution-rank", "magnitude"])
@pytest.mark.parametrize("amount", [1, 2])
def test_the_highest_sum_is_what_the_strategy_picks(strategy, amount):
    name = {"contribution-rank": "contribution"}.get(strategy, strategy)
    subsets = {1: [(0, 1), (0, 2), (1, 2)], 2: [(0,), (1,), (2,)]}[amount]
    sums = {subset: dict(summed_scores("finetuned", Stack(3), subset, SCORES))[name] for subset in subsets}
    dropped = drop_order(strategy, Stack(3), amount, SCORES[name])
    assert max(sums, key=sums.__getitem__) == tuple(layer for layer in range(3) if layer not in dropped)


def test_scores_of_blocks_and_subsets_have_no_sums():
    assert [name for name, _ in summed_scores("finetuned", Stack(3), (0,), SCORES)] == [
        "contribution",
        "magnitude",
        "taylor",
    ]
