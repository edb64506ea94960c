"""The paper's section of the report, and the registry of the paper's items."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from read_pages import Page, value
from shallower.core.tables import write_table
from shallower.paper.items import FIGURES, ITEMS, TABLES, TABLES_OF_STUDY
from shallower.paper.section import Reproduction, section
from shallower.reporting.sections import Section

SETTINGS = {
    "confidence": 0.95,
    "models": {"minilm": "DistilBERT", "other": None},
    "probe_examples": 5000,
    "parameters": "output-matrix",
}
CLAIMS = pd.DataFrame(
    {
        "observation": "Lower layers matter",
        "hypothesis": ["a", "a", "b", "c"],
        "claim": ["A", "A", "B", "C"],
        "rule": "Rule.",
        "model": "minilm",
        "verdict": ["supported", "supported", "not supported", "supported"],
        "reason": "Reason",
        "comparison": None,
        "num_dropped": pd.Series([None] * 4, dtype="Int64"),
        "role": None,
        "unit": None,
    }
)
ORDERS = pd.DataFrame(
    {"model": ["minilm", "other"], "counterpart": ["DistilBERT", None], "weights": "layer", "ours": ["0 1", "1 0"]}
    | {"paper": ["0 1", None], "match": ["yes", None], "common_prefix": [2.0, None], "remark": [None, "<no order>"]}
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0L9 9"/></svg>'


@pytest.fixture
def reproduction(tmp_path):
    """One table, one figure and three judged claims."""
    both = {"ours": 83.0, "low": 82.0, "high": 84.0, "paper": 83.43, "difference": -0.43, "verdict": "inside"}
    frame = pd.DataFrame([value("minilm, 0 dropped", "mean", **both)])
    (tmp_path / "preprint-figure-3.svg").write_text(SVG)
    return Reproduction(
        frames={"preprint-figure-3": frame, "table-2": frame.assign(verdict="outside")},
        figures={"preprint-figure-3": tmp_path / "preprint-figure-3.svg"},
        observations=CLAIMS,
        parameter_orders=ORDERS,
        settings=SETTINGS,
    )


def test_the_section_has_verdicts_then_items_then_orders(reproduction):
    made = section(reproduction)
    assert Page(f"<p>{made.lead}</p>").text == (
        "Of the paper's claims, tested for each model: 2 supported and 1 not supported . "
        "1 of the 2 values that can be compared with the paper's are inside our intervals."
    )
    page = Page(made.body)
    assert page.loads == []
    assert set(made.contents) <= set(page.ids)
    assert set(page.anchors) <= {*page.ids, "methods"}
    assert "minilm is compared with the paper's DistilBERT." in page.text
    assert "other is" not in page.text
    parts = (
        "Lower layers matter",
        "figures, compared",
        "Table 2: top",
        "Figure 3 of the preprint",
        "Orders by variance",
    )
    places = [page.text.rindex(part) for part in parts]
    assert places == sorted(places)
    assert "<no order>" in page.text
    assert "0 1 0 1 yes 2 other" in page.text  # a whole number of layers, though a blank made it a float
    assert "on at most 5,000 training examples" in made.methods[0]
    assert "each layer's output matrix" in made.methods[0]


def test_a_study_without_counterparts_says_so(reproduction):
    made = section(replace(reproduction, settings=SETTINGS | {"models": {"minilm": None}}))
    assert "its numbers are shown without a comparison" in Page(made.body).text


def test_script_writes_the_section(reproduction, tmp_path, step):
    for item, frame in reproduction.frames.items():
        write_table(tmp_path / f"{item}.csv", frame)
    write_table(tmp_path / "observations.csv", CLAIMS)
    write_table(tmp_path / "parameter-orders.csv", ORDERS)
    options = [
        *("--frames", "preprint-figure-3.csv", "table-2.csv", "--figures", "preprint-figure-3.svg"),
        *("--observations", "observations.csv", "--parameter-orders", "parameter-orders.csv"),
        *("--settings", json.dumps(SETTINGS), "--output", "section.json"),
    ]
    step("present_reproduction", *options, folder=tmp_path)
    written = Section.read(tmp_path / "section.json")
    assert Page(written.body).text == Page(section(reproduction).body).text
    assert written.methods == section(reproduction).methods


def test_items_are_tables_or_figures_of_known_files():
    assert sorted([*TABLES, *FIGURES]) == sorted(ITEMS)
    assert all((item.runs is None) == (item.table in TABLES_OF_STUDY) for item in ITEMS.values())
