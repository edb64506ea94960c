"""The paper's tables and figures as HTML: our value with its interval, the paper's value, the difference, the verdict.

Made from the tidy comparison frames in results/{study}/paper/{item}.csv and nothing else. What is blank there is blank
here, with its reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd

from shallower.core.tables import read_table
from shallower.core.wording import DASH, MINUS
from shallower.reporting.page import page

# Every item that is compared, in the order of reading: the paper's tables and figures, and what it says without one.
ITEM_TITLES = {
    "table-2": "Table 2: top layers dropped, task by task",
    "figure-2": "Figure 2: strategies compared, mean over tasks",
    "preprint-figure-3": "Figure 3 of the preprint: strategies compared on six layers",
    "table-3": "Table 3: loss, size and speed",
    "table-4": "Table 4: layers that can go within 1, 2 and 3 points",
    "table-5": "Table 5: ALBERT, whose layers share their weights",
    "table-6": "Table 6: cut to half the layers, or distilled",
    "table-7": "Table 7: dropped before or after fine-tuning",
    "gradual": "Gradual dropping: one layer after every few epochs",
    "contribution": "Contribution scores: how little each layer changes the sentence token",
    "figure-3": "Figure 3: classifiers on every layer of the fine-tuned models",
    "preprint-figure-5": "Figure 5 of the preprint: how far fine-tuning moves each layer",
}
ITEM_NOTES = {
    "table-2": "Layers go from the top of the pre-trained model, which is then fine-tuned. Score on the validation "
    "set.",
    "figure-2": "Each strategy drops the same number of layers; the mean is over the paper's seven tasks where all "
    "were run. The paper prints these scores as bars only, so its values were measured off the figure.",
    "preprint-figure-3": "As Figure 2, for a model of six layers. In the preprint only; measured off its bars.",
    "table-3": "Loss is the mean score lost, in points. The paper mixes the mean over seven tasks (BERT, XLNet) with "
    "the mean over five (RoBERTa); both are given here. Times are of the machine named below, the paper's of its own.",
    "table-4": "On one half of the validation set: the most top layers that can go while the score stays within so "
    "many points. Below it the loss: what that many layers lose on the other half, which did not take part in the "
    "choice. Where only the preprint has a value, that one was chosen on the whole validation set.",
    "table-5": "Top layers of ALBERT dropped. Its layers are one set of weights, so dropping saves time but no memory.",
    "table-6": "A model whose top half was dropped beside models of that depth that were made by distillation. Rows of "
    "other papers are quoted by the paper; their metric for QQP is not always the same as its own.",
    "table-7": "The same layers dropped from the pre-trained and from the fine-tuned model, and from one that was "
    "fine-tuned while these layers were frozen.",
    "gradual": "Score of gradual dropping less that of dropping at once, for the same layers. The paper reports no "
    "improvement, without numbers.",
    "contribution": "Mean cosine between the sentence token's vector before and after a layer, in the pre-trained "
    "model. Layers count from 0 at the bottom. Above its threshold the paper drops a layer.",
    "figure-3": "A linear classifier on the sentence token's vector, after each layer of the fine-tuned model. Depth "
    "0 is the output of the embeddings.",
    "preprint-figure-5": "Cosine between the sentence token's vector in the pre-trained and in the fine-tuned model, "
    "at each depth. In the preprint only; measured off its lines.",
}
# Decimals of a value, and of the ends of its interval.
DECIMALS = {"points": (2, 1), "%": (1, 1), "M": (1, 1), "\N{MULTIPLICATION SIGN}": (2, 2), "layers": (0, 0)}
OTHER_DECIMALS = (3, 2)
UNIT_SUFFIXES = {"%": "%", "M": "M", "\N{MULTIPLICATION SIGN}": "\N{MULTIPLICATION SIGN}"}
APPROXIMATELY, COMPUTED = "\N{ALMOST EQUAL TO}", "\N{ASTERISK OPERATOR}"
MARKS = {
    "inside": '<span class=in title="inside our interval">\N{CHECK MARK}</span>',
    "outside": '<span class=out title="outside our interval">\N{BALLOT X}</span>',
}
# Further quantities of a cell are named; its first is what the table is about.
QUANTITY_NAMES = {"held_out_loss": "loss"}
TEXT_COLUMNS = (
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
)
REMARK_SEPARATOR = "; "
SHORT_REMARK = 40  # characters that still fit beside the heading of a row


def read_frame(path: str | Path) -> pd.DataFrame:
    """Read a comparison frame; texts are text, empty where nothing is said. Raises UserError when it is no table."""
    frame = read_table(path)
    texts = {column: frame[column].astype("object").fillna("").astype(str) for column in TEXT_COLUMNS}
    return frame.assign(**texts)


def item_page(item: str, frame: pd.DataFrame, confidence: float) -> str:
    """{item}.html: one table of the paper as a whole page."""
    body = [
        f"<header><p class=kicker>Beside the paper</p><h1 class=item>{escape(ITEM_TITLES[item])}</h1></header>",
        f"<section><p>{escape(ITEM_NOTES[item])}</p>{legend(confidence)}{table_fragment(frame)}</section>",
    ]
    return page(ITEM_TITLES[item], body)


def legend(confidence: float) -> str:
    """How a cell of the tables reads."""
    return (
        f"<p class=note>In a cell: <b>ours</b>, the mean over seeds; its {100 * confidence:g} % interval in "
        f"brackets; then <span class=paper>the value of the paper</span> and the difference, ours less the paper. "
        f"{MARKS['inside']} means that the value of the paper lies inside our interval, {MARKS['outside']} that it "
        f"does not. {APPROXIMATELY} was measured off a figure, whose uncertainty widens the interval; {COMPUTED} was "
        f"computed from printed numbers. {DASH} is not there; the notes say why.</p>"
    )


@dataclass(frozen=True)
class Tally:
    """How many values of a frame the paper's lie inside of, outside of, stand alone, or are missing."""

    inside: int
    outside: int
    alone: int
    missing: int

    @property
    def compared(self) -> int:
        """Values that stand beside one of the paper's, with a verdict."""
        return self.inside + self.outside


