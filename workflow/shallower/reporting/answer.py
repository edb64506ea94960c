"""The study's answer: how many layers can be dropped, which ones, and what that saves, as data for the templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd
from markupsafe import Markup

from shallower.core.runs import BASELINE
from shallower.core.wording import (
    counted,
    layer_ranges,
    listed,
    megabytes,
    milliseconds,
    percent,
    score_text,
)
from shallower.evaluation.estimates import Scores
from shallower.evaluation.metrics import metric_title
from shallower.reporting.budget import texts_at_once
from shallower.reporting.drawings import layer_stack
from shallower.reporting.numbers import NumbersTable, numbers_table
from shallower.reporting.on_test import score_on_test
from shallower.reporting.summary import answer, baseline_of, batch_sizes, layer_sets, without_answer
from shallower.reporting.templates import render_page
from shallower.surgery.origins import origin_title

# With more cards than this, those of each model are folded away.
MAX_OPEN_CARDS = 8


@dataclass(frozen=True)
class TaskAnswer:
    """One model on one task: its baseline's row, the rows of its arms, and the answer for each tolerance."""

    model: str
    task: str
    baseline: pd.Series
    arms: pd.DataFrame
    answers: Mapping[float, Mapping[str, Any]]

    @property
    def problem(self) -> str | None:
        """Why there is no answer, as a sentence and what to try, or None when there is one."""
        problem = without_answer(self.baseline, self.arms)
        if problem is None:
            return None
        return f"{problem[0].upper()}{problem[1:]}. Try more epochs, a lower learning rate or other seeds."


@dataclass(frozen=True)
class Lead:
    """The answer for one model over its tasks in a sentence or two.

    `dropped` and `dropped_at_last` are numbers of layers, in words, for the lowest and the highest tolerance.
    """

    model: str
    num_layers: int = 0
    problem: str = ""
    where: str = ""
    first: float = 0.0
    dropped: str = ""
    any_dropped: bool = False
    robust: bool = False
    last: float | None = None
    dropped_at_last: str = ""
    saved: str = ""
    unanswered: Sequence[str] = ()


@dataclass(frozen=True)
class Cell:
    """The answer for one model, task and tolerance; `num_dropped` is None where there is none."""

    tolerance: float
    num_dropped: int | None
    num_layers: int
    stack: Markup | None = None
    kept: str = ""
    robust: bool | None = None


@dataclass(frozen=True)
class Choice:
    """An arm that is the answer to some tolerances; `arm` is None when no layer can be dropped within them.

    `robust_within` is the lowest of these tolerances for which the answer is robust, None if it is for none of them.
    """

    tolerances: Sequence[float]
    num_dropped: int
    robust_within: float | None = None
    arm: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Card:
    """What is said about one model on one task."""

    model: str
    task: str
    num_layers: int
    full_model: str
    problem: str | None
    choices: Sequence[Choice]
    held_out: Sequence[tuple[float, str]]
    collapsed: Sequence[str]


def task_answers(summary: pd.DataFrame, tolerances: Sequence[float]) -> list[TaskAnswer]:
    """Every model and task of a summary, in its order, with the answer over all its arms, lowest tolerance first."""
    found = []
    for (model, task), rows in summary.groupby(["model", "task"], sort=False):
        baseline, arms = baseline_of(summary, model, task), rows[rows["origin"] != BASELINE]
        answers = {tolerance: answer(arms, baseline, tolerance) for tolerance in sorted(tolerances)}
        found.append(TaskAnswer(model, task, baseline, arms, answers))
    return found


def answer_content(
    summary: pd.DataFrame,
    tolerances: Sequence[float],
    confidence: float,
    costs: Mapping[str, Mapping[str, Any]],
    test: Scores | None = None,
) -> dict[str, Any]:
    """The variables of the templates that show the answer.

    `tolerances` are in percent of the full model's score, `confidence` is that of the intervals (0 to 1). `costs` holds
    the cost.json of each model, which says where times were measured, `test` the scores on test examples.
    """
    found = task_answers(summary, tolerances)
    # Without arms there was no question.
    asked = [one for one in found if len(one.arms)]
    by_model = [list(group) for _, group in groupby(asked, key=lambda one: one.model)]
    tables = [numbers_table(one.baseline, one.arms, confidence) for one in found]
    return {
        "study": summary["study"].iloc[0],
        "confidence": confidence,
        "tolerances": sorted(tolerances),
        "leads": [lead(group) for group in by_model],
        "matrix": [[(one.task, [_cell(one, tolerance) for tolerance in one.answers]) for one in of] for of in by_model],
        "cards": [[_card(one, test, confidence) for one in group] for group in by_model],
        "is_tested": test is not None,
        "fold_cards": len(by_model) > 1 and len(asked) > MAX_OPEN_CARDS,
        "models": [group[0].model for group in by_model],
        "tables": tables,
        "seeds": sorted(map(int, summary.loc[summary["origin"] == BASELINE, "seeds"].unique())),
        "timed": _where_timed(costs),
    }


