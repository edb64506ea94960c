"""The paper's tables: our value with its interval, the paper's value, the difference and the verdict.

Made from comparison frames, results/{study}/paper/{item}.csv, alone. What is blank there is blank here, with its
reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from shallower.core.wording import MINUS, TIMES
from shallower.paper.frames import INSIDE, OUTSIDE, prepared
from shallower.paper.items import ITEMS
from shallower.paper.remarks import SEPARATOR, place_remarks
from shallower.reporting.templates import render_page

# Decimals of a value, and of the ends of its interval.
DECIMALS = {"points": (2, 1), "%": (1, 1), "M": (1, 1), TIMES: (2, 2), "layers": (0, 0)}
OTHER_DECIMALS = (3, 2)
UNIT_SUFFIXES = {"%": "%", "M": "M", TIMES: TIMES}
APPROXIMATELY, COMPUTED = "\N{ALMOST EQUAL TO}", "\N{ASTERISK OPERATOR}"
# The first quantity of a cell is what the table is about; further ones are named.
QUANTITY_NAMES = {"held_out_loss": "loss"}
SHORT_REMARK = 40  # characters that still fit next to the heading of a row


@dataclass(frozen=True)
class Value:
    """A value of a cell as text; texts are "" where there is nothing to show. `notes` are numbers of footnotes."""

    name: str
    ours: str
    interval: str
    paper: str
    difference: str
    verdict: str
    notes: Sequence[int]


@dataclass(frozen=True)
class Heading:
    """Heading of a row or column, with numbers of footnotes and remarks that are short enough to stand there."""

    label: str
    notes: Sequence[int]
    remarks: str = ""


@dataclass(frozen=True)
class Row:
    """A row; `parted` says whether a line parts it from the one above. Each cell has one value or several."""

    heading: Heading
    parted: bool
    cells: Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Table:
    """A comparison frame as a table. `means` says of each column whether it is a mean over tasks."""

    columns: Sequence[Heading]
    means: Sequence[bool]
    rows: Sequence[Row]
    throughout: str
    where_ours: str
    footnotes: Sequence[str]


@dataclass(frozen=True)
class Tally:
    """How many of the paper's values are inside or outside our interval, and how many values one side lacks."""

    inside: int = 0
    outside: int = 0
    ours_alone: int = 0
    not_run: int = 0

    @property
    def compared(self) -> int:
        """Values that both sides have, with a verdict."""
        return self.inside + self.outside

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.inside + other.inside,
            self.outside + other.outside,
            self.ours_alone + other.ours_alone,
            self.not_run + other.not_run,
        )


class _Footnotes:
    """Texts by their numbers, which count from 1 in the order of first use."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __call__(self, texts: Sequence[str]) -> list[int]:
        return sorted(self.numbers.setdefault(text, len(self.numbers) + 1) for text in texts)


def item_page(item: str, frame: pd.DataFrame, confidence: float) -> str:
    """{item}.html: one table of the paper as a page; `confidence` is that of the intervals (0 to 1)."""
    return render_page("paper_item_page.jinja", item=ITEMS[item], table=table(frame), confidence=confidence)


def tally(frame: pd.DataFrame) -> Tally:
    """Count the verdicts of a comparison frame, and the values that one side lacks."""
    has_ours, verdicts = frame["ours"].notna(), frame["verdict"]
    judged = verdicts.isin([INSIDE, OUTSIDE])
    return Tally(
        int((verdicts == INSIDE).sum()),
        int((verdicts == OUTSIDE).sum()),
        int((has_ours & ~judged).sum()),
        int((~has_ours).sum()),
    )


def table(frame: pd.DataFrame) -> Table:
    """A comparison frame as a table.

    Columns and rows are in the order of `column_order` and `row_order`; quantities that share a cell are below each
    other. A remark on all of the table, a column or a row is made once, there.
    """
    frame = prepared(frame)
    remarks, notes = place_remarks(frame), _Footnotes()
    columns = frame.drop_duplicates("column").sort_values("column_order", kind="stable")
    labels = list(columns["column"])
    headings = [Heading(label, notes(remarks.by_column.get(label, []))) for label in labels]
    # Models of one row each need no line between them.
    groups = len(frame.drop_duplicates(["model", "counterpart"])) < frame["row_order"].nunique()
    rows: list[Row] = []
    last = None
    for (place, label), of_row in frame.groupby(["row_order", "row"], sort=False):
        short = [text for text in remarks.by_row[place] if len(text) <= SHORT_REMARK]
        long = [text for text in remarks.by_row[place] if len(text) > SHORT_REMARK]
        heading = Heading(label, notes(long), SEPARATOR.join(short))
        group = (of_row["model"].iloc[0], of_row["counterpart"].iloc[0])
        cells = [
            [
                _value(value, is_first=position == 0, notes=notes(remarks.by_value[index]))
                for position, (index, value) in enumerate(of_row[of_row["column"] == column].iterrows())
            ]
            for column in labels
        ]
        rows.append(Row(heading, groups and last not in (None, group), cells))
        last = group
    return Table(
        columns=headings,
        means=[task.startswith("mean") for task in columns["task"]],
        rows=rows,
        throughout=SEPARATOR.join(remarks.throughout),
        where_ours=SEPARATOR.join(remarks.where_ours),
        footnotes=list(notes.numbers),
    )


def _value(value: pd.Series, is_first: bool, notes: Sequence[int]) -> Value:
    decimals, of_interval = DECIMALS.get(value["unit"], OTHER_DECIMALS)
    suffix = UNIT_SUFFIXES.get(value["unit"], "")
    # What was counted, not estimated, has no interval.
    has_interval = pd.notna(value["low"]) and value["low"] < value["high"]
    ends = (number(value[end], of_interval) for end in ("low", "high"))
    return Value(
        name="" if is_first else QUANTITY_NAMES.get(value["quantity"], value["quantity"].replace("_", " ")),
        ours=f"{number(value['ours'], decimals)}{suffix}" if pd.notna(value["ours"]) else "",
        interval=f"[{', '.join(ends)}]" if has_interval else "",
        paper=f"{_paper(value, decimals)}{suffix}" if pd.notna(value["paper"]) else "",
        difference="" if pd.isna(value["difference"]) else number(value["difference"], decimals, sign=True),
        verdict=value["verdict"],
        notes=notes,
    )


def _paper(value: pd.Series, decimals: int) -> str:
    if value["paper_how"] == "measured":
        return f"{APPROXIMATELY}{number(value['paper'], 2 if value['unit'] == 'cosine' else 1)}"
    return number(value["paper"], decimals) + (COMPUTED if value["paper_how"] == "derived" else "")


def number(value: float, decimals: int, sign: bool = False) -> str:
    """A number with a true minus sign. Numbers of layers have no decimals, but means of them have one."""
    if not decimals and value != round(value):
        decimals = 1
    text = f"{value:{'+' if sign else ''}.{decimals}f}"
    # Zero has no sign.
    text = text.lstrip("+-") if float(text) == 0 else text
    return text.replace("-", MINUS)
