"""Comparison frames as pages and figures read them: one row for each value (see `shallower.paper.comparison`)."""

from pathlib import Path

import pandas as pd

from shallower.core.tables import read_table
from shallower.paper.remarks import split_remarks

# Whether the paper's value is inside our interval.
INSIDE, OUTSIDE = "inside", "outside"

TEXTS = [
    *(
        "row",
        "column",
        "model",
        "counterpart",
        "task",
        "paper_task",
        "origin",
        "strategy",
        "amount",
        "quantity",
        "unit",
    ),
    *("paper_how", "verdict", "remark"),
]
NUMBERS = ["num_dropped", "depth", "ours", "low", "high", "paper", "uncertainty", "difference"]


def read_frame(path: str | Path) -> pd.DataFrame:
    """Read a comparison frame and prepare it. Raises UserError when the file is missing or no table."""
    return prepared(read_table(path))


def prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame in the order of reading, texts "" where they are missing, numbers as floats, and lists in `remarks`."""
    texts = {name: frame[name].astype("object").fillna("").astype(str) for name in TEXTS}
    numbers = {name: pd.to_numeric(frame[name]).astype(float) for name in NUMBERS}
    remarks = [split_remarks(text) for text in texts["remark"]]
    ordered = frame.assign(**texts, **numbers, remarks=pd.Series(remarks, index=frame.index, dtype=object))
    return ordered.sort_values(["row_order", "column_order"], kind="stable")
