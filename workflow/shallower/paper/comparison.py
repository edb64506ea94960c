"""A study's numbers and the paper's in tidy frames: one row for each value of one of the paper's tables and figures.

This module has what all items share: which of our models and tasks are compared with which of the paper's, how a value
becomes a row, and when the paper's number agrees with ours. `score_tables`, `table_4` and `by_depth` make the items.

Nothing is filled in: a value that was not run is blank and says why, and a model is compared with one of the paper's
only if both have the same number of layers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import pandas as pd

from shallower.core.runs import BASELINE, NO_AMOUNT, NO_STRATEGY
from shallower.core.wording import TIMES
from shallower.evaluation.estimates import Estimate, Scores, mean
from shallower.paper.frames import INSIDE, OUTSIDE
from shallower.paper.names import FIVE, PAPER_MODELS, PAPER_TASKS, SEVEN
from shallower.paper.remarks import join_remarks
from shallower.paper.values import PaperNumber, paper_value

COLUMNS = [
    *("row", "column", "row_order", "column_order", "model", "counterpart", "task", "paper_task", "origin", "strategy"),
    *("amount", "num_dropped", "depth", "quantity", "unit", "ours", "low", "high", "seeds", "paper", "paper_how"),
    *("uncertainty", "difference", "verdict", "remark"),
]
UNITS = {
    **dict.fromkeys(("score", "loss", "difference", "held_out_loss", "probe_score"), "points"),
    **dict.fromkeys(("similarity", "contribution"), "cosine"),
    "parameters_millions": "M",
    "finetune_speedup": TIMES,
    "inference_time_change_percent": "%",
    "droppable_layers": "layers",
}
NOT_IN_STUDY = "not in this study"
NOT_RUN = "not run"
NO_NUMBER = "the paper gives no number"
ONE_SEED = "one seed: the interval does not include seed variance"
# A number on the edge of an interval must not be outside by the last bit of a float.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Pair:
    """One of the study's models and the paper's that it is compared with; one of them can be missing, "".

    `remark` says why a model is not compared although it has a counterpart.
    """

    model: str
    counterpart: str
    num_layers: int
    remark: str = ""

    @property
    def name(self) -> str:
        """Name of the row: our model where there is one."""
        return self.model or self.counterpart


class Arm(NamedTuple):
    """What was done to a model. `num_dropped` is a number of layers, None where that is no single number."""

    origin: str
    strategy: str
    amount: str
    num_dropped: int | None


@dataclass(frozen=True)
class TaskColumn:
    """A task or a mean over tasks: `ours` are the study's tasks, `papers` the paper's names of them.

    `paper_task` is the paper's name of the column, "" for a mean that must be taken over fewer tasks.
    """

    label: str
    task: str
    paper_task: str
    ours: tuple[str, ...]
    papers: tuple[str, ...]
    remark: str = ""


class Ours(NamedTuple):
    """A value of the study with its interval, which can be missing, and the number of seeds behind it."""

    value: float
    low: float | None = None
    high: float | None = None
    seeds: int | None = None
    remark: str = ""

    @classmethod
    def of(cls, estimate: Estimate, confidence: float) -> Self:
        """An estimate with its interval."""
        interval = estimate.interval(confidence)
        return cls(estimate.value, *interval, estimate.seeds, ONE_SEED if estimate.seeds == 1 else "")


@dataclass(frozen=True)
class Counterparts:
    """What is compared with what: names of the study's `models` and `tasks`, each with the paper's name or None.

    `values` are the paper's numbers (`values.read_values`), `confidence` is that of intervals, between 0 and 1.
    """

    models: Mapping[str, str | None]
    tasks: Mapping[str, str | None]
    confidence: float
    values: pd.DataFrame

    def pairs(self, num_layers: Mapping[str, int], item: str) -> list[Pair]:
        """The study's models, given their numbers of layers, then the models of the paper's item without a
        counterpart.
        """
        ours = [self._pair(model, num_layers[model]) for model in self.models if model in num_layers]
        compared = {pair.counterpart for pair in ours}
        others = [
            name for name in self.of_items(item)["model"].unique() if name in PAPER_MODELS and name not in compared
        ]
        return ours + [Pair("", name, PAPER_MODELS[name]) for name in others]

    def _pair(self, model: str, num_layers: int) -> Pair:
        counterpart = self.models[model]
        if counterpart is None or PAPER_MODELS[counterpart] == num_layers:
            return Pair(model, counterpart or "", num_layers)
        alone = f"{num_layers} layers, not the {PAPER_MODELS[counterpart]} of {counterpart}: shown without its numbers"
        return Pair(model, "", num_layers, alone)

    def of_items(self, *items: str) -> pd.DataFrame:
        """The paper's numbers in these items."""
        return self.values[self.values["item"].isin(items)]

    def find(self, items: Sequence[str], **where: Any) -> PaperNumber | None:
        """The paper's number in the first of the items that has it."""
        index = self._index(("item", *where))
        keys = ((item, *where.values()) for item in items)
        rows = next((index[key] for key in keys if key in index), None)
        return None if rows is None else paper_value(self.values.iloc[rows])

    def _index(self, columns: tuple[str, ...]) -> Mapping[tuple[Any, ...], list[int]]:
        """Positions of the paper's numbers by these columns: searching for each value takes seconds."""
        if columns not in self._indices:
            index = self._indices.setdefault(columns, {})
            for position, key in enumerate(self.values[list(columns)].itertuples(index=False, name=None)):
                index.setdefault(key, []).append(position)
        return self._indices[columns]

    @cached_property
    def _indices(self) -> dict[tuple[str, ...], dict[tuple[Any, ...], list[int]]]:
        return {}

    def task_columns(self, papers: Sequence[str]) -> list[TaskColumn]:
        """Columns of these tasks of the paper, in its order, then of all other tasks of the study."""
        columns = []
        for paper in papers:
            ours = [task for task in self.tasks if self.tasks[task] == paper]
            columns += [_task_column(task, paper) for task in ours] or [TaskColumn(paper, "", paper, (), (paper,))]
        return columns + [_task_column(task, paper) for task, paper in self.tasks.items() if paper not in papers]

    def mean_column(self, papers: Sequence[str]) -> TaskColumn:
        """The mean over the paper's seven or five tasks, or those of them that the study has."""
        name = f"mean{len(papers)}"
        # The first of ours counts where two are the same task of the paper.
        ours = {paper: task for task, paper in reversed(list(self.tasks.items())) if paper in papers}
        present = [paper for paper in papers if paper in ours]
        missing = [paper for paper in papers if paper not in ours]
        tasks = tuple(ours[paper] for paper in present)
        if not present or not missing:
            return TaskColumn(f"mean of {len(papers)} tasks", name, name, tasks, tuple(papers))
        label = f"mean of {len(present)} of the {len(papers)} tasks"
        remark = f"without {', '.join(missing)}, which this study lacks"
        return TaskColumn(label, name, "", tasks, tuple(present), remark)

    def columns(self, papers: Sequence[str]) -> list[TaskColumn]:
        """Columns of a table: tasks, then the mean over them; over seven also the mean over the five most stable."""
        means = [SEVEN, FIVE] if papers == SEVEN else [papers]
        return [*self.task_columns(papers), *map(self.mean_column, means)]


