"""The functions that make the paper's tables and figures, as data, from a study; `figures.DRAWINGS` draws them."""

from collections.abc import Callable

import pandas as pd

from shallower.paper import by_depth, score_tables
from shallower.paper.table_4 import table_4

# The function of each item takes what is compared with what, then scores (and costs by model) or a table.
MAKERS: dict[str, Callable[..., pd.DataFrame]] = {
    "table-2": score_tables.table_2,
    "table-3": score_tables.table_3,
    "table-4": table_4,
    "table-5": score_tables.table_5,
    "table-6": score_tables.table_6,
    "table-7": score_tables.table_7,
    "gradual": score_tables.gradual,
    "figure-2": score_tables.figure_2,
    "preprint-figure-3": score_tables.preprint_figure_3,
    "figure-3": by_depth.figure_3,
    "preprint-figure-5": by_depth.preprint_figure_5,
    "contribution": by_depth.contribution,
}
