"""Our orders by variance next to the paper's, on checkpoints whose weights are made to vary as wanted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from shallower.core.tables import read_table
from shallower.paper.orders_page import orders_page
from shallower.paper.parameter_orders import COLUMNS, common_prefix, parameter_orders
from shallower.paper.values import read_values

BERT_ORDER = [0, 11, 7, 8, 10, 1]
XLNET_ORDER = [10, 11, 6, 7, 8, 9]
VALUES = pd.DataFrame(
    [
        ("parameter-orders", "BERT", "parameter-variance", "dropped_layers", "0 11 7 8 10 1"),
        ("parameter-orders", "XLNet", "parameter-variance", "dropped_layers", "10 11 6 7 8 9"),
        ("contribution", "BERT", "contribution", "dropped_layers", "2 4"),
        ("table-2", "BERT", "top", "score", 90.25),
    ],
    columns=["item", "model", "strategy", "quantity", "value"],
)


def make_checkpoint(folder: Path, order: list[int], num_layers: int = 12, whole_order: list[int] | None = None) -> Path:
    """A BERT of nothing but matrices, whose output matrices vary least in `order`, the others ascending.

    Whole layers vary least in `whole_order`, if given.
    """
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "num_hidden_layers": num_layers}))

    def ranks(first: list[int]) -> list[int]:
        return [*first, *(layer for layer in range(num_layers) if layer not in first)]

    draw = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    tensors = {}
    for rank, layer in enumerate(ranks(order)):
        prefix = f"bert.encoder.layer.{layer}"
        tensors[f"{prefix}.output.dense.weight"] = draw * (1 + rank)
        tensors[f"{prefix}.output.dense.bias"] = np.zeros(8, np.float32)
        other = 100 * (1 + ranks(whole_order).index(layer)) if whole_order else 0
        tensors[f"{prefix}.intermediate.dense.weight"] = draw * np.float32(other)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_each_reading_is_compared_with_the_printed_order(tmp_path):
    folder = make_checkpoint(tmp_path / "model", BERT_ORDER, whole_order=[0, 11, 5, 6, 7, 8])

    orders = parameter_orders({"ours": folder}, {"ours": "BERT"}, VALUES)

    assert list(orders.columns) == COLUMNS
    found = orders[orders["model"] == "ours"].set_index("weights")
    assert list(found.index) == ["output-matrix", "output-matrix-and-bias", "layer"]
    assert list(found["ours"]) == ["0 11 7 8 10 1", "0 11 7 8 10 1", "0 11 5 6 7 8"]
    assert set(found["paper"]) == {"0 11 7 8 10 1"}
    assert list(found["match"]) == ["yes", "yes", "no"]
    assert list(found["common_prefix"]) == [6, 6, 2]
    assert found["remark"].isna().all()


def test_orders_of_the_paper_with_nothing_to_compare_are_shown_too(tmp_path):
    folder = make_checkpoint(tmp_path / "model", BERT_ORDER)

    orders = parameter_orders({"ours": folder}, {"ours": "BERT"}, VALUES)

    (rest,) = orders[orders["model"].isna()].to_dict("records")
    assert (rest["counterpart"], rest["paper"], rest["remark"]) == ("XLNet", "10 11 6 7 8 9", "not in this study")
    assert pd.isna(rest["ours"])


@pytest.mark.parametrize(
    ("num_layers", "counterpart", "ours", "remark"),
    [
        (4, "BERT", "3 1 0", "4 layers, the paper's BERT has 12"),
        (12, "RoBERTa", "3 1 0 2 4 5", "the paper prints no order for it"),
        (12, None, "3 1 0 2 4 5", "the paper prints no order for it"),
    ],
)
def test_what_cannot_be_compared_says_why(num_layers, counterpart, ours, remark, tmp_path):
    folder = make_checkpoint(tmp_path / "model", [3, 1], num_layers)

    orders = parameter_orders({"ours": folder}, {"ours": counterpart}, VALUES)

    found = orders[orders["model"] == "ours"]
    assert set(found["ours"]) == {ours}
    assert set(found["remark"]) == {remark}
    assert found[["paper", "match", "common_prefix"]].isna().all(axis=None)
    assert list(orders[orders["model"].isna()]["counterpart"]) == ["BERT", "XLNet"]


def test_shared_layers_get_a_row_and_no_order(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "albert", "num_hidden_layers": 12}))

    row = parameter_orders({"albert": tmp_path}, {"albert": "ALBERT"}, VALUES).iloc[0]

    assert row["remark"] == "all layers are one set of weights"
    assert row[["weights", "ours", "paper", "match"]].isna().all()


@pytest.mark.parametrize(
    ("ours", "paper", "length"),
    [([1, 2, 3], [1, 2, 3], 3), ([1, 2, 3], [1, 3, 2], 1), ([2], [1, 2], 0), ([1], [1, 2], 1), ([], [1], 0)],
)
def test_common_prefix(ours, paper, length):
    assert common_prefix(ours, paper) == length


def test_page_escapes_names_and_leaves_blank_what_is_unknown(tmp_path):
    folder = make_checkpoint(tmp_path / "model", BERT_ORDER)

    orders = parameter_orders({"<b>": folder}, {"<b>": "BERT"}, VALUES)
    page = orders_page(orders)

    assert '<th scope="row">&lt;b&gt;</th><td>BERT</td><td>output-matrix</td><td>0 11 7 8 10 1</td>' in page
    assert not [word for word in ("nan", "None", "<NA>") if f">{word}</t" in page]


def test_script_compares_with_the_papers_own_orders(tmp_path, step):
    make_checkpoint(tmp_path / "model-1", BERT_ORDER)
    make_checkpoint(tmp_path / "model-2", XLNET_ORDER)
    options = ["--model", "one=model-1", "--model", "two=model-2", "--counterparts", '{"one": "BERT", "two": "XLNet"}']
    step("check_parameter_orders", *options, "--output-dir", "orders", folder=tmp_path)

    orders = read_table(tmp_path / "orders/parameter-orders.csv")
    matrices = orders[orders["weights"] == "output-matrix"]
    assert list(matrices["model"]) == ["one", "two"]
    assert list(matrices["match"]) == ["yes", "yes"]
    assert list(orders[orders["model"].isna()]["counterpart"]) == ["RoBERTa"]
    assert (tmp_path / "orders/parameter-orders.html").is_file()


def test_the_papers_orders_are_on_file():
    orders = parameter_orders({}, {}, read_values()).set_index("counterpart")["paper"]

    assert orders.to_dict() == {"BERT": "0 11 7 8 10 1", "RoBERTa": "10 11 5 6 4 9", "XLNet": "10 11 6 7 8 9"}
