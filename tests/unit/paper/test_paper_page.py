import pandas as pd
import pytest

from read_pages import Page, value
from shallower.core.errors import UserError
from shallower.core.tables import write_table
from shallower.paper.frames import prepared, read_frame
from shallower.paper.page import Tally, item_page, number, tally

ONE_SEED = "one seed: the interval does not include seed variance"


@pytest.fixture
def frame():
    """Two rows of ours and one of the paper's alone, for two tasks."""
    ours = {"ours": 84.314, "low": 83.06, "high": 85.55, "seeds": 3}
    return pd.DataFrame(
        [
            value("mine, 2 dropped", "SST-2", row_order=1, **ours, paper=84.86, paper_how="printed", difference=-0.546)
            | {"verdict": "inside"},
            value("mine, 2 dropped", "mean", row_order=1, column_order=1, task="mean7", **ours, paper=85.9)
            | {"paper_how": "measured", "uncertainty": 0.1, "difference": -1.586, "verdict": "outside"},
            value("mine, 0 dropped", "mean", column_order=1, task="mean7", remark="not run"),
            value("mine, 0 dropped", "SST-2", **ours, remark="the paper gives no number"),
            value(
                "ALBERT, 2 dropped", "SST-2", row_order=2, paper=91.4, paper_how="printed", remark="not in this study"
            ),
            value("ALBERT, 2 dropped", "mean", row_order=2, column_order=1, task="mean7", paper=88.0)
            | {"paper_how": "derived", "remark": "not in this study"},
        ]
    )


def shown(frame: pd.DataFrame) -> str:
    return item_page("table-2", frame, 0.95)


def table_text(frame: pd.DataFrame) -> str:
    """The text below the explanations."""
    return Page(shown(frame)).text.partition("the notes say why.")[2].strip()


def cells(frame: pd.DataFrame) -> list[str]:
    return [" ".join(cell.split()) for cell in Page(shown(frame)).cells][1:]  # the first is the corner


def test_a_cell_has_ours_its_interval_the_papers_value_and_a_verdict(frame):
    found = cells(frame)
    assert found[2] == "84.31 [83.1, 85.5] 84.86 −0.55 ✓"  # noqa: RUF001
    assert found[3] == "84.31 [83.1, 85.5] ≈85.9 −1.59 ✗"  # noqa: RUF001


def test_rows_and_columns_come_in_their_order_and_nothing_is_filled_in(frame):
    text = table_text(frame.sample(frac=1, random_state=3))
    assert text.index("SST-2") < text.index("mean")
    assert text.index("mine, 0 dropped") < text.index("mine, 2 dropped") < text.index("ALBERT, 2 dropped")
    found = cells(frame)
    assert found[0] == "84.31 [83.1, 85.5] 1"
    assert found[1] == "– 2"  # noqa: RUF001
    assert found[4:] == ["– 91.40", "– 88.00∗"]  # noqa: RUF001
    assert "nan" not in text.lower().split()


def test_remarks_are_said_once(frame):
    page = table_text(frame)
    assert page.count("not in this study") == 1  # in the heading of its row
    assert page.endswith("the paper gives no number not run")
    ours = frame["ours"].notna()
    frame.loc[ours, "remark"] = [f"{ONE_SEED}; {remark}".removesuffix("; ") for remark in frame.loc[ours, "remark"]]
    page = table_text(frame)
    assert page.count(ONE_SEED) == 1
    assert f"Wherever ours stands: {ONE_SEED}." in page


def test_a_remark_on_a_whole_column_stands_at_its_heading(frame):
    means = frame["column"] == "mean"
    frame.loc[means, "remark"] = [f"{remark}; without RTE".removeprefix("; ") for remark in frame.loc[means, "remark"]]
    frame.loc[frame["ours"].isna() & ~means, "remark"] += "; a misprint of this very cell"
    page = Page(shown(frame))
    assert "mean 1 mine" in page.text  # the first footnote, at the heading
    assert page.text.count("without RTE") == 1
    assert page.text.count("not in this study") == 1
    assert page.cells[-2].split() == ["\N{EN DASH}", "91.40", "4"]


def test_quantities_that_share_a_cell_stand_below_each_other():
    rows = [
        value(
            "mine, 1 point", "SST-2", quantity="droppable_layers", unit="layers", ours=3.0, low=2.0, high=4.5, paper=2.0
        ),
        value("mine, 1 point", "SST-2", quantity="held_out_loss", ours=0.84, low=0.1, high=1.6),
    ]
    assert cells(pd.DataFrame(rows)) == ["3 [2, 4.5] 2 loss 0.84 [0.1, 1.6]"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-1.234, 2), "−1.23"),  # noqa: RUF001
        (number(-0.001, 2, sign=True), "0.00"),
        (number(0.5, 1, sign=True), "+0.5"),
        (number(7.0, 0), "7"),
        (number(6.67, 0), "6.7"),
    ],
)
def test_numbers(shown, expected):
    assert shown == expected


def test_tally(frame):
    counts = tally(frame)
    assert counts == Tally(inside=1, outside=1, ours_alone=1, not_run=3)
    assert counts.compared == 2
    assert sum([counts, counts], Tally()) == Tally(2, 2, 2, 6)


def test_an_empty_frame_says_so(frame):
    assert "Nothing to compare" in shown(frame.iloc[:0])


def test_names_are_escaped(frame):
    frame["row"] = "<b>&"
    frame["column"] = frame["column"] + "<i>"
    frame["remark"] = "<script>"
    assert "<script>" not in shown(frame)
    Page(shown(frame))


def test_a_page_has_the_item_and_how_to_read_it(frame):
    page = Page(item_page("table-2", frame, 0.9))
    assert page.loads == []
    assert page.text.startswith("Compared with the paper Table 2")
    assert "90 % interval" in page.text


def test_script_writes_a_page_from_a_file(frame, tmp_path, step):
    write_table(tmp_path / "table-2.csv", frame)
    assert read_frame(tmp_path / "table-2.csv")["remark"].tolist() == prepared(frame)["remark"].tolist()
    options = ("--item", "table-2", "--frame", "table-2.csv", "--output", "table-2.html")
    step("render_item", *options, folder=tmp_path)
    written = (tmp_path / "table-2.html").read_text(encoding="utf-8")
    assert written == shown(frame)
    with pytest.raises(UserError, match="file not found"):
        read_frame(tmp_path / "other.csv")
