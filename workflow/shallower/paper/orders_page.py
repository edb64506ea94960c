"""Our orders by variance and the paper's as a page, and as a piece of the report."""

import pandas as pd
from markupsafe import Markup

from shallower.reporting.templates import render_fragment, render_page

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
    return render_page("paper_orders_page.jinja", headings=list(HEADINGS.values()), rows=_rows(orders))


def orders_fragment(orders: pd.DataFrame) -> Markup:
    """The table as HTML; "" for an empty one."""
    if orders.empty:
        return Markup("")
    return render_fragment("paper_orders.jinja", headings=list(HEADINGS.values()), rows=_rows(orders))


def _rows(orders: pd.DataFrame) -> list[list[str]]:
    """The table's cells as text; missing ones are ""."""
    shown = orders[list(HEADINGS)].astype("object")
    return [["" if pd.isna(cell) else str(cell) for cell in row] for row in shown.itertuples(index=False)]
