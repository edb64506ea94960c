"""The study's answer: how many layers can go, in plain sentences first, then every number.

Its pieces are functions of the cases, from which `answer_page` and the report are put together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

import pandas as pd

from shallower.core.runs import BASELINE
from shallower.core.wording import (
    DASH,
    JOINED,
    TIMES,
    counted,
    layer_ranges,
    listed,
    megabytes,
    milliseconds,
    percent,
    score_text,
)
from shallower.evaluation.metrics import metric_title
from shallower.reporting.page import definitions, folded, page
from shallower.reporting.summary import answer, baseline_of, batch_sizes, without_answer

QUESTION = "How many layers can go?"
ORIGINS = {
    "pretrained": "dropped before fine-tuning",
    "finetuned": "dropped after fine-tuning, then refined",
    "finetuned-frozen": "dropped after fine-tuning in which they were frozen, then refined",
    "gradual": "dropped one by one while fine-tuning",
}
TABLE_HEADINGS = {
    "pretrained": "Dropped from the pre-trained model, then fine-tuned",
    "finetuned": "Dropped from the fine-tuned model, then refined",
    "finetuned-frozen": "Dropped from a model that was fine-tuned with those layers frozen, then refined",
    "gradual": "Dropped one by one, with fine-tuning after each",
}
# With more cards than this, those of each model are folded away.
CARDS_AT_ONCE = 8


@dataclass(frozen=True)
class Case:
    """One model on one task: its baseline's row, the rows of its arms, and the answer for each tolerance."""

    model: str
    task: str
    baseline: pd.Series
    arms: pd.DataFrame
    answers: Mapping[float, Mapping[str, Any]]

    @property
    def problem(self) -> str | None:
        """Why there is no answer, or None when there is one."""
        return without_answer(self.baseline)


def cases(summary: pd.DataFrame, tolerances: Sequence[float]) -> list[Case]:
    """Every model and task of a summary, in its order, with the answer over all its arms, lowest tolerance first."""
    found = []
    for (model, task), rows in summary.groupby(["model", "task"], sort=False):
        baseline, arms = baseline_of(summary, model, task), rows[rows["origin"] != BASELINE]
        answers = {tolerance: answer(arms, baseline, tolerance) for tolerance in sorted(tolerances)}
        found.append(Case(model, task, baseline, arms, answers))
    return found


def answer_page(
    summary: pd.DataFrame,
    tolerances: Sequence[float],
    confidence: float,
    costs: Mapping[str, Mapping[str, Any]],
) -> str:
    """answer.html: `tolerances` in percent of the full model's score, `confidence` of the intervals (0 to 1).

    `costs` holds the cost.json of each model, from which the page tells where the times were taken.
    """
    found = cases(summary, tolerances)
    study = summary["study"].iloc[0]
    body = [
        f"<header><p class=kicker>Study {escape(study)}</p><h1>{QUESTION}</h1>{lead(found)}</header>",
        droppable_section(found, confidence),
        choices_section(found),
        f"<section><h2>How to read this</h2>{reading(summary, confidence, costs)}</section>",
        numbers_section(found, confidence),
    ]
    return page(f"{QUESTION} {study}", body)


def lead(found: Sequence[Case]) -> str:
    """The answer in a sentence or two for each model."""
    return f"<ul class=lead>{''.join(f'<li>{_lead(group)}</li>' for group in _by_model(found))}</ul>"


def droppable_section(found: Sequence[Case], confidence: float) -> str:
    """How many layers can go for each model, task and tolerance, drawn."""
    return (
        f"<section><h2>Layers that can go, within a loss of …</h2>{_matrix(found)}"
        "<p class=note>Loss is relative to the score of the full model. In the drawings the bottom layer is "
        f"at the left, and hollow layers go. {_clear_means(confidence)}</p></section>"
    )


def choices_section(found: Sequence[Case]) -> str:
    """Which layers those are, what their going brings, and where the models lie: a card a model and task."""
    groups = _by_model(found)
    cards = [f"<div class=cards>{''.join(map(_card, group))}</div>" for group in groups]
    if len(groups) > 1 and len(found) > CARDS_AT_ONCE:
        cards = [folded(escape(group[0].model), card) for group, card in zip(groups, cards, strict=True)]
    return f"<section><h2>Which ones, and what it brings</h2>{''.join(cards)}</section>"


def numbers_section(found: Sequence[Case], confidence: float) -> str:
    """Every arm in numbers, folded where there is more than one table."""
    tables = _tables(found, confidence, opened=len(found) == 1)
    return f"<section><h2>Every variant in numbers</h2>{tables}</section>"