def tally(frame: pd.DataFrame) -> Tally:
    """Count the verdicts of a comparison frame, and what is there on one side only."""
    ours, judged = frame["ours"].notna(), frame["verdict"] != ""
    return Tally(
        int((frame["verdict"] == "inside").sum()),
        int((frame["verdict"] == "outside").sum()),
        int((ours & ~judged).sum()),
        int((~ours).sum()),
    )


def table_fragment(frame: pd.DataFrame) -> str:
    """A comparison frame as a table with its footnotes.

    Columns and rows come in the order of `column_order` and `row_order`; quantities that share a cell stand below each
    other. What is remarked throughout the table, a column or a row is said once, there.
    """
    if frame.empty:
        return "<p class=note>Nothing to compare.</p>"
    frame = frame.sort_values(["row_order", "column_order"], kind="stable")
    columns = frame.drop_duplicates("column").sort_values("column_order", kind="stable")
    tasks = dict(zip(columns["column"], columns["task"], strict=True))
    remarks = _Remarks(frame)
    head = "".join(
        f"<th scope=col{_mean_class(task)}>{_unbroken(column)}{remarks.of_column(column)}</th>"
        for column, task in tasks.items()
    )
    # Models of one row each need no line between them.
    parted = len(frame.drop_duplicates(["model", "counterpart"])) < frame["row_order"].nunique()
    body, last = [], None
    for (place, label), row in frame.groupby(["row_order", "row"], sort=False):
        group = (row["model"].iloc[0], row["counterpart"].iloc[0])
        starts = " class=starts" if parted and last not in (None, group) else ""
        cells = "".join(_cell(row[row["column"] == column], task, remarks) for column, task in tasks.items())
        body.append(f"<tr{starts}><th scope=row>{escape(label)}{remarks.of_row(place)}</th>{cells}</tr>")
        last = group
    return (
        f"<div class=scroll><table class=beside><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
        f"</table></div>{remarks.footnotes()}"
    )


def _unbroken(label: str) -> str:
    """A label that breaks at its spaces only, not at a hyphen."""
    return " ".join(f"<span>{escape(word)}</span>" for word in label.split())


def _mean_class(task: str) -> str:
    return " class=mean" if task.startswith("mean") else ""


def _cell(values: pd.DataFrame, task: str, remarks: "_Remarks") -> str:
    lines = []
    for place, (_, value) in enumerate(values.iterrows()):
        name = QUANTITY_NAMES.get(value["quantity"], value["quantity"].replace("_", " ")) if place else ""
        lines += _lines(value, name)
        lines[-1] += remarks.of_value(value)
    return f"<td{_mean_class(task)}>{''.join(f'<div>{line}</div>' for line in lines) or DASH}</td>"


def _lines(value: pd.Series, name: str) -> list[str]:
    """One value of a cell in up to three lines: ours, its interval, the paper's. A named one is set smaller."""
    decimals, of_interval = DECIMALS.get(value["unit"], OTHER_DECIMALS)
    suffix = UNIT_SUFFIXES.get(value["unit"], "")
    ours = f"<b>{number(value['ours'], decimals)}{suffix}</b>" if pd.notna(value["ours"]) else f"<i>{DASH}</i>"
    interval = ""
    # What was counted, not estimated, has no interval.
    if pd.notna(value["low"]) and value["low"] < value["high"]:
        ends = f"{number(value['low'], of_interval)}, {number(value['high'], of_interval)}"
        interval = f"<small>[{ends}]</small>"
    lines = [f"<small>{escape(name)} {ours}</small> {interval}"] if name else [ours, *filter(None, [interval])]
    if pd.notna(value["paper"]):
        paper = f"<span class=paper>{_paper(value, decimals)}{suffix}</span>"
        lines.append(f"<small>{paper}{_difference(value, decimals)}</small>")
    return lines