def _task_column(task: str, paper: str | None) -> TaskColumn:
    if paper is None:
        return TaskColumn(task, task, "", (task,), ())
    return TaskColumn(paper if PAPER_TASKS.get(task) == paper else f"{paper} ({task})", task, paper, (task,), (paper,))


def top_arm(num_dropped: int) -> Arm:
    """The arm that drops that many top layers of the pre-trained model; for 0, the baseline."""
    if num_dropped == 0:
        return Arm(BASELINE, NO_STRATEGY, NO_AMOUNT, 0)
    return Arm("pretrained", "top", str(num_dropped), num_dropped)


def dropped_label(num_dropped: int) -> str:
    """The number of dropped layers in the label of a row or column."""
    return f"{num_dropped} dropped" if num_dropped else "all layers"


def paper_number(column: TaskColumn, find: Callable[[str], PaperNumber | None]) -> PaperNumber | None:
    """The paper's number of a column, by a function that finds one by the name of the task.

    A mean that the paper does not have is taken over the column's tasks, if it has numbers of them all.
    """
    if column.paper_task and (found := find(column.paper_task)):
        return found
    if not column.task.startswith("mean"):
        return None
    parts = [find(paper) for paper in column.papers]
    return None if None in parts else mean_number([part for part in parts if part])


def mean_number(parts: Sequence[PaperNumber]) -> PaperNumber:
    """The mean of several of the paper's numbers."""
    notes = dict.fromkeys(["mean of the paper's values of the same tasks", *(part.note for part in parts)])
    values, errors = [part.value for part in parts], [part.uncertainty for part in parts]
    value = sum(values) / len(values)
    note = join_remarks(notes)
    return replace(
        parts[0], value=value, printed=value, how="derived", uncertainty=sum(errors) / len(errors), note=note
    )


def cell(
    row: str,
    column: str,
    ours: Ours | None,
    paper: PaperNumber | None,
    quantity: str,
    remarks: Iterable[str] = (),
    **columns: Any,
) -> dict[str, Any]:
    """One row of a frame; `columns` are its model, counterpart, task, origin and so on.

    The difference is ours minus the paper's. The verdict is `INSIDE` when the paper's number, misprints corrected, is
    within our interval widened by its uncertainty, `OUTSIDE` when not, "" when one of the two is missing.
    """
    said = list(remarks)
    filled: dict[str, Any] = {}
    if ours:
        filled |= {"ours": ours.value, "low": ours.low, "high": ours.high, "seeds": ours.seeds}
        has_reason = paper or any(text.startswith("the paper") for text in said)
        said += [ours.remark, "" if has_reason else NO_NUMBER]
    if paper:
        filled |= {"paper": paper.value, "paper_how": paper.how, "uncertainty": paper.uncertainty}
        said += ["from the preprint" if paper.source == "preprint" else "", paper.note]
        said += [f"printed as {paper.printed:g}" if paper.printed != paper.value else ""]
    if ours and paper:
        filled |= {"difference": ours.value - paper.value, "verdict": _inside_or_outside(ours, paper)}
    return {"row": row, "column": column, "quantity": quantity, "remark": join_remarks(said), **columns, **filled}