def answer_page(
    summary: pd.DataFrame,
    tolerances: Sequence[float],
    confidence: float,
    costs: Mapping[str, Mapping[str, Any]],
    test: Scores | None = None,
) -> str:
    """answer.html; for the arguments see `answer_content`."""
    return render_page("answer_page.jinja", **answer_content(summary, tolerances, confidence, costs, test))


def summary_page(summary: pd.DataFrame, confidence: float) -> str:
    """summary.html: the numbers of every arm, model by model and task by task."""
    tables: list[NumbersTable] = [
        numbers_table(one.baseline, one.arms, confidence) for one in task_answers(summary, [])
    ]
    return render_page("summary_page.jinja", study=summary["study"].iloc[0], tables=tables)


def lead(group: Sequence[TaskAnswer]) -> Lead:
    """One or two sentences for one model over its tasks."""
    model = group[0].model
    usable = [one for one in group if not one.problem]
    if not usable:
        return Lead(model, problem=group[0].problem or "")
    first, last = min(usable[0].answers), max(usable[0].answers)
    counts, counts_at_last = ([one.answers[at]["num_dropped"] for one in usable] for at in (first, last))
    if len(usable) == 1:
        where = f" on {usable[0].task}"
    else:
        tasks = "task" + (" with an answer" if len(usable) < len(group) else "")
        each = f" on {'every' if any(counts) else 'any'} {tasks}"
        where = each if len(set(counts)) == 1 else ", depending on the task,"
    return Lead(
        model=model,
        num_layers=group[0].baseline["num_layers"],
        where=where,
        first=first,
        dropped=span(counts),
        any_dropped=any(counts),
        robust=all(one.answers[first]["robust"] for one in usable if one.answers[first]["num_dropped"]),
        last=last if last != first else None,
        dropped_at_last=span(counts_at_last),
        saved=_saved([one.answers[last] for one in usable]),
        unanswered=[one.task for one in group if one.problem],
    )


def span(counts: Sequence[int]) -> str:
    """A number of layers, from the smallest to the largest, in words."""
    low, high = min(counts), max(counts)
    if low == high:
        return str(low) if low else "none"
    if not low and high > 1:
        return f"up to {high}"
    return f"{low or 'none'} {'or' if high - low == 1 else 'to'} {high}"


def _saved(answers: Sequence[Mapping[str, Any]]) -> str:
    """How much smaller and faster the shallowest of these is; "" when nothing was dropped."""
    best = max(answers, key=lambda found: found["num_dropped"])
    if not best["num_dropped"]:
        return ""
    saved = [words for words in (_smaller(best), _faster(best)) if words]
    return f"{'up to ' if len(answers) > 1 else ''}{listed(saved) if saved else 'no smaller'}"


def _smaller(row: Mapping[str, Any]) -> str:
    saved = 100.0 - row["size_percent"]
    return f"{saved:.0f} % smaller" if saved >= 0.5 else ""


def _faster(row: Mapping[str, Any]) -> str:
    """The speed-up at the smallest batch that was measured, if it is one."""
    prefix = "speedup_batch"
    speedups = {int(key.removeprefix(prefix)): value for key, value in row.items() if key.startswith(prefix)}
    speedup = speedups[min(speedups)] if speedups else 1.0
    return f"{speedup:.1f} times as fast" if speedup >= 1.05 else ""


def _cell(one: TaskAnswer, tolerance: float) -> Cell:
    found, num_layers = one.answers[tolerance], one.baseline["num_layers"]
    if one.problem:
        return Cell(tolerance, None, num_layers)
    if not found["num_dropped"]:
        return Cell(tolerance, 0, num_layers)
    stack = layer_stack(layer_sets(found["kept_layers"])[0], num_layers)
    return Cell(tolerance, found["num_dropped"], num_layers, stack, percent(found["kept_percent"]), found["robust"])


def _card(one: TaskAnswer, test: Scores | None, confidence: float) -> Card:
    base = one.baseline
    spread = "one seed"
    if base["seeds"] > 1:
        spread = f"mean of {counted(base['seeds'], 'seed')}, {score_text(base['score_min'])} to "
        spread += score_text(base["score_max"])
    same_arm = groupby(one.answers.items(), key=lambda item: item[1]["directory"])
    return Card(
        model=one.model,
        task=one.task,
        num_layers=base["num_layers"],
        full_model=f"{counted(base['num_layers'], 'layer')} and {metric_title(base['metric'], base['positive_class'])} "
        f"{score_text(base['score'])} ({spread})",
        problem=one.problem,
        choices=[] if one.problem else [_choice(one, list(group), test, confidence) for _, group in same_arm],
        held_out=[] if one.problem else [(at, _held_out(found)) for at, found in one.answers.items()],
        collapsed=[
            f"{row['strategy']}-{row['amount']} ({row['origin']}, {row['collapsed']} of {row['seeds']} seeds)"
            for _, row in one.arms[one.arms["collapsed"] > 0].iterrows()
        ],
    )


