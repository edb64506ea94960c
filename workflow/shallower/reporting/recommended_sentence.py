"""The recommendation of one model on one task as a sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from shallower.core.variants import AS_TRAINED
from shallower.core.wording import DASH, JOINED, counted, layer_ranges, listed, percent
from shallower.evaluation.estimates import Scores
from shallower.evaluation.metrics import metric_title
from shallower.reporting.budget import LATENCY, SCORE_KEPT, budget_text, texts_at_once
from shallower.reporting.recommend import Candidate, Recommendation, missed_limits
from shallower.reporting.summary import layer_sets
from shallower.surgery.origins import origin_title
from shallower.task_kinds.registry import task_kind


@dataclass(frozen=True)
class Case:
    """What the sentence on one model and task needs in addition to the rule's answer.

    Attributes:
        budget: the study's limits, with the batch size that one of the latency is for.
        full: the full model's row in the summary.
        confidence: that of the intervals (0 to 1).
        batch_size: the one whose times are given; None where none was measured.
        full_latency: the full model's time at it in ms; NaN where it was not measured.
    """

    budget: Mapping[str, float]
    full: pd.Series
    confidence: float
    batch_size: int | None
    full_latency: float


def sentence(found: Recommendation, case: Case, scores: Scores) -> str:
    """The recommendation of one model on one task with its numbers, as one sentence without the names of the two."""
    within = f"the budget ({budget_text(case.budget)})"
    among = f"chosen among {counted(found.num_candidates, 'model')} on the validation split"
    # Whether a score is kept is known as far as the interval goes, what a model costs is known for certain.
    meets = "is known to meet" if SCORE_KEPT in case.budget else "meets"
    near = f"closest is {closest_text(found.closest, case, scores)}" if found.closest else ""
    if found.chosen is None:
        reason = near or f"{_why_unknown(case)}, so that none can be compared with it"
        return f"No model {meets} {within}: {reason}; {found.num_candidates} were compared."
    if found.chosen.is_full:
        layers = counted(case.full["num_layers"], "layer")
        if found.num_candidates == 1:
            return f"Keep all {layers}: no shallower model can be compared, as every one has a collapsed run."
        if found.closest is None:
            return f"Keep all {layers}: within {within} the full model scores highest; {among}."
        return f"Keep all {layers}: no shallower model {meets} {within}; {near}; {among}."
    chosen = found.chosen
    first = "shallowest" if SCORE_KEPT in case.budget else "best"
    which = f"the {first} of {found.num_within}" if found.num_within > 1 else "the only one"
    return (
        f"Keep {layers_text(chosen, case, scores)}: {kept_text(chosen, case)}, {_cost(chosen, case)}; {which} within "
        f"{within}, {among}."
    )


def layers_text(candidate: Candidate, case: Case, scores: Scores) -> str:
    """The layers that an arm keeps, and how they were chosen."""
    runs = scores.rows(case.full["model"], case.full["task"], *candidate.arm)
    [kept] = layer_sets(runs["kept_layers"].iloc[0])
    differ = "" if runs["kept_layers"].nunique() == 1 else f" with seed {runs['seed'].iloc[0]}, others differ"
    return (
        f"{len(kept)} of {counted(case.full['num_layers'], 'layer')} ({layer_ranges(kept)}{differ}; "
        f"{candidate.strategy}-{candidate.amount}, {origin_title(candidate.origin)})"
    )


def kept_text(candidate: Candidate, case: Case) -> str:
    """The share of the full model's score with its interval, or the scores where there is no such share."""
    metric, row = metric_title(case.full["metric"], case.full["positive_class"]), task_kind(case.full["target"]).row
    if math.isnan(candidate.low):
        return f"{metric} {candidate.score:.3f}, the full model's is {case.full['score']:.3f}"
    return (
        f"{percent(candidate.kept)} of the full model's {metric} ({100 * case.confidence:g}{JOINED}% interval "
        f"{candidate.low:.1f} to {candidate.high:.1f}, {row.counted(case.full['num_examples'])} and "
        f"{counted(candidate.seeds, 'seed')})"
    )


def _cost(candidate: Candidate, case: Case) -> str:
    size = f"{short(candidate.megabytes)} instead of {short(case.full['model_bytes'] / 1e6)} MB"
    if math.isnan(candidate.latency_ms) or math.isnan(case.full_latency):
        return size
    time = (
        f"{short(candidate.latency_ms)} instead of {short(case.full_latency)} ms for {texts_at_once(case.batch_size)}"
    )
    return f"{size}, {time}"


def closest_text(candidate: Candidate, case: Case, scores: Scores) -> str:
    """The candidate with its score, and by how much it misses each limit."""
    who = "the full model" if candidate.keeps_all_layers else layers_text(candidate, case, scores)
    who += "" if candidate.variant == AS_TRAINED else f" in {candidate.variant.title}"
    missed = [miss_text(candidate, limit, case) for limit in missed_limits(candidate, case.budget)]
    score = "" if candidate.is_full else f" with {kept_text(candidate, case)}"
    return f"{who}{score}, {listed(missed)}"


def miss_text(candidate: Candidate, limit: str, case: Case) -> str:
    """By how much a candidate misses a limit."""
    value = case.budget[limit]
    match limit:
        case "score_kept":
            begin = _unlike(value, f"{candidate.low:.1f}", candidate.low)
            return f"whose interval begins at {begin}, below {value:g}{JOINED}%"
        case "megabytes":
            size = _unlike(value, short(candidate.megabytes), candidate.megabytes)
            return f"whose file has {size} MB, more than {value:g}"
        case "latency_ms":
            time = _unlike(value, short(candidate.latency_ms), candidate.latency_ms)
            return f"which takes {time} ms, more than {value:g}"
        case _:
            return f"which has {counted(candidate.layers, 'layer')}, more than {value:g}"


def _unlike(limit: float, text: str, number: float) -> str:
    """A number that misses a limit with as many digits as tell it from the limit."""
    if math.isnan(number) or float(text) != limit:
        return text
    longer = (f"{number:.{digits}g}" for digits in range(3, 18))
    return next(text for text in longer if float(text) != limit)


def _why_unknown(case: Case) -> str:
    """Why no candidate's distance from the budget is known."""
    if LATENCY in case.budget and math.isnan(case.full_latency):
        return "the time was not measured"
    return "the full model's score is 0 or less on some resamples, so that no percentage of it can be taken"


def short(value: float) -> str:
    """A size or time with three digits, or all before the point; an en dash where it is not known."""
    if math.isnan(value):
        return DASH
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
