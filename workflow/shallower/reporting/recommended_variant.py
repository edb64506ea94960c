"""The recommendation among variants of models: runtime and vocabulary in addition to the arm."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from shallower.core.runs import BASELINE
from shallower.core.variants import INT8, RUNTIME_TITLES, TRIMMED, Variant
from shallower.core.wording import JOINED, counted, listed
from shallower.evaluation.estimates import Scores
from shallower.reporting.budget import (
    LATENCY,
    PREFER,
    PREFER_LATENCY,
    PREFER_SIZE,
    SCORE_KEPT,
    budget_text,
    texts_at_once,
)
from shallower.reporting.recommend import Candidate, Recommendation, as_fast_as_any, left_out, missed_limits, recommend
from shallower.reporting.recommended_sentence import Case, closest_text, kept_text, layers_text, miss_text, short
from shallower.reporting.summary import batch_sizes
from shallower.reporting.variants import reference_of, variant_of
from shallower.task_kinds.registry import task_kind

_OF_VARIANT = ["runtime", "vocabulary", "times_smaller", "changed_percent", "changed_low", "changed_high"]
_SPEEDUP = ("speedup", "speedup_low", "speedup_high")
# A file that is less than this times smaller is of the same size to a reader.
SMALLER = 1.05


def variant_columns(variants: pd.DataFrame) -> list[str]:
    """What recommended.csv has in addition where variants were measured: the last ones are those of variants.csv."""
    return [*_OF_VARIANT, *(f"{name}_batch{size}" for size in batch_sizes(variants) for name in _SPEEDUP)]


def values_of_variant(candidate: Candidate, rows: pd.DataFrame) -> dict[str, Any]:
    """Those columns of a candidate; `rows` are those of variants.csv on its model and task."""
    row = _row_of(candidate, rows)
    names = variant_columns(rows)
    smaller = reference_of(rows)["bytes"] / row["bytes"]
    return {name: row[name] for name in names if name != "times_smaller"} | {"times_smaller": smaller}


def recommend_variant(
    rows: pd.DataFrame,
    full: pd.Series,
    scores: Scores,
    budget: Mapping[str, Any],
    confidence: float,
) -> tuple[Recommendation, Case, str]:
    """What the rule says of one model and task, what it was decided by, and the sentence.

    `rows` are those of variants.csv, `full` the full model's row in the summary. Size and time of the full model are
    those of its files and runs as it was trained.
    """
    sizes, reference, full = batch_sizes(rows), reference_of(rows), full.copy()
    full["model_bytes"] = reference["bytes"]
    batch_size = budget.get("batch_size", min(sizes))
    case = Case(budget, full, confidence, batch_size, reference.get(f"latency_ms_batch{batch_size}", math.nan))
    sound, collapsed = (
        [_candidate(row, batch_size, min(sizes)) for row in part.to_dict("records")]
        for part in (rows[rows["collapsed"] == 0], rows[rows["collapsed"] > 0])
    )
    prefer = budget.get(PREFER, PREFER_LATENCY)
    found = recommend(sound, budget, prefer)
    words = _sentence(found, case, scores, rows, [one for one in sound if not missed_limits(one, budget)])
    spoilt = left_out(sound, collapsed, budget, prefer, found.chosen)
    if spoilt is not None:
        words += f" {_left_out(spoilt, case, scores, has_collapsed=spoilt in collapsed)}"
    return found, case, words


def _candidate(row: Mapping[str, Any], batch_size: int, smallest: int) -> Candidate:
    return Candidate(
        origin=row["origin"],
        strategy=row["strategy"],
        amount=row["amount"],
        layers=row["layers"],
        score=row["score"],
        seeds=row["seeds"],
        kept=row["kept_percent"],
        low=row["kept_low"],
        high=row["kept_high"],
        megabytes=row["bytes"] / 1e6,
        latency_ms=row.get(f"latency_ms_batch{batch_size}", math.nan),
        variant=variant_of(row),
        **{name: row[f"{name}_batch{smallest}"] for name in _SPEEDUP},
    )


def _row_of(candidate: Candidate, rows: pd.DataFrame) -> pd.Series:
    keys = ["origin", "strategy", "amount", *Variant._fields]
    return rows[(rows[keys] == [*candidate.arm, *candidate.variant]).all(axis=1)].iloc[0]


# --- the sentence --------------------------------------------------------------------------------------------------


def _sentence(
    found: Recommendation, case: Case, scores: Scores, rows: pd.DataFrame, within_budget: Sequence[Candidate]
) -> str:
    within = f"the budget ({budget_text(case.budget)})"
    arms = len(rows.drop_duplicates(["origin", "strategy", "amount"]))
    among = f"{counted(found.num_candidates, 'variant')} of {counted(arms, 'model')}"
    meets = "is known to meet" if SCORE_KEPT in case.budget else "meets"
    near = f"; closest is {closest_text(found.closest, case, scores)}" if found.closest else ""
    if found.chosen is None:
        return f"No variant {meets} {within}{near}; {among} were compared."
    chosen = found.chosen
    among = f"chosen among {among} on the validation split"
    if chosen.is_full and found.closest is not None:
        layers = counted(case.full["num_layers"], "layer")
        return f"Keep all {layers}, in torch: no other variant {meets} {within}{near}; {among}."
    return (
        f"Keep {_what(chosen, case, scores)}: {kept_text(chosen, case)}, {_cost(chosen, case, rows)}; "
        f"{_which(chosen, case.budget, within_budget)} within {within}, {among}."
    )


def _what(candidate: Candidate, case: Case, scores: Scores) -> str:
    if candidate.keeps_all_layers:
        layers = f"all {counted(case.full['num_layers'], 'layer')}"
    else:
        layers = layers_text(candidate, case, scores)
    return f"{layers}, in {form_text(candidate.variant)}"


def form_text(variant: Variant) -> str:
    """A variant in a sentence, such as `ONNX int8 with a trimmed vocabulary`."""
    return RUNTIME_TITLES[variant.runtime] + (" with a trimmed vocabulary" if variant.vocabulary == TRIMMED else "")


def _cost(candidate: Candidate, case: Case, rows: pd.DataFrame) -> str:
    row, reference = _row_of(candidate, rows), reference_of(rows)
    sizes = batch_sizes(rows)
    speeds = [
        f"{{:.1f}} times as fast for {texts_at_once(size)} ({{:.1f}} to {{:.1f}})".format(
            *(row[f"{name}_batch{size}"] for name in _SPEEDUP)
        )
        for size in sorted({min(sizes), max(sizes)})
    ]
    ours, full = row["bytes"] / 1e6, reference["bytes"] / 1e6
    instead = f"{short(ours)} instead of {short(full)}{JOINED}MB"
    size = f"{full / ours:.1f} times smaller ({instead})" if full > SMALLER * ours else instead
    time = ""
    if LATENCY in case.budget:
        ours, full, texts = candidate.latency_ms, case.full_latency, texts_at_once(case.batch_size)
        time = f", {short(ours)} instead of {short(full)}{JOINED}ms for {texts}"
    return f"{listed(speeds)}{time}, {size}"


def _which(chosen: Candidate, budget: Mapping[str, Any], within_budget: Sequence[Candidate]) -> str:
    """Why this one, of those that meet the budget."""
    if len(within_budget) == 1:
        return "the only one"
    if SCORE_KEPT not in budget:
        return f"the best of {len(within_budget)}"
    if budget.get(PREFER) == PREFER_SIZE:
        return f"the smallest of {len(within_budget)}"
    equal = as_fast_as_any(within_budget)
    if len(equal) == 1:
        return f"the fastest of {len(within_budget)}"
    return f"the smallest of {len(equal)} that are as fast as the measurement can tell, of {len(within_budget)}"


def _left_out(spoilt: Candidate, case: Case, scores: Scores, has_collapsed: bool) -> str:
    """Why an int8 variant is not recommended though its arm is within the budget in another runtime."""
    if has_collapsed:
        why = task_kind(case.full["target"]).collapse + (" with some seed" if spoilt.seeds > 1 else "")
    else:
        missed = [miss_text(spoilt, limit, case) for limit in missed_limits(spoilt, case.budget)]
        score = "" if math.isnan(spoilt.low) else f"keeps {kept_text(spoilt, case)}, "
        why = f"{score}{listed(missed)}"
    where = "all layers" if spoilt.origin == BASELINE else counted(spoilt.layers, "layer")
    trimmed = " and a trimmed vocabulary" if spoilt.variant.vocabulary == TRIMMED else ""
    return f"{RUNTIME_TITLES[INT8]} was left out: with {where}{trimmed} it {why}."