def _inside_or_outside(ours: Ours, paper: PaperNumber) -> str:
    if ours.low is None or ours.high is None:
        return ""
    slack = paper.uncertainty + ROUNDING
    return INSIDE if ours.low - slack <= paper.value <= ours.high + slack else OUTSIDE


def frame(cells: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The cells as a frame with `COLUMNS`; rows and columns are in the order of first appearance."""
    table = pd.DataFrame(list(cells), columns=COLUMNS)
    for side in ("row", "column"):
        table[f"{side}_order"] = pd.factorize(table[side])[0]
    table["unit"] = table["quantity"].map(UNITS)
    counts = dict.fromkeys(["num_dropped", "depth", "seeds"], "Int64")
    numbers = dict.fromkeys(["ours", "low", "high", "paper", "uncertainty", "difference"], "float64")
    return table.astype(counts | numbers)


@dataclass(frozen=True)
class ScoreLines:
    """Makes the rows of tables of scores: each is one arm of one pair of models."""

    counterparts: Counterparts
    scores: Scores
    items: Sequence[str]

    def pairs(self) -> list[Pair]:
        """The models of the first of the items."""
        models = self.scores.runs["model"].unique()
        return self.counterparts.pairs({model: self.scores.num_layers(model) for model in models}, self.items[0])

    def line(
        self,
        pair: Pair,
        arm: Arm,
        columns: Iterable[TaskColumn],
        row: str,
        quantity: str = "score",
        of_task: Callable[[str], Estimate | None] | None = None,
        find: Callable[[str], PaperNumber | None] | None = None,
        remarks: Sequence[str] = (),
        keep: bool = False,
    ) -> list[dict[str, Any]]:
        """Cells of an arm; none, unless `keep`, when neither the study nor the paper has a number in them.

        `of_task` estimates the quantity on one of our tasks (by default the score), `find` finds the paper's number
        for one of its tasks.
        """
        of_task = of_task or (lambda task: self.scores.score(pair.model, task, *arm[:3]))
        find = find or (lambda task: self.find(pair.counterpart, arm, task, quantity))
        cells = [
            self._cell(pair, arm, column, row, quantity, of_task, find, [pair.remark, *remarks]) for column in columns
        ]
        return cells if keep or any(cell.keys() & {"ours", "paper"} for cell in cells) else []

    def find(self, counterpart: str, arm: Arm, task: str, quantity: str = "score") -> PaperNumber | None:
        """The paper's number of an arm of one of its models; `task` is its name there, or mean7, mean5."""
        if not counterpart or arm.num_dropped is None:
            return None
        where = {"origin": arm.origin, "strategy": arm.strategy, "num_dropped": arm.num_dropped}
        return self.counterparts.find(self.items, model=counterpart, **where, task=task, quantity=quantity)

    def _cell(
        self,
        pair: Pair,
        arm: Arm,
        column: TaskColumn,
        row: str,
        quantity: str,
        of_task: Callable[[str], Estimate | None],
        find: Callable[[str], PaperNumber | None],
        remarks: Sequence[str],
    ) -> dict[str, Any]:
        estimates = {task: of_task(task) for task in column.ours} if pair.model else {}
        missing = [task for task, estimate in estimates.items() if estimate is None]
        ours = None
        if not estimates:
            why = [NOT_IN_STUDY]
        elif missing:
            why = [NOT_RUN if len(column.ours) == 1 else f"{NOT_RUN} on {', '.join(missing)}"]
        else:
            ours = Ours.of(
                mean([estimate for estimate in estimates.values() if estimate]), self.counterparts.confidence
            )
            why = [*self._collapsed(pair.model, arm, column)]
        paper = paper_number(column, find)
        if not paper and column.remark and (full := find(column.task)):
            why.append(f"the paper's {full.value:g} is the mean of {column.task.removeprefix('mean')} tasks")
        return cell(
            row,
            column.label,
            ours,
            paper,
            quantity,
            [*why, column.remark, *remarks],
            **arm_columns(pair, arm),
            task=column.task,
            paper_task=column.paper_task,
        )

    def _collapsed(self, model: str, arm: Arm, column: TaskColumn) -> Iterator[str]:
        runs = pd.concat([self.scores.rows(model, task, *arm[:3]) for task in column.ours])
        if collapsed := int(runs["collapsed"].sum()):
            yield f"{collapsed} of {len(runs)} runs collapsed: they give the same answer to every example"


def arm_columns(pair: Pair, arm: Arm) -> dict[str, Any]:
    """The columns that name a cell's models and arm."""
    return {"model": pair.model, "counterpart": pair.counterpart} | arm._asdict()
