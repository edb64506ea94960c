"""Our orders by variance and the paper's as a page, and as data for the report's section."""

import pandas as pd

from shallower.reporting.templates import render_page

HEADINGS = {
    "model": "model",
    "counterpart": "paper's model",
    "weights": "weights",
    "ours": "our order",
    "paper": "paper's order",
    "match": "same",
    "common_prefix": "same from the start",
    "remark": "",
}


def orders_page(orders: pd.DataFrame) -> str:
    """parameter-orders.html."""
    return render_page("paper_orders_page.jinja", orders=orders_table(orders))


def orders_table(orders: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headings, and rows of texts, "" where there is nothing."""
    # Read from a file, a column of whole numbers with a blank is one of floats.
    rows = orders.astype({"common_prefix": "Int64"})[list(HEADINGS)].astype("object").itertuples(index=False)
    return list(HEADINGS.values()), [["" if pd.isna(cell) else str(cell) for cell in row] for row in rows]