def summary_page(summary: pd.DataFrame, confidence: float) -> str:
    """summary.html: the numbers of every arm, model by model and task by task."""
    study = summary["study"].iloc[0]
    body = [
        f"<header><p class=kicker>Study {escape(study)}</p><h1>Every variant in numbers</h1></header>",
        _tables(cases(summary, []), confidence, opened=True),
    ]
    return page(f"Every variant in numbers. {study}", body)


def _by_model(found: Sequence[Case]) -> list[list[Case]]:
    """The cases of each model; those in which nothing was dropped have no answer, for there was no question."""
    asked = [case for case in found if len(case.arms)]
    return [list(group) for _, group in groupby(asked, key=lambda case: case.model)]


def _lead(group: Sequence[Case]) -> str:
    """One or two sentences for one model over its tasks."""
    model, num_layers = f"<b>{escape(group[0].model)}</b>", group[0].baseline["num_layers"]
    usable = [case for case in group if not case.problem]
    if not usable:
        return f"{model}: no answer. {_no_answer(group[0])}"
    first, last = min(usable[0].answers), max(usable[0].answers)
    counts, counts_at_last = ([case.answers[at]["n_dropped"] for case in usable] for at in (first, last))
    if len(usable) == 1:
        where = f" on {escape(usable[0].task)}"
    else:
        where = " on every task" if len(set(counts)) == 1 else ", depending on the task,"
    within = f"stay within {first:g} % of its score"
    if any(counts):
        clear = all(case.answers[first]["sure"] for case in usable if case.answers[first]["n_dropped"])
        text = f"can lose <b>{span(counts)} of its {num_layers} layers</b>{where} and {within}"
        text += "" if clear else ", on average"
    else:
        text = f"needs <b>all of its {num_layers} layers</b>{where} to {within}"
    if last != first:
        text += f"; within {last:g} % it can lose <b>{span(counts_at_last)}</b>"
    unanswered = [escape(case.task) for case in group if case.problem]
    remark = f" No answer on {listed(unanswered)}." if unanswered else ""
    return f"{model} {text}. {_gain([case.answers[last] for case in usable])}{remark}"


def span(counts: Sequence[int]) -> str:
    """How many layers, from the fewest to the most, in words."""
    low, high = min(counts), max(counts)
    if low == high:
        return str(low) if low else "none"
    if not low and high > 1:
        return f"up to {high}"
    return f"{low or 'none'} {'or' if high - low == 1 else 'to'} {high}"


def _gain(answers: Sequence[Mapping[str, Any]]) -> str:
    """How much smaller and faster the shallowest of these is."""
    best = max(answers, key=lambda found: found["n_dropped"])
    if not best["n_dropped"]:
        return "Every layer is needed here."
    gains = [words for words in (_smaller(best), _faster(best)) if words]
    text = listed(gains) if gains else "no smaller"
    return f"That makes it {'up to ' if len(answers) > 1 else ''}{text}."


def _smaller(row: Mapping[str, Any]) -> str:
    saved = 100.0 - row["size_percent"]
    return f"{saved:.0f} % smaller" if saved >= 0.5 else ""


def _faster(row: Mapping[str, Any]) -> str:
    """The speed-up at the smallest batch that was measured, if it is one."""
    speedups = [row[key] for key in row.keys() if key.startswith("speedup_batch")]  # noqa: SIM118 (Series)
    return f"{speedups[0]:.1f} times as fast" if speedups and speedups[0] >= 1.05 else ""