def _held_out(found: Mapping[str, Any]) -> str:
    num_dropped = found["held_out_num_dropped"]
    if not num_dropped:
        return "no layer"
    return f"{counted(num_dropped, 'layer')}, {percent(found['held_out_kept_percent'])} kept"


def _choice(
    one: TaskAnswer, group: Sequence[tuple[float, Mapping[str, Any]]], test: Scores | None, confidence: float
) -> Choice:
    found, tolerances = group[0][1], [tolerance for tolerance, _ in group]
    if not found["num_dropped"]:
        return Choice(tolerances, 0)
    chosen = one.arms.loc[one.arms["directory"] == found["directory"]].iloc[0]
    arm = {
        "strategy": chosen["strategy"],
        "origin": origin_title(chosen["origin"]),
        "layers": _kept(layer_sets(chosen["kept_layers"])),
        "kept": percent(chosen["kept_percent"]),
        "interval": ""
        if pd.isna(chosen["kept_low"])
        else f"{chosen['kept_low']:.1f} to {percent(chosen['kept_high'])}",
        "scores": f"{score_text(chosen['score'])} against {score_text(one.baseline['score'])}"
        + (f" over {counted(one.baseline['seeds'], 'seed')}" if chosen["seeds"] < one.baseline["seeds"] else ""),
        "size": _smaller(chosen) or "as large as before",
        "megabytes": megabytes(chosen["model_bytes"]),
        "speeds": _speeds(one, chosen),
        "directory": chosen["directory"],
        "several_seeds": chosen["seeds"] > 1,
        "test": _on_test(one, chosen, test, confidence),
    }
    robust = [tolerance for tolerance, item in group if item["robust"]]
    return Choice(tolerances, found["num_dropped"], robust[0] if robust else None, arm)


def _on_test(one: TaskAnswer, chosen: pd.Series, test: Scores | None, confidence: float) -> dict[str, str] | None:
    """What the chosen arm scores on test examples, in the words of the choice; None where there are none."""
    arm = (chosen["origin"], chosen["strategy"], chosen["amount"])
    found = score_on_test(test, one.model, one.task, arm, confidence)
    if found is None:
        return None
    low, high = found.kept_interval
    return {
        "kept": percent(found.kept) if found.has_percentage else "",
        "interval": f"{low:.1f} to {percent(high)}, {found.of_what}",
        "scores": f"{score_text(found.score)} against {score_text(found.full_score)}",
    }


def _kept(sets: Sequence[Sequence[int]]) -> str:
    if len(sets) > 1:
        return "the layers kept differ from seed to seed"
    layers = sets[0]
    return f"layer {layers[0]} is kept" if len(layers) == 1 else f"layers {layer_ranges(layers)} are kept"


def _speeds(one: TaskAnswer, row: pd.Series) -> list[tuple[str, str]]:
    """Speed-up, and for what and in which time, for each batch size that was measured."""
    speeds = []
    for batch in batch_sizes(one.arms):
        ours, full = row[f"latency_ms_batch{batch}"], one.baseline[f"latency_ms_batch{batch}"]
        if pd.notna(ours):
            times = f"for {texts_at_once(batch)} ({milliseconds(ours)}, not {milliseconds(full)})"
            speeds.append((f"{row[f'speedup_batch{batch}']:.1f} times as fast", times))
    return speeds


def _texts_timed(cost: Mapping[str, Any]) -> str:
    """The texts whose time is the cost of a model."""
    return f"texts of {cost['task']}" if cost["task"] else f"texts of {cost['sequence_length']} tokens"


def _where_timed(costs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which models were timed where, a phrase for each machine."""
    models_at: dict[str, list[str]] = {}
    for model, cost in costs.items():
        rounds = sorted({latency["rounds"] for depth in cost["depths"] for latency in depth["latency"]})
        place = (
            f"{cost['device']} with {counted(cost['threads'], 'thread')}, {_texts_timed(cost)}, "
            f"median of {' to '.join(map(str, dict.fromkeys([rounds[0], rounds[-1]])))} passes"
        )
        models_at.setdefault(place, []).append(model)
    return [f"{listed(models)} on {place}" for place, models in models_at.items()]
