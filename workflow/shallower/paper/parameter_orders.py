"""Which reading of "final weights" reproduces the orders in which the paper drops layers by variance?

The paper prints, for three models, the first six layers in the order of dropping (section 5.1), but neither which
weights of a layer they come from nor their variances. Checkpoints alone suffice to find out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from shallower.analysis.parameter_scores import READINGS, parameter_scores
from shallower.core.files import read_json
from shallower.models.families import family_of
from shallower.paper.names import PAPER_MODELS
from shallower.surgery.strategies import drop_order

METHOD = "parameter-variance"
SHOWN = 6  # layers of an order, as many as the paper prints
COLUMNS = ["model", "counterpart", "method", "weights", "ours", "paper", "match", "common_prefix", "remark"]


def parameter_orders(
    folders: Mapping[str, str | Path], counterparts: Mapping[str, str | None], values: pd.DataFrame
) -> pd.DataFrame:
    """One row for each model and reading, with the first six layers in our order and in the paper's (`COLUMNS`).

    `folders` are the models' checkpoints; `counterparts` name the paper's model that each is compared with; `values`
    are the paper's numbers. Orders are texts such as "0 11 7", 0-based, in the order of dropping. `match` is yes or no,
    `common_prefix` the number of layers that both orders share from their start; both are empty, with a remark, where
    there is nothing to compare. Orders of the paper without a model of ours come last. Raises UserError as
    `parameter_scores` does.
    """
    printed = _printed(values)
    rows = [
        _row(printed, model, counterparts.get(model), reading, order, num_layers)
        for model, folder in folders.items()
        for reading, order, num_layers in _orders(Path(folder))
    ]
    compared = {row["counterpart"] for row in rows if "paper" in row}
    rows += [
        {"counterpart": name, "method": METHOD, "paper": _text(order), "remark": "not in this study"}
        for name, order in printed.items()
        if name not in compared
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"common_prefix": "Int64"})


def common_prefix(ours: Sequence[int], paper: Sequence[int]) -> int:
    """How many layers two orders share from their start."""
    differing = (place for place, (one, other) in enumerate(zip(ours, paper, strict=False)) if one != other)
    return next(differing, min(len(ours), len(paper)))


def _printed(values: pd.DataFrame) -> dict[str, list[int]]:
    """The paper's orders by model."""
    chosen = values[(values["item"] == "parameter-orders") & (values["quantity"] == "dropped_layers")]
    chosen = chosen[chosen["strategy"] == METHOD]
    return {
        row.model: [int(layer) for layer in row.value.split()]
        for row in chosen[["model", "value"]].itertuples(index=False)
    }


def _orders(folder: Path) -> list[tuple[str | None, list[int], int]]:
    """Reading, our order and number of layers, for each reading; one of no reading where layers share weights."""
    config = read_json(folder / "config.json")
    family = family_of(config)
    stack = family.stack(config)
    num_layers = stack.num_layers
    if family.shares_layers:
        return [(None, [], num_layers)]
    scores = {reading: {"method": METHOD, "scores": parameter_scores(folder, METHOD, reading)} for reading in READINGS}
    shown = min(SHOWN, num_layers - 1)  # a strategy leaves a layer
    return [(reading, drop_order(METHOD, stack, shown, scores[reading]), num_layers) for reading in READINGS]


def _row(
    printed: Mapping[str, list[int]],
    model: str,
    counterpart: str | None,
    reading: str | None,
    ours: list[int],
    num_layers: int,
) -> dict[str, object]:
    row: dict[str, object] = {
        "model": model,
        "counterpart": counterpart,
        "method": METHOD,
        "weights": reading,
        "ours": _text(ours),
    }
    if reading is None:
        return row | {"remark": "all layers are one set of weights"}
    if counterpart is None or counterpart not in printed:
        return row | {"remark": "the paper prints no order for it"}
    if num_layers != PAPER_MODELS[counterpart]:
        remark = f"{num_layers} layers, the paper's {counterpart} has {PAPER_MODELS[counterpart]}"
        return row | {"remark": remark}
    paper = printed[counterpart]
    return row | {
        "paper": _text(paper),
        "match": "yes" if ours == paper else "no",
        "common_prefix": common_prefix(ours, paper),
    }


def _text(layers: Sequence[int]) -> str | None:
    return " ".join(map(str, layers)) or None