def _matrix(found: Sequence[Case]) -> str:
    tolerances = list(found[0].answers)
    head = "".join(f"<th scope=col>{tolerance:g} %</th>" for tolerance in tolerances)
    rows = []
    for group in _by_model(found):
        for place, case in enumerate(group):
            name = f"<th scope=rowgroup rowspan={len(group)}>{escape(case.model)}</th>" if place == 0 else ""
            cells = "".join(_matrix_cell(case, tolerance) for tolerance in tolerances)
            starts = " class=starts" if place == 0 else ""
            rows.append(f"<tr{starts}>{name}<th scope=row>{escape(case.task)}</th>{cells}</tr>")
    return (
        "<div class=scroll><table class=matrix><thead><tr><th scope=col>model</th><th scope=col>task</th>"
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _matrix_cell(case: Case, tolerance: float) -> str:
    found = case.answers[tolerance]
    within = f'data-within="{_tolerance(tolerance)}"'
    if case.problem:
        return f"<td class=none {within}>no answer</td>"
    if not found["n_dropped"]:
        return f"<td class=none {within}>none</td>"
    num_layers = case.baseline["num_layers"]
    return (
        f"<td {within}><b>{found['n_dropped']}</b> of {num_layers} {_stack(found['kept_layers'], num_layers)}"
        f"<small>{percent(found['kept_percent'])} kept</small>{_tag(found['sure'])}</td>"
    )


def _stack(kept: str, num_layers: int) -> str:
    """A drawing of the layers, the bottom one at the left: kept ones filled, dropped ones hollow."""
    layers = {int(layer) for layer in kept.split(" | ")[0].split()}
    step = 7
    boxes = "".join(
        f'<rect class="{"stays" if layer in layers else "goes"}" x="{step * layer + 0.5}" y="0.5" '
        'width="4.5" height="11"/>'
        for layer in range(num_layers)
    )
    title = f"layers that stay: {layer_ranges(layers)}"
    width = step * num_layers
    return (
        f'<svg class=stack viewBox="0 0 {width} 12" width="{width}" height="12" role="img" '
        f'aria-label="{title}"><title>{title}</title>{boxes}</svg>'
    )


def _tag(sure: bool, condition: str = "") -> str:
    return f"<span class='tag clear'>clear{condition}</span>" if sure else "<span class=tag>on average</span>"


def _clear_means(confidence: float) -> str:
    return (
        f"{_tag(True)} means that the whole {100 * confidence:g} % interval and every seed stay within; "
        f"{_tag(False)} that the mean does, but not all of them."
    )


def _card(case: Case) -> str:
    base = case.baseline
    spread = "one seed" if base["seeds"] == 1 else f"{_seeds(base)}, {_range(base)}"
    full = (
        f"<p>The full model has {counted(base['num_layers'], 'layer')} and {metric_title(base['metric'])} "
        f"{score_text(base['score'])} ({spread}).</p>"
    )
    return (
        f"<article><h3>{escape(case.model)} on {escape(case.task)}</h3>{full}"
        f"{_no_answer_box(case) if case.problem else _choices(case)}{_collapsed_note(case)}</article>"
    )


def _no_answer(case: Case) -> str:
    problem = case.problem[0].upper() + case.problem[1:]
    return f"{escape(problem)}. Try more epochs, a lower learning rate or other seeds."


def _no_answer_box(case: Case) -> str:
    return f"<p class=warning><b>No answer.</b> {_no_answer(case)}</p>"


def _choices(case: Case) -> str:
    """A paragraph for each arm that is the answer to one or more tolerances, then a check of the choice."""
    by_arm = groupby(case.answers.items(), key=lambda item: item[1]["directory"])
    paragraphs = [_choice(case, list(same)) for _, same in by_arm]
    checks = [
        f"{_tolerance(tolerance)}: {_held_out(found['held_out_n_dropped'], found['held_out_kept_percent'])}"
        for tolerance, found in case.answers.items()
    ]
    return (
        f"{''.join(paragraphs)}<p class=note>Cross-check: chosen on one half of the validation examples, "
        f"measured on the other: {'; '.join(checks)}.</p>"
    )


def _held_out(n_dropped: int, kept: float) -> str:
    return f"{counted(n_dropped, 'layer')}, {percent(kept)} kept" if n_dropped else "no layer"


def _choice(case: Case, group: Sequence[tuple[float, Mapping[str, Any]]]) -> str:
    found = group[0][1]
    within = f"Within {listed([_tolerance(tolerance) for tolerance, _ in group])}"
    if not found["n_dropped"]:
        return f"<h4>{within}: no layer can go</h4><p>Every variant loses more.</p>"
    chosen = case.arms.loc[case.arms["directory"] == found["directory"]].iloc[0]
    clear = [tolerance for tolerance, item in group if item["sure"]]
    from_where = f" within {_tolerance(clear[0])}" if clear and len(clear) < len(group) else ""
    facts = {
        "which": f"strategy <b>{escape(chosen['strategy'])}</b>, {_origin(chosen['origin'])}; "
        f"{_layers(chosen['kept_layers'])}",
        "score": f"keeps <b>{percent(chosen['kept_percent'])}</b> (interval {chosen['kept_low']:.1f} to "
        f"{percent(chosen['kept_high'])}): {score_text(chosen['score'])} against "
        f"{score_text(case.baseline['score'])}",
        "size": _size(chosen),
        "speed": _speed(case, chosen),
        "files": f"<code>{escape(chosen['directory'])}</code>",
    }
    drop = f"drop {found['n_dropped']} of {counted(case.baseline['num_layers'], 'layer')}"
    return f"<h4>{within}: {drop} {_tag(bool(clear), from_where)}</h4>{definitions(facts)}"


def _tolerance(tolerance: float) -> str:
    return f"{tolerance:g}{JOINED}%"


def _origin(name: str) -> str:
    return escape(ORIGINS.get(name, name))


def _layers(kept: str) -> str:
    sets = kept.split(" | ")
    if len(sets) > 1:
        return "the layers that stay differ from seed to seed"
    layers = [int(layer) for layer in sets[0].split()]
    if len(layers) == 1:
        return f"layer {layers[0]} stays"
    return f"layers {layer_ranges(layers)} stay"


def _size(row: pd.Series) -> str:
    return f"<b>{_smaller(row) or 'as large as before'}</b> ({megabytes(row['model_bytes'])})"


def _speed(case: Case, row: pd.Series) -> str:
    """Times against the full model, for each batch size that was measured."""
    times = []
    for batch in batch_sizes(case.arms):
        ours, full = row[f"latency_ms_batch{batch}"], case.baseline[f"latency_ms_batch{batch}"]
        if pd.notna(ours):
            texts = "one text" if batch == 1 else f"{batch} texts at once"
            times.append(
                f"<b>{row[f'speedup_batch{batch}']:.1f} times as fast</b> for {texts} "
                f"({milliseconds(ours)}, not {milliseconds(full)})"
            )
    return listed(times)


def _collapsed_note(case: Case) -> str:
    runs = [
        f"{row['strategy']}-{row['amount']} ({row['origin']}, {row['collapsed']} of {row['seeds']} seeds)"
        for _, row in case.arms[case.arms["collapsed"] > 0].iterrows()
    ]
    if not runs:
        return ""
    return f"<p class=warning>Collapsed, so never chosen: {escape(listed(runs))}.</p>"


def _seeds(row: pd.Series) -> str:
    return f"mean of {counted(row['seeds'], 'seed')}"


def _range(row: pd.Series) -> str:
    return f"{score_text(row['score_min'])} to {score_text(row['score_max'])}"


def reading(summary: pd.DataFrame, confidence: float, costs: Mapping[str, Mapping[str, Any]]) -> str:
    """What the words and numbers of the answer mean."""
    seeds = summary["seeds"].max()
    luck = (
        "There is one seed only, so nothing is known about the luck of training: a difference of a percent "
        "may be nothing but that."
        if seeds == 1
        else f"Each variant was trained with {seeds} seeds; scores are their means, and the tables give "
        "their standard deviation."
    )
    terms = {
        "Kept": "the mean score of a shallower model in percent of the full model's mean score.",
        "Interval": f"where that share would lie in {100 * confidence:g} of 100 cases had other validation "
        "examples been drawn (paired bootstrap, the same examples for both models). It does not cover "
        f"the luck of training. {luck}",
        "Chosen": "the variant that drops most layers within the loss. The best of many is a little "
        "flattered by the examples it was chosen on; the cross-check on the other half shows how much.",
        "Collapsed": "a run that gives the same answer to every example. It is shown, counted, and never chosen.",
        "Layers": "are counted from 0 at the bottom, next to the embeddings.",
        "Times": _where_timed(costs),
    }
    return definitions(terms)


def _where_timed(costs: Mapping[str, Mapping[str, Any]]) -> str:
    models_at: dict[str, list[str]] = {}
    for model, cost in costs.items():
        place = (
            f"{escape(str(cost['device']))} with {counted(cost['threads'], 'thread')}, texts of "
            f"{cost['sequence_length']} tokens, median of {cost['repeats']}"
        )
        models_at.setdefault(place, []).append(escape(model))
    places = [f"{listed(models)} on {place}" for place, models in models_at.items()]
    return f"of one forward pass: {'; '.join(places)}." if places else ""


def _tables(found: Sequence[Case], confidence: float, opened: bool) -> str:
    return "".join(
        folded(f"{escape(case.model)} on {escape(case.task)}", _table(case, confidence), opened) for case in found
    )


def _table(case: Case, confidence: float) -> str:
    rows = pd.concat([case.baseline.to_frame().T, case.arms])
    sizes = batch_sizes(rows)
    headings = [
        *("strategy", "layers", "score", f"kept, {100 * confidence:g} % interval", "size"),
        *(f"speed, batch {size}" for size in sizes),
        "training",
    ]
    scale = _Scale(rows)
    parts, origin = [], BASELINE
    for _, row in rows.iterrows():
        if row["origin"] != origin:
            origin = row["origin"]
            heading = escape(TABLE_HEADINGS.get(origin, origin))
            parts.append(f"<tr class=origin><th colspan={len(headings)}>{heading}</th></tr>")
        parts.append(_table_row(row, sizes, scale))
    head = "".join(f"<th scope=col>{escape(heading)}</th>" for heading in headings)
    seeds = case.baseline["seeds"]
    repeats = "of one seed" if seeds == 1 else f"mean ± standard deviation over {seeds} seeds"
    return (
        f"<div class=scroll><table class=numbers><caption>Score: {metric_title(case.baseline['metric'])}, "
        f"{repeats}; {case.baseline['n_examples']} validation examples; a constant answer scores "
        f"{score_text(case.baseline['chance'])}. Size and speed are relative to the full model.</caption>"
        f"<thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(parts)}</tbody></table></div>"
    )


def _table_row(row: pd.Series, sizes: Sequence[int], scale: "_Scale") -> str:
    is_baseline = row["origin"] == BASELINE
    name = "full model" if is_baseline else f"{row['strategy']} {row['amount']}"
    deviation = "" if pd.isna(row["score_sd"]) else f" <i>± {row['score_sd']:.3f}</i>"
    depth = row["num_layers"] - row["n_dropped"]
    flag = f" <span class='tag bad'>{row['collapsed']} collapsed</span>" if row["collapsed"] else ""
    cells = [
        f"<th scope=row>{escape(name)}{flag}</th>",
        f"<td class=depth>{_stack(row['kept_layers'], row['num_layers'])} <span>{depth}</span></td>",
        f"<td>{score_text(row['score'])}{deviation}</td>",
        f"<td class=kept>{_kept(row, scale)}</td>",
        f"<td>{row['size_percent']:.0f} %</td>",
        *(f"<td>{_or_dash(row[f'speedup_batch{size}'], f'{{:.2f}} {TIMES}')}</td>" for size in sizes),
        f"<td>{row['train_seconds']:.0f} s</td>",
    ]
    return f"<tr{' class=full' if is_baseline else ''}>{''.join(cells)}</tr>"


def _or_dash(value: float, pattern: str) -> str:
    return DASH if pd.isna(value) else pattern.format(value)


def _kept(row: pd.Series, scale: "_Scale") -> str:
    if row["origin"] == BASELINE:
        return f"{scale.drawing(None)}<span>{percent(100)}</span>"
    if pd.isna(row["kept_percent"]):
        return DASH
    return f"{scale.drawing(row)}<span>{percent(row['kept_percent'])}</span>"


class _Scale:
    """Small drawings of intervals, all on one scale, with a line at the full model's 100 %."""

    WIDTH, HEIGHT = 130, 16

    def __init__(self, rows: pd.DataFrame) -> None:
        shares = rows[["kept_percent", "kept_low", "kept_high"]].astype(float)
        # One collapsed arm must not squeeze the others into a corner.
        self.low = min(98.0, max(shares.min().min(), 80.0) - 1)
        self.high = max(102.0, shares.max().max() + 1)

    def x(self, share: float) -> float:
        inside = min(max(share, self.low), self.high)
        return (inside - self.low) / (self.high - self.low) * (self.WIDTH - 8) + 4

    def drawing(self, row: pd.Series | None) -> str:
        full, middle = self.x(100.0), self.HEIGHT / 2
        marks = f'<line class=full x1="{full:.1f}" x2="{full:.1f}" y1="0" y2="{self.HEIGHT}"/>'
        if row is not None and pd.notna(row["kept_low"]):
            low, high, at = (self.x(row[key]) for key in ("kept_low", "kept_high", "kept_percent"))
            marks += f'<line class=interval x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
            if row["kept_percent"] >= self.low:
                marks += f'<circle cx="{at:.1f}" cy="{middle}" r="3.2"/>'
            else:
                marks += f'<path d="M4 {middle} l6 -4 v8 z"/>'
            title = f"{row['kept_percent']:.1f} %, interval {row['kept_low']:.1f} to {row['kept_high']:.1f} %"
        else:
            title = "100 %"
        return (
            f'<svg viewBox="0 0 {self.WIDTH} {self.HEIGHT}" width="{self.WIDTH}" height="{self.HEIGHT}" '
            f'role="img" aria-label="{title}"><title>{title}</title>{marks}</svg>'
        )
