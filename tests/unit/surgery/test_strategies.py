"""The layers that each strategy drops: the paper's sets, and what is refused.

The sets are written as in the paper, whose layers are counted from 1.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.amounts import AMOUNT_KINDS, COUNT, KEPT_LAYERS, LAYERS, THRESHOLD
from shallower.surgery.strategies import (
    STRATEGIES,
    amount_label,
    check_amount,
    drop_order,
)

PROJECT = Path(__file__).parents[3]


PAPER_SETS = [
    # (strategy, layers of the model, layers dropped, counted from 1)
    ("top", 12, [11, 12]),
    ("top", 12, [9, 10, 11, 12]),
    ("top", 12, [7, 8, 9, 10, 11, 12]),
    ("even-alternate", 12, [10, 12]),
    ("even-alternate", 12, [6, 8, 10, 12]),
    ("even-alternate", 12, [2, 4, 6, 8, 10, 12]),
    ("odd-alternate", 12, [9, 11]),
    ("odd-alternate", 12, [5, 7, 9, 11]),
    ("odd-alternate", 12, [1, 3, 5, 7, 9, 11]),
    ("symmetric", 12, [6, 7]),
    ("symmetric", 12, [5, 6, 7, 8]),
    ("symmetric", 12, [4, 5, 6, 7, 8, 9]),
    ("bottom", 12, [1, 2]),
    ("bottom", 12, [1, 2, 3, 4]),
    ("bottom", 12, [1, 2, 3, 4, 5, 6]),
    ("top", 6, [6]),
    ("top", 6, [5, 6]),
    ("top", 6, [4, 5, 6]),
    ("even-alternate", 6, [6]),
    ("even-alternate", 6, [4, 6]),
    ("even-alternate", 6, [2, 4, 6]),
    ("odd-alternate", 6, [5]),
    ("odd-alternate", 6, [3, 5]),
    ("odd-alternate", 6, [1, 3, 5]),
    ("symmetric", 6, [3, 4]),
    ("bottom", 6, [1]),
    ("bottom", 6, [1, 2]),
    ("bottom", 6, [1, 2, 3]),
]

# The paper prints the sets and orders that scores gave, not the scores: (layers scored, the highest first, how many
# of them are above each threshold) and the order in which the six of lowest variance go. Counted from 1.
CONTRIBUTION_SETS = [
    ("BERT", [3, 5, 8, 9], {0.95: 2, 0.925: 4}),
    ("XLNet", [9, 10, 11, 8], {0.95: 0, 0.925: 3, 0.9: 4}),
]
VARIANCE_ORDERS = {
    "BERT": [1, 12, 8, 9, 11, 2],
    "RoBERTa": [11, 12, 6, 7, 5, 10],
    "XLNet": [11, 12, 7, 8, 9, 10],
}


def drop(*arguments) -> list[int]:
    """The layers that a strategy drops, ascending."""
    return sorted(drop_order(*arguments))


def contribution(*scores: float) -> dict:
    return {"method": "contribution", "scores": list(scores)}


@pytest.mark.parametrize(("strategy", "num_layers", "dropped"), PAPER_SETS)
def test_sets_of_the_paper(strategy, num_layers, dropped):
    assert drop(strategy, Stack(num_layers), len(dropped)) == [layer - 1 for layer in dropped]


@pytest.mark.parametrize(("layers", "above"), [case[1:] for case in CONTRIBUTION_SETS], ids=["BERT", "XLNet"])
def test_contribution_sets_of_the_paper(layers, above):
    scores = [0.8] * 12
    for threshold, count in above.items():
        for place, layer in enumerate(layers[:count]):
            scores[layer - 1] = max(scores[layer - 1], threshold + 0.01 - place / 1000)

    for threshold, count in above.items():
        expected = [layer - 1 for layer in layers[:count]]
        assert drop("contribution", Stack(12), threshold, contribution(*scores)) == sorted(expected)
        if count:
            assert drop_order("contribution-rank", Stack(12), count, contribution(*scores)) == expected


@pytest.mark.parametrize("count", [2, 4, 6])
@pytest.mark.parametrize("model", VARIANCE_ORDERS)
def test_variance_sets_of_the_paper(model, count):
    variances = [1.0] * 12
    for place, layer in enumerate(VARIANCE_ORDERS[model]):
        variances[layer - 1] = 0.1 * place
    scores = {"method": "parameter-variance", "scores": variances}
    expected = [layer - 1 for layer in VARIANCE_ORDERS[model][:count]]

    assert drop_order("parameter-variance", Stack(12), count, scores) == expected
    assert drop("parameter-variance", Stack(12), count, scores) == sorted(expected)


def test_variance_drops_xlnets_six_upper_layers():
    assert sorted(VARIANCE_ORDERS["XLNet"]) == [layer + 1 for layer in drop("top", Stack(12), 6)]


@pytest.mark.parametrize(
    ("strategy", "method", "order"),
    [
        ("contribution-rank", "contribution", [4, 0, 3, 5, 1]),
        ("parameter-aggregation", "parameter-aggregation", [2, 5, 1, 3, 0]),
        ("parameter-variance", "parameter-variance", [2, 5, 1, 3, 0]),
        ("magnitude", "magnitude", [2, 5, 1, 3, 0]),
        ("block-influence", "block-influence", [2, 5, 1, 3, 0]),
        ("taylor", "taylor", [2, 5, 1, 3, 0]),
    ],
)
def test_scored_layers_are_dropped_by_rank_and_of_equals_the_upper_first(strategy, method, order):
    scores = {"method": method, "scores": [0.7, 0.5, -0.1, 0.6, 0.9, 0.5]}

    for count in range(1, 6):
        assert drop_order(strategy, Stack(6), count, scores) == order[:count]
        assert drop(strategy, Stack(6), count, scores) == sorted(order[:count])


@pytest.mark.parametrize(
    ("strategy", "num_layers", "amount", "order"),
    [
        ("top", 12, 3, [11, 10, 9]),
        ("even-alternate", 12, 3, [11, 9, 7]),
        ("odd-alternate", 12, 3, [10, 8, 6]),
        ("symmetric", 12, 4, [7, 6, 5, 4]),
        ("bottom", 12, 3, [0, 1, 2]),
        ("custom", 6, [1, 5, 3], [5, 3, 1]),
        ("custom", 6, [5, 3, 1], [5, 3, 1]),
        ("keep", 6, [0, 5, 1], [4, 3, 2]),
    ],
)
def test_layers_are_dropped_from_the_top_down_and_for_bottom_from_the_bottom_up(strategy, num_layers, amount, order):
    assert drop_order(strategy, Stack(num_layers), amount) == order
    assert drop(strategy, Stack(num_layers), amount) == sorted(order)


# Of 4 layers: blocks of one layer, of two, of three, and all.
DISTANCES = {"method": "angular-distance", "scores": [[0.3, 0.1, 0.2, 0.4], [0.25, 0.2, 0.35], [0.3, 0.3], [0.5]]}


@pytest.mark.parametrize(("amount", "order"), [(1, [1]), (2, [2, 1]), (3, [3, 2, 1])])
def test_the_block_with_the_smallest_angular_distance_is_dropped_from_the_top_down(amount, order):
    assert drop_order("angular-distance", Stack(4), amount, DISTANCES) == order


def test_angular_distances_of_a_model_of_another_depth_are_refused():
    with pytest.raises(UserError, match="not of 6 layers; score this model again"):
        drop_order("angular-distance", Stack(6), 1, DISTANCES)


def test_layers_above_a_threshold_are_dropped_by_rank():
    assert drop_order("contribution", Stack(4), 0.9, contribution(0.95, 0.99, 0.8, 0.95)) == [1, 3, 0]


@pytest.mark.parametrize(
    ("strategy", "num_layers", "dropped"),
    [
        ("symmetric", 5, [3]),
        ("symmetric", 5, [2, 3, 4]),
        ("even-alternate", 5, [2, 4]),
        ("odd-alternate", 5, [3, 5]),
        ("odd-alternate", 5, [1, 3, 5]),
    ],
)
def test_models_with_an_odd_number_of_layers(strategy, num_layers, dropped):
    assert drop(strategy, Stack(num_layers), len(dropped)) == [layer - 1 for layer in dropped]


@pytest.mark.parametrize("strategy", [name for name, entry in STRATEGIES.items() if entry.score is None])
@pytest.mark.parametrize("num_layers", range(1, 25))
def test_every_accepted_amount_drops_that_many_distinct_layers_and_keeps_one(strategy, num_layers):
    if STRATEGIES[strategy].amount.names_layers:
        amounts = [list(range(count)) for count in range(num_layers + 2)]
    else:
        amounts = list(range(-1, num_layers + 2))
    for amount in amounts:
        if check_amount(strategy, amount, num_layers and Stack(num_layers)):
            with pytest.raises(UserError, match=strategy):
                drop(strategy, Stack(num_layers), amount)
            continue
        dropped = drop(strategy, Stack(num_layers), amount)
        assert dropped == sorted(set(dropped))
        assert len(dropped) == STRATEGIES[strategy].amount.num_dropped(amount, num_layers)
        assert 0 < len(dropped) < num_layers
        assert set(dropped) <= set(range(num_layers))


def test_custom_drops_the_listed_layers():
    assert drop("custom", Stack(6), [5, 3]) == [3, 5]


def test_contribution_drops_layers_scored_above_the_threshold():
    scores = contribution(0.80, 0.95, 0.96, 0.9501, 0.2, 0.99)

    assert drop("contribution", Stack(6), 0.95, scores) == [2, 3, 5]
    assert drop_order("contribution", Stack(6), 0.95, scores) == [5, 2, 3]


def test_contribution_may_drop_no_layer():
    assert drop("contribution", Stack(3), 0.95, contribution(0.5, 0.95, 0.6)) == []


def test_contribution_that_would_drop_all_layers_is_refused_with_the_scores():
    with pytest.raises(UserError, match=r"all 2 layers score above .*0\.9, .*raise the threshold.*0\.9600, 0\.9700"):
        drop("contribution", Stack(2), 0.9, contribution(0.96, 0.97))  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (None, "needs the layers' scores"),
        (contribution(0.5, 0.6), "2 contribution scores for 3 layers"),
        (contribution(0.5, float("nan"), 0.6), r"layers \[1\] are not finite"),
        ({"method": "variance", "scores": [1, 2, 3]}, "'variance' scores"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores, words):
    with pytest.raises(UserError, match=words):
        drop("contribution", Stack(3), 0.95, scores)


@pytest.mark.parametrize(
    ("strategy", "amount", "num_layers", "words"),
    [
        ("top", 0, None, "at least 1"),
        ("top", -2, None, "at least 1"),
        ("top", 1.5, None, "not a number of layers"),
        ("top", 2.0, None, "not a number of layers"),
        ("top", "2", None, "not a number of layers"),
        ("top", True, None, "not a number of layers"),
        ("top", [1], None, "not a number of layers"),
        ("top", 6, 6, "at most 5"),
        ("bottom", 7, 6, "at most 5"),
        ("even-alternate", 4, 6, "only 3 are even"),
        ("even-alternate", 3, 5, "only 2 are even"),
        ("odd-alternate", 4, 6, "only 3 are odd"),
        ("symmetric", 1, 6, "write an even number"),
        ("symmetric", 2, 5, "write an odd number"),
        ("symmetric", 6, 6, "at most 5"),
        ("custom", [], None, "not a list of layers"),
        ("custom", 3, None, "not a list of layers"),
        ("custom", [1, -1], None, "not a list of layers"),
        ("custom", [1, 1.0], None, "not a list of layers"),
        ("custom", [3, 3], None, "names a layer twice"),
        ("custom", [6], 6, "there is no layer 6; the 6 layers are 0 to 5"),
        ("custom", [0, 1, 2], 3, "leave out at least one"),
        ("keep", [6], 6, "there is no layer 6; the 6 layers are 0 to 5"),
        ("keep", [0, 1, 2], 3, "leave out at least one"),
        ("contribution", 2, None, "not a threshold"),
        ("contribution", 0, None, "not a threshold"),
        ("contribution", 1, None, "not a threshold"),
        ("contribution", float("nan"), None, "not a threshold"),
        ("contribution", "0.9", None, "not a threshold"),
        ("contribution", True, None, "not a threshold"),
        ("contribution-rank", 0.95, None, "not a number of layers"),
        ("parameter-aggregation", 6, 6, "at most 5"),
        ("parameter-variance", 0, None, "at least 1"),
    ],
)
def test_amounts_that_do_not_fit_are_reported(strategy, amount, num_layers, words):
    assert words in check_amount(strategy, amount, num_layers and Stack(num_layers))


@pytest.mark.parametrize(
    ("strategy", "amount", "num_layers"),
    [("top", 100, None), ("top", 5, 6), ("custom", [99], None), ("contribution", 0.95, 12)],
)
def test_amounts_that_fit_pass(strategy, amount, num_layers):
    assert check_amount(strategy, amount, num_layers and Stack(num_layers)) is None


def test_unknown_strategy_is_refused_with_the_known_ones():
    for ask in (lambda: drop("tpo", Stack(6), 1), lambda: check_amount("tpo", 1)):
        with pytest.raises(UserError, match=r"'tpo'; known: top, bottom"):
            ask()


@pytest.mark.parametrize(
    ("amount", "label"),
    [
        (2, "2"),
        (0.95, "0.95"),
        (0.925, "0.925"),
        (1e-5, "0.00001"),
        ([3, 5, 8], "3.5.8"),
        ([10, 9], "9.10"),
        ((4,), "4"),
    ],
)
def test_labels_of_amounts(amount, label):
    assert amount_label(amount) == label


def test_every_strategy_is_described():
    for name, strategy in STRATEGIES.items():
        assert strategy.name == name
        assert strategy.description.endswith(".")
        assert strategy.section
        assert strategy.amount in AMOUNT_KINDS


@pytest.mark.parametrize(
    ("kind", "amount", "num_layers", "num_dropped"),
    [
        (COUNT, 3, None, 3),
        (LAYERS, [2, 5], None, 2),
        (THRESHOLD, 0.95, 12, None),
        (KEPT_LAYERS, [0, 1, 5], 6, 3),
        (KEPT_LAYERS, [0, 1, 5], None, None),
    ],
)
def test_how_many_layers_an_amount_drops(kind, amount, num_layers, num_dropped):
    assert kind.num_dropped(amount, num_layers) == num_dropped


# --- choose_layers.py ---


def choose(folder: Path, *options: str, config: dict | None = None) -> subprocess.CompletedProcess:
    (folder / "config.json").write_text(json.dumps(config or {"model_type": "distilbert", "n_layers": 6}))
    script = PROJECT / "workflow/scripts/choose_layers.py"
    output = ["--config", str(folder / "config.json"), "--output", str(folder / "layers.json")]
    return subprocess.run(
        [sys.executable, str(script), *output, *options],
        env={"PYTHONPATH": str(PROJECT / "workflow")},
        capture_output=True,
        text=True,
    )


def test_script_writes_the_choice(tmp_path):
    assert choose(tmp_path, "--strategy", "top", "--amount", "2").returncode == 0

    assert json.loads((tmp_path / "layers.json").read_text()) == {
        "family": "distilbert",
        "num_layers": 6,
        "kept_layers": [0, 1, 2, 3],
        "dropped_layers": [4, 5],
        "order": [5, 4],
        "strategy": "top",
        "amount": "2",
        "scores": None,
    }


def test_script_records_the_scores_that_it_used(tmp_path):
    scores = contribution(0.1, 0.2, 0.96, 0.3, 0.97, 0.4)
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    options = ["--strategy", "contribution", "--amount", "0.95", "--scores", str(tmp_path / "scores.json")]

    assert choose(tmp_path, *options).returncode == 0

    layers = json.loads((tmp_path / "layers.json").read_text())
    assert layers["dropped_layers"] == [2, 4]
    assert layers["order"] == [4, 2]
    assert layers["amount"] == "0.95"
    assert layers["scores"] == scores


def test_script_writes_a_baselines_layers(tmp_path):
    assert choose(tmp_path, "--strategy", "none").returncode == 0

    layers = json.loads((tmp_path / "layers.json").read_text())
    assert (layers["strategy"], layers["amount"]) == ("none", "0")
    assert (layers["kept_layers"], layers["dropped_layers"], layers["order"]) == ([0, 1, 2, 3, 4, 5], [], [])


def test_script_reports_a_users_mistake_without_a_traceback(tmp_path):
    result = choose(tmp_path, "--strategy", "custom", "--amount", "[6]")

    assert result.returncode == 1
    assert "error: custom: [6]: there is no layer 6" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "layers.json").exists()


def test_script_needs_no_deep_learning_library(tmp_path):
    """Choosing layers must start in no time: neither torch nor transformers may come along."""
    code = (
        "import sys\n"
        "import shallower.surgery.strategies, shallower.surgery.drop_layers\n"
        "import shallower.models.weight_files, shallower.models.families\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PROJECT / "workflow")}, check=True, cwd=tmp_path
    )
