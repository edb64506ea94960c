"""recommended.csv: a row for each model and task with the model to take within the study's budget, in a sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from shallower.core.runs import BASELINE
from shallower.core.wording import DASH, JOINED, counted, layer_ranges, listed, percent
from shallower.evaluation.estimates import Scores
from shallower.evaluation.metrics import metric_title
from shallower.reporting.budget import LATENCY, SCORE_KEPT, budget_text, limits_of, texts_at_once
from shallower.reporting.labels import origin_title
from shallower.reporting.on_test import TEST_COLUMNS, score_on_test
from shallower.reporting.recommend import Candidate, Recommendation, missed_limits, recommend
from shallower.reporting.summary import baseline_of, batch_sizes, layer_sets, without_answer


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


def recommended_table(
    summary: pd.DataFrame,
    scores: Scores,
    budget: Mapping[str, Any],
    confidence: float,
    test: Scores | None = None,
) -> pd.DataFrame:
    """recommended.csv, in the order of the summary.

    `recommended` says whether a model holds the budget. If not, the columns on the arm are those of the one that comes
    closest, but `directory` is empty. `kept_percent` is the mean score in per cent of the full model's, with its
    interval over examples and seeds; sizes are those of the largest seed. `seed`, `kept_layers` and `directory` are of
    the run to take: that with the first seed, since to choose the best one by its validation score would make that
    score more optimistic still. `budget` has the study's limits.

    `test` are the scores on test examples, where the study has any: then the columns `TEST_COLUMNS` are there as well.
    They are of the model that the others are of, and empty for tasks without test examples.
    """
    rows = []
    for (model, task), arms in summary.groupby(["model", "task"], sort=False):
        full, measured = baseline_of(summary, model, task), batch_sizes(summary)
        batch_size = budget.get("batch_size", min(measured, default=None))
        latency = full.get(f"latency_ms_batch{batch_size}", math.nan)
        case = Case(budget, full, confidence, batch_size, latency)
        identity = {"study": full["study"], "model": model, "task": task, "test_sentence": ""}
        shallower = arms[arms["origin"] != BASELINE]
        problem = without_answer(full, shallower) if len(shallower) else "no layer was dropped from it"
        if problem:
            rows.append({**identity, "recommended": False, "sentence": f"No recommendation: {problem}."})
            continue
        found = recommend(candidates_of(arms, scores, confidence, batch_size), budget)
        named = found.chosen or found.closest
        of_arm = {} if named is None else _arm_columns(named, case, scores, is_chosen=found.chosen is not None)
        if named is not None and (on_test := score_on_test(test, model, task, named.arm, confidence)):
            metric = metric_title(full["metric"], full["positive_class"])
            of_arm |= {**on_test.columns, "test_sentence": on_test.sentence(metric, named.is_full)}
        rows.append(
            {
                **identity,
                "recommended": found.chosen is not None,
                **of_arm,
                "models_compared": found.num_candidates,
                "models_within_budget": found.num_holding,
                "sentence": sentence(found, case, scores),
            }
        )
    table = pd.DataFrame(rows, columns=COLUMNS + (TEST_COLUMNS if test else [])).astype(WHOLE)
    return table.astype({"test_examples": "Int64"}) if test else table


COLUMNS = [
    *("study", "model", "task", "recommended", "origin", "strategy", "amount", "num_layers", "layers", "kept_layers"),
    *("metric", "seeds", "score", "full_score", "kept_percent", "kept_low", "kept_high", "confidence"),
    *("megabytes", "latency_ms", "batch_size", "limits_held", "limits_missed"),
    *("models_compared", "models_within_budget", "seed", "directory", "sentence"),
]
WHOLE = dict.fromkeys(
    ("num_layers", "layers", "seeds", "batch_size", "models_compared", "models_within_budget", "seed"), "Int64"
)


def _arm_columns(candidate: Candidate, case: Case, scores: Scores, is_chosen: bool) -> dict[str, Any]:
    runs, full = scores.rows(case.full["model"], case.full["task"], *candidate.arm), case.full
    missed = missed_limits(candidate, case.budget)
    return {
        "origin": candidate.origin,
        "strategy": candidate.strategy,
        "amount": candidate.amount,
        "num_layers": full["num_layers"],
        "layers": candidate.layers,
        "kept_layers": runs["kept_layers"].iloc[0],
        "metric": full["metric"],
        "seeds": len(runs),
        "score": candidate.score,
        "full_score": full["score"],
        "kept_percent": candidate.kept,
        "kept_low": candidate.low,
        "kept_high": candidate.high,
        "confidence": case.confidence,
        "megabytes": candidate.megabytes,
        "latency_ms": candidate.latency_ms,
        "batch_size": case.batch_size,
        "limits_held": " ".join(limit for limit in limits_of(case.budget) if limit not in missed),
        "limits_missed": " ".join(missed),
        "seed": runs["seed"].iloc[0],
        "directory": runs["directory"].iloc[0] if is_chosen else "",
    }


def candidates_of(rows: pd.DataFrame, scores: Scores, confidence: float, batch_size: int | None) -> list[Candidate]:
    """The candidates among the rows of a summary, which are of one model and task; those that collapsed are left out.

    `confidence` is that of the intervals (0 to 1); times are those of `batch_size`, where it was measured.
    """
    found = []
    for row in rows[rows["collapsed"] == 0].to_dict("records"):
        kept = scores.kept(row["model"], row["task"], row["origin"], row["strategy"], row["amount"])
        if kept is None:
            raise ValueError(f"no runs of {row['model']} on {row['task']}: {row['origin']} {row['strategy']}")
        interval = kept.interval(confidence)
        found.append(
            Candidate(
                origin=row["origin"],
                strategy=row["strategy"],
                amount=row["amount"],
                layers=row["num_layers"] - row["num_dropped"],
                score=row["score"],
                kept=kept.value,
                low=interval.low,
                high=interval.high,
                megabytes=row["model_bytes"] / 1e6,
                latency_ms=row.get(f"latency_ms_batch{batch_size}", math.nan),
            )
        )
    return found


# --- the sentence --------------------------------------------------------------------------------------------------


def sentence(found: Recommendation, case: Case, scores: Scores) -> str:
    """The recommendation of one model on one task with its numbers, as one sentence without the names of the two."""
    within = f"the budget ({budget_text(case.budget)})"
    among = f"chosen among {counted(found.num_candidates, 'model')} on the validation split"
    # Whether a score is kept is known as far as the interval goes, what a model costs is known for certain.
    holds = "is known to hold" if SCORE_KEPT in case.budget else "holds"
    near = f"closest is {_closest(found.closest, case, scores)}" if found.closest else ""
    if found.chosen is None:
        reason = near or f"{_why_unknown(case)}, so that none can be compared with it"
        return f"No model {holds} {within}: {reason}; {found.num_candidates} were compared."
    if found.chosen.is_full:
        layers = counted(case.full["num_layers"], "layer")
        if found.closest is None:
            return f"Keep all {layers}: within {within} the full model scores highest; {among}."
        return f"Keep all {layers}: no shallower model {holds} {within}; {near}; {among}."
    chosen = found.chosen
    first = "shallowest" if SCORE_KEPT in case.budget else "best"
    which = f"the {first} of {found.num_holding}" if found.num_holding > 1 else "the only one"
    return (
        f"Keep {_layers(chosen, case, scores)}: {_score(chosen, case)}, {_cost(chosen, case)}; {which} within "
        f"{within}, {among}."
    )


def _layers(candidate: Candidate, case: Case, scores: Scores) -> str:
    runs = scores.rows(case.full["model"], case.full["task"], *candidate.arm)
    [kept] = layer_sets(runs["kept_layers"].iloc[0])
    differ = "" if runs["kept_layers"].nunique() == 1 else f" with seed {runs['seed'].iloc[0]}, others differ"
    return (
        f"{len(kept)} of {counted(case.full['num_layers'], 'layer')} ({layer_ranges(kept)}{differ}; "
        f"{candidate.strategy}-{candidate.amount}, {origin_title(candidate.origin)})"
    )


def _score(candidate: Candidate, case: Case) -> str:
    metric = metric_title(case.full["metric"], case.full["positive_class"])
    if math.isnan(candidate.low):
        return f"{metric} {candidate.score:.3f}, the full model's is {case.full['score']:.3f}"
    return (
        f"{percent(candidate.kept)} of the full model's {metric} ({100 * case.confidence:g}{JOINED}% interval "
        f"{candidate.low:.1f} to {candidate.high:.1f}, {case.full['num_examples']:,} examples and "
        f"{counted(case.full['seeds'], 'seed')})"
    )


def _cost(candidate: Candidate, case: Case) -> str:
    size = f"{_short(candidate.megabytes)} instead of {_short(case.full['model_bytes'] / 1e6)} MB"
    if math.isnan(candidate.latency_ms) or math.isnan(case.full_latency):
        return size
    time = (
        f"{_short(candidate.latency_ms)} instead of {_short(case.full_latency)} ms for {texts_at_once(case.batch_size)}"
    )
    return f"{size}, {time}"


def _closest(candidate: Candidate, case: Case, scores: Scores) -> str:
    """The candidate with its score, and by how much it misses each limit."""
    who = "the full model" if candidate.is_full else _layers(candidate, case, scores)
    missed = [_miss(candidate, limit, case) for limit in missed_limits(candidate, case.budget)]
    score = "" if candidate.is_full else f" with {_score(candidate, case)}"
    return f"{who}{score}, {listed(missed)}"


def _miss(candidate: Candidate, limit: str, case: Case) -> str:
    value = case.budget[limit]
    match limit:
        case "score_kept":
            return f"whose interval begins at {candidate.low:.1f}, below {value:g}{JOINED}%"
        case "megabytes":
            return f"whose file has {_short(candidate.megabytes)} MB, more than {value:g}"
        case "latency_ms":
            return f"which takes {_short(candidate.latency_ms)} ms, more than {value:g}"
        case _:
            return f"which has {counted(candidate.layers, 'layer')}, more than {value:g}"


def _why_unknown(case: Case) -> str:
    """Why no candidate's distance from the budget is known."""
    if LATENCY in case.budget and math.isnan(case.full_latency):
        return "the time was not measured"
    return "the full model's score is 0 or less on some resampled examples, so that no percentage of it can be taken"


def _short(value: float) -> str:
    """A size or time with three digits, or all before the point; an en dash where it is not known."""
    if math.isnan(value):
        return DASH
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
