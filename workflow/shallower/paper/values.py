"""The numbers of Sajjad et al., which a study's are compared with: values.csv in this folder.

The file has one row for each number: where it is printed (`source`, the journal version or the preprint of 2020,
`item`, `cell`), what it belongs to (`model`, `origin`, `strategy`, `num_dropped`, `task`, `depth`, `tolerance`), what
it is (`quantity`) and how it was obtained (`how`): "printed", "measured" off a figure to within `uncertainty`, or
"derived" from printed ones. `corrected` is what a misprint should read. An item has the journal's name where the
journal has it, "preprint-..." otherwise; "text" is what only the running text says.

Scores, losses and differences are in points (0 to 100), similarities cosines, layers 0-based from the bottom, depths
the number of layers passed (0 is the embeddings). A loss is positive when a model scores less than the full one.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

VALUES = Path(__file__).with_name("values.csv")
TEXT = ["source", "item", "cell", "model", "origin", "strategy", "task", "quantity", "how", "note"]
NUMBERS = ["num_dropped", "depth", "tolerance", "corrected", "uncertainty"]
COLUMNS = [
    *("source", "item", "cell", "model", "origin", "strategy", "num_dropped", "task", "depth", "tolerance"),
    *("quantity", "value", "corrected", "how", "uncertainty", "note"),
]
# The one quantity whose values are not numbers but lists of layers: "2 4".
LAYERS = "dropped_layers"


@dataclass(frozen=True)
class PaperNumber:
    """A number of the paper.

    Attributes:
        value: what it should read; differs from `printed` for misprints.
        printed: what stands in the paper.
        how: printed, measured or derived.
        uncertainty: how far off `value` may be, 0 but for measured ones.
        note: misprints and inconsistencies, for people; often empty.
        source: journal or preprint.
    """

    value: float
    printed: float
    how: str
    uncertainty: float
    note: str
    source: str


def read_values(path: str | Path = VALUES) -> pd.DataFrame:
    """All rows. Text is "" where it does not apply, numbers are missing (`num_dropped` and `depth` are Int64).

    `value` is a float, or text for lists of layers.
    """
    types = {**dict.fromkeys(TEXT, "str"), "num_dropped": "Int64", "depth": "Int64", "value": "str"}
    table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values={name: [""] for name in NUMBERS})
    is_layers = table["quantity"] == LAYERS
    values = [text if layers else float(text) for text, layers in zip(table["value"], is_layers, strict=True)]
    return table.assign(value=pd.Series(values, dtype=object))


def paper_value(values: pd.DataFrame, **where: Any) -> PaperNumber | None:
    """The one number in the rows of `read_values()` whose columns have the values `where`; None if there is none.

    Raises ValueError when several fit, and KeyError for an unknown column: both are mistakes of the caller.
    """
    for column, wanted in where.items():
        values = values[(values[column] == wanted).fillna(False)]
    if len(values) > 1:
        raise ValueError(f"{len(values)} of the paper's numbers fit {where}: {', '.join(values['cell'][:3])}, ...")
    if values.empty:
        return None
    row = values.iloc[0]
    printed, corrected = float(row["value"]), float(row["corrected"])
    return PaperNumber(
        value=printed if math.isnan(corrected) else corrected,
        printed=printed,
        uncertainty=0.0 if math.isnan(row["uncertainty"]) else float(row["uncertainty"]),
        **{name: row[name] for name in ("how", "note", "source")},
    )
