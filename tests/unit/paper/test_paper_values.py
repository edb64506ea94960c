import math

import pytest

from shallower.models.stack import Stack
from shallower.paper.names import FIVE, PAPER_MODELS, PAPER_TASKS, SEVEN
from shallower.paper.values import COLUMNS, paper_value, read_values
from shallower.surgery.strategies import STRATEGIES, drop_order

# Validation examples of the tasks whose scores are fractions of few examples (Table 1).
FEW = {"SST-2": 872, "RTE": 277, "MRPC": 408}
MEANS = {"mean7": SEVEN, "mean5": FIVE}


@pytest.fixture(scope="module")
def values():
    return read_values()


def best(rows):
    """What each number should read."""
    return rows["corrected"].fillna(rows["value"].astype(float))


def score(values, model, num_dropped, task, item="table-2"):
    return paper_value(values, item=item, quantity="score", model=model, num_dropped=num_dropped, task=task)


def test_columns_and_words(values):
    assert list(values) == COLUMNS
    assert set(values["source"]) == {"journal", "preprint"}
    assert set(values["how"]) == {"printed", "measured", "derived"}
    assert set(values["origin"]) == {"pretrained", "finetuned", "baseline", ""}
    later = {"parameter-aggregation", "parameter-variance"}
    assert set(values["strategy"]) - {"none", ""} <= set(STRATEGIES) | later
    assert set(values["task"]) - {""} == {*SEVEN, *MEANS}
    assert set(values["quantity"]) == {
        *("score", "loss", "parameters_millions", "finetune_speedup", "inference_time_change_percent"),
        *("droppable_layers", "held_out_loss", "probe_score", "similarity", "num_dropped", "dropped_layers"),
        *("train_examples", "validation_examples", "parameters_change_percent", "kept_percent"),
    }
    assert set(values.loc[values["item"] != "table-6", "model"]) - {""} <= set(PAPER_MODELS)
    assert values["cell"].ne("").all()
    assert not values.duplicated([column for column in COLUMNS if column not in ("value", "corrected", "note")]).any()


def test_how_a_number_was_come_by(values):
    measured = values["how"] == "measured"
    assert (values["uncertainty"].notna() == measured).all()
    assert set(values.loc[measured, "item"]) == {"figure-2", "figure-3", "preprint-figure-3", "preprint-figure-5"}
    assert values.loc[values["corrected"].notna(), "note"].ne("").all()
    assert values.loc[(values["how"] == "derived"), "note"].ne("").all()


@pytest.mark.parametrize(
    ("item", "quantity", "how", "count"),
    [
        ("table-1", "train_examples", "printed", 7),
        ("table-1", "validation_examples", "printed", 7),
        ("table-2", "score", "printed", 4 * 4 * 7),
        ("table-2", "score", "derived", 4 * 4 * 2),
        ("table-3", "loss", "printed", 4 * 4),
        ("table-3", "loss", "derived", 4 * 4),
        ("table-3", "parameters_millions", "printed", 4 * 4),
        ("table-3", "finetune_speedup", "printed", 4 * 4),
        ("table-3", "inference_time_change_percent", "printed", 4 * 3),
        ("table-4", "droppable_layers", "printed", 3 * 3 * 5),
        ("table-4", "held_out_loss", "printed", 3 * 3 * 5),
        ("preprint-table-2", "droppable_layers", "printed", 3 * 3 * 5),
        ("table-5", "score", "printed", 4 * 5),
        ("table-6", "score", "printed", 10 * 5 - 2),
        ("table-7", "score", "printed", 4 * 5),
        ("figure-2", "score", "measured", 24 - 1 + 24 - 2),
        ("preprint-figure-3", "score", "measured", 4 * 3 + 1 + 2),
        ("figure-3", "probe_score", "measured", 3 * 13),
        ("preprint-figure-5", "similarity", "measured", 2 * 12),
        ("contribution", "dropped_layers", "printed", 4),
        ("parameter-orders", "dropped_layers", "printed", 3),
    ],
)
def test_every_cell_is_there(values, item, quantity, how, count):
    here = (values["item"] == item) & (values["quantity"] == quantity) & (values["how"] == how)
    assert here.sum() == count


def test_scores_are_fractions_of_the_validation_examples(values):
    own = values[values["item"].isin(["table-2", "table-5", "table-7"]) & values["task"].isin(FEW)]
    examples = own["task"].map(FEW)
    impossible = (best(own) / 100 * examples - (best(own) / 100 * examples).round()).abs() > 0.0051 / 100 * examples
    assert not impossible.any()
    misprint = own[own["corrected"].notna()]
    assert list(misprint["cell"]) == ["BERT, 6 dropped from the pre-trained model, SST-2"]
    right = 92.25 / 100 * FEW["SST-2"]
    assert abs(right - round(right)) > 0.0051 / 100 * FEW["SST-2"]
    for task, examples in FEW.items():
        assert paper_value(values, quantity="validation_examples", task=task).value == examples


def test_means_are_of_the_printed_values(values):
    groups = values[(values["quantity"] == "score") & values["item"].str.startswith("table-")]
    checked = 0
    for _, rows in groups.groupby(["item", "model", "origin", "num_dropped"], dropna=False):
        by_task = best(rows).set_axis(rows["task"])
        for name in set(MEANS) & set(by_task.index):
            assert by_task[name] == pytest.approx(by_task[list(MEANS[name])].mean(), abs=0.0051)
            checked += 1
    assert checked == 32 + 4 + 9 + 4