def _paper(value: pd.Series, decimals: int) -> str:
    if value["paper_how"] == "measured":
        return f"{APPROXIMATELY}{number(value['paper'], 2 if value['unit'] == 'cosine' else 1)}"
    return number(value["paper"], decimals) + (COMPUTED if value["paper_how"] == "derived" else "")


def _difference(value: pd.Series, decimals: int) -> str:
    if pd.isna(value["difference"]):
        return ""
    return f" <i>{number(value['difference'], decimals, sign=True)}</i> {MARKS.get(value['verdict'], '')}"


def number(value: float, decimals: int, sign: bool = False) -> str:
    """A number with a true minus sign; whole ones of `layers` without decimals, means of them with one."""
    if not decimals and value != round(value):
        decimals = 1
    text = f"{value:{'+' if sign else ''}.{decimals}f}"
    # What rounds to nothing has no sign.
    text = text.lstrip("+-") if float(text) == 0 else text
    return text.replace("-", MINUS)


class _Remarks:
    """The remarks of a table, each said once: below it, at a column, at a row, or as footnotes of cells."""

    def __init__(self, frame: pd.DataFrame) -> None:
        parts = frame["remark"].map(_split)
        has_ours, has_any = frame["ours"].notna(), frame[["ours", "paper"]].notna().any(axis=1)
        self._throughout = _shared(parts)
        self._where_ours = [part for part in _shared(parts[has_ours]) if part not in self._throughout]
        said = {*self._throughout, *self._where_ours}
        parts = parts.map(lambda of_cell: [part for part in of_cell if part not in said])
        self._columns = {name: _shared(of_it) for name, of_it in parts[has_any].groupby(frame["column"])}
        rest = pd.Series(
            [
                [part for part in of_cell if part not in self._columns.get(column, [])]
                for of_cell, column in zip(parts, frame["column"], strict=True)
            ],
            index=frame.index,
        )
        # A column's remark holds for the row as well, where all other cells of the row have it.
        self._rows = {
            place: [part for part in _shared(of_it) if part in set().union(*rest[of_it.index])]
            for place, of_it in parts.groupby(frame["row_order"])
        }
        self._rest = {
            index: [part for part in of_cell if part not in self._rows[place]]
            for index, of_cell, place in zip(frame.index, rest, frame["row_order"], strict=True)
        }
        self._numbers: dict[str, int] = {}

    def of_column(self, column: str) -> str:
        """Footnote marks of a column's heading (HTML)."""
        return self._marks(self._columns.get(column, []))

    def of_row(self, place: int) -> str:
        """What is said of a row beside its heading (HTML): short remarks as they are, longer ones as footnotes."""
        short = [part for part in self._rows[place] if len(part) <= SHORT_REMARK]
        said = f"<small>{escape(REMARK_SEPARATOR.join(short))}</small>" if short else ""
        return self._marks([part for part in self._rows[place] if part not in short]) + said

    def of_value(self, value: pd.Series) -> str:
        """Footnote marks of a value (HTML)."""
        return self._marks(self._rest[value.name])

    def footnotes(self) -> str:
        """What stands below the table (HTML)."""
        common = {"Throughout": self._throughout, "Wherever ours stands": self._where_ours}
        notes = "".join(
            f"<p class=note>{where}: {escape(REMARK_SEPARATOR.join(parts))}.</p>"
            for where, parts in common.items()
            if parts
        )
        numbered = "".join(f"<li>{escape(part)}</li>" for part in self._numbers)
        return notes + (f"<ol class=footnotes>{numbered}</ol>" if numbered else "")

    def _marks(self, parts: Sequence[str]) -> str:
        numbers = [str(self._numbers.setdefault(part, len(self._numbers) + 1)) for part in parts]
        return f"<sup>{','.join(numbers)}</sup>" if numbers else ""


def _split(remark: str) -> list[str]:
    return [part for part in remark.split(REMARK_SEPARATOR) if part]


def _shared(remarks: Iterable[Sequence[str]]) -> list[str]:
    """Parts that every one of several remarks has, in order; nothing is shared by fewer than two."""
    first, *others = list(remarks) or [[]]
    return [part for part in first if others and all(part in other for other in others)]


def tally_rows(frames: Sequence[tuple[str, pd.DataFrame]]) -> list[list[str]]:
    """Rows of the table of contents: item (linked), values compared, inside, outside, ours alone, not run (HTML)."""
    rows = []
    for item, frame in frames:
        counts = tally(frame)
        rows.append(
            [
                f"<a href=#{item}>{escape(ITEM_TITLES[item])}</a>",
                *(
                    str(n or DASH)
                    for n in (counts.compared, counts.inside, counts.outside, counts.alone, counts.missing)
                ),
            ]
        )
    return rows
