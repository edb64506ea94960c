"""Precision, recall and F1 of each class, by the full model and those that the page names, as data for the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from shallower.core.runs import BASELINE, arm_title
from shallower.core.wording import score_text
from shallower.evaluation.by_class import MACRO, MICRO, SCORES
from shallower.reporting.answer import TaskAnswer, task_answers
from shallower.task_kinds.registry import task_kind
from shallower.task_kinds.tag_schemes import entity_types

# An arm: model, task, origin, strategy and amount.
Arm = tuple[str, str, str, str, str]
TITLES = ["precision", "recall", "F1"]


@dataclass(frozen=True)
class ClassTable:
    """The classes of a task by the models of some arms, the full one first.

    Rows are a name, a number of examples or "" for an average, a threshold where they are tuned (`has_thresholds`), and
    `TITLES` of each arm, all as text. `headings` are those of the first two columns.
    """

    model: str
    task: str
    arms: Sequence[str]
    rows: Sequence[tuple[str, ...]]
    has_thresholds: bool = False
    headings: tuple[str, str] = ("class", "examples")


def has_class_table(task: Mapping[str, Any]) -> bool:
    """Whether a task (its task.json) has scores of each class that its metrics do not have.

    Those of more than two classes, or of more than one where a text may have several or words are entities.
    """
    kind = task_kind(task["target"])
    if task.get("scheme"):
        return len(entity_types(task["labels"])) > 1
    return kind.has_classes and (kind.has_class_sets or len(task["labels"]) > 2)


def class_tables(
    summary: pd.DataFrame,
    tolerances: Sequence[float],
    recommended: pd.DataFrame | None,
    records: Mapping[Arm, Sequence[Mapping[str, Any]]],
) -> list[ClassTable]:
    """A table for each model and task whose baseline is among `records`: metrics.json of each arm's runs.

    Next to the full model are the arms that are recommended, or are the answer for one of the tolerances.
    """
    found = []
    for one in task_answers(summary, tolerances):
        arms = [arm for arm in _arms(one, recommended) if arm in records]
        if arms and arms[0][2] == BASELINE:
            found.append(_table(one, arms, [records[arm] for arm in arms]))
    return found


def _arms(one: TaskAnswer, recommended: pd.DataFrame | None) -> list[Arm]:
    """The arms to show, in the order of the number of layers that they drop."""
    chosen = {answer["directory"] for answer in one.answers.values() if answer["num_dropped"]}
    rows = one.arms[one.arms["directory"].isin(chosen)]
    if recommended is not None:
        here = recommended[(recommended["model"] == one.model) & (recommended["task"] == one.task)]
        names = ["origin", "strategy", "amount"]
        is_recommended = one.arms[names].astype(str).apply(tuple, axis=1).isin(
            list(here[names].astype(str).itertuples(index=False, name=None))
        )  # fmt: skip
        rows = one.arms[one.arms["directory"].isin(chosen) | is_recommended]
    rows = rows.sort_values("num_dropped", kind="stable")
    return [_arm(one, one.baseline), *(_arm(one, row) for _, row in rows.iterrows())]


def _arm(one: TaskAnswer, row: pd.Series) -> Arm:
    return (one.model, one.task, str(row["origin"]), str(row["strategy"]), str(row["amount"]))


def _table(one: TaskAnswer, arms: Sequence[Arm], records: Sequence[Sequence[Mapping[str, Any]]]) -> ClassTable:
    first = records[0][0]
    thresholds = [run["threshold"] for run in records[0] if isinstance(run.get("threshold"), list)]
    tuned = [[_range(of_class)] for of_class in zip(*thresholds, strict=True)] or [[]] * len(first["classes"])
    rows: list[tuple[str, ...]] = []
    for index, (threshold, each) in enumerate(zip(tuned, first["classes"], strict=True)):
        rows.append((each["name"], f"{each['support']:,}", *threshold, *_scores(records, "classes", index)))
    for name in (MICRO, MACRO):
        rows.append((f"{name} average", "", *[""] * bool(thresholds), *_scores(records, "averages", name)))
    titles = [arm_title(*arm) for _, _, *arm in arms]
    headings = ("type", "entities") if "tagging" in first else ("class", task_kind(first["target"]).row.many)
    return ClassTable(one.model, one.task, titles, rows, bool(thresholds), headings)


def _range(values: Sequence[float]) -> str:
    """One number, or the lowest and the highest of several seeds."""
    low, high = (f"{value:.3f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _scores(records: Sequence[Sequence[Mapping[str, Any]]], of: str, key: str | int) -> list[str]:
    """The means over seeds of each arm's scores of a class or an average."""
    return [score_text(fmean(run[of][key][part] for run in runs)) for runs in records for part in SCORES]