def test_losses_are_those_of_the_scores(values):
    losses = values[(values["item"] == "table-3") & (values["quantity"] == "loss")]
    own = [
        score(values, row.model, 0, row.task).value - score(values, row.model, row.num_dropped, row.task).value
        for row in losses.itertuples()
    ]
    assert best(losses).to_numpy() == pytest.approx(own, abs=0.021)
    roberta = losses[(losses["model"] == "RoBERTa") & (losses["how"] == "printed")].set_index("num_dropped")
    assert dict(roberta["task"]) == {0: "mean7", 2: "mean7", 4: "mean5", 6: "mean5"}
    assert roberta.loc[2, "value"] == -0.42
    assert roberta.loc[2, "corrected"] == pytest.approx(-0.84)


def test_the_same_cell_says_the_same_everywhere(values):
    # BERT-6 and RoBERTa-6 of Table 6, BERT-6 and XLNet-6 of Table 7, DistilBERT of Table 6 are in Table 2 too.
    twice = values[values["item"].isin(["table-6", "table-7"]) & (values["origin"].isin(["pretrained", "baseline"]))]
    compared = 0
    for row in twice[twice["model"] != "DistilRoBERTa"].itertuples():
        right = row.value if math.isnan(row.corrected) else row.corrected
        assert right == score(values, row.model, row.num_dropped, row.task).value, row.cell
        compared += 1
    assert compared == 5 * 6


def test_bars_agree_with_the_means_of_the_tables(values):
    for item in ("figure-2", "preprint-figure-3"):
        bars = values[(values["item"] == item) & values["strategy"].isin(["top", "none"])]
        assert len(bars) == (8 if item == "figure-2" else 4)
        for bar in bars.itertuples():
            assert score(values, bar.model, bar.num_dropped, "mean7").value == pytest.approx(bar.value, abs=0.11)


def test_contribution_sets_are_in_the_figure(values):
    sets = values[(values["item"] == "contribution") & (values["quantity"] == "dropped_layers")]
    counts = values[(values["item"] == "contribution") & (values["quantity"] == "num_dropped")]
    assert [len(text.split()) for text in sets["value"]] == list(counts["value"]) == list(sets["num_dropped"])
    bars = values[(values["item"] == "figure-2") & (values["strategy"] == "contribution")]
    plotted = sets[~sets["note"].str.contains("not in Figure 2")]
    assert set(zip(bars["model"], bars["num_dropped"], strict=True)) == set(
        zip(plotted["model"], plotted["num_dropped"], strict=True)
    )


def test_orders_are_of_distinct_layers(values):
    orders = values[values["item"] == "parameter-orders"].set_index("model")["value"]
    assert orders["BERT"] == "0 11 7 8 10 1"
    by_model = {model: list(map(int, text.split())) for model, text in orders.items()}
    assert all(len(set(order)) == 6 and set(order) <= set(range(12)) for order in by_model.values())
    assert sorted(by_model["XLNet"]) == sorted(drop_order("top", Stack(12), 6))  # their bars have the same height


def test_some_numbers_as_printed(values):
    assert score(values, "BERT", 6, "MNLI").value == 81.13
    assert score(values, "DistilBERT", 3, "MRPC").value == 77.45
    assert score(values, "ALBERT", 4, "QQP", "table-5").value == 88.51
    assert score(values, "XLNet", 4, "mean7", "table-2").value == 85.91
    table4 = {"item": "table-4", "model": "RoBERTa", "task": "QQP", "tolerance": 3}
    assert paper_value(values, quantity="droppable_layers", **table4).value == 10
    assert paper_value(values, quantity="held_out_loss", **table4).value == 3.21
    bar = paper_value(values, item="figure-2", model="XLNet", strategy="symmetric", num_dropped=2)
    assert (bar.value, bar.how, bar.uncertainty) == (82.9, "measured", 0.1)
    assert paper_value(values, item="preprint-figure-5", model="XLNet", depth=12).value == 0.49
    assert paper_value(values, item="figure-3", model="RoBERTa", depth=1).value == 71.5


def test_misprints_keep_what_is_printed(values):
    found = paper_value(values, item="table-7", model="BERT", origin="pretrained", task="SST-2")
    assert (found.printed, found.value) == (92.25, 90.25)
    assert "misprint" in found.note
    sizes = {"quantity": "parameters_millions", "num_dropped": 6}
    assert paper_value(values, model="RoBERTa", **sizes).value == 82.1
    assert paper_value(values, model="BERT", **sizes).value == 66


def test_lookups(values):
    assert paper_value(values, item="figure-2", model="XLNet", strategy="contribution", num_dropped=2) is None
    with pytest.raises(ValueError, match="7 of the paper's numbers"):
        paper_value(values, item="table-2", model="BERT", num_dropped=2, how="printed")
    with pytest.raises(KeyError):
        paper_value(values, amount=2)


def test_names(values):
    assert tuple(PAPER_TASKS.values()) == SEVEN
    assert set(values["model"]) >= set(PAPER_MODELS)
