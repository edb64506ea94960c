"""recommended.csv: a row for each model and task with the model to take within the study's budget, in a sentence."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from shallower.core.runs import BASELINE
from shallower.evaluation.estimates import POINTS, Scores
from shallower.evaluation.metrics import metric_title
from shallower.reporting.budget import limits_of
from shallower.reporting.on_test import TEST_COLUMNS, score_on_test
from shallower.reporting.recommend import Candidate, missed_limits, recommend
from shallower.reporting.recommended_sentence import Case, sentence
from shallower.reporting.recommended_variant import recommend_variant, values_of_variant, variant_columns
from shallower.reporting.summary import baseline_of, batch_sizes, without_answer
from shallower.reporting.variants import of_model_and_task


def recommended_table(
    summary: pd.DataFrame,
    scores: Scores,
    budget: Mapping[str, Any],
    confidence: float,
    test: Scores | None = None,
    variants: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """recommended.csv, in the order of the summary.

    `recommended` says whether a model meets the budget. If not, the columns on the arm are those of the one that comes
    closest, but `directory` is empty. `kept_percent` is the mean score in per cent of the full model's, with its
    interval over examples and seeds; sizes are those of the largest seed. `seed`, `kept_layers` and `directory` are of
    the run to take: that with the first seed, since to choose the best one by its validation score would make that
    score more optimistic still. `budget` has the study's limits.

    `test` are the scores on test examples, those of variants among them, where the study has any: then the columns
    `TEST_COLUMNS` are there as well. They are of the model that the others are of, in its variant, and empty for tasks
    without test examples.

    `variants` is variants.csv, where variants of the models were measured: then the candidates are its rows, sizes and
    times are those of the variants, and the columns `variant_columns` are there as well.
    """
    # An arm that drops no layer, as by a threshold, is no shallower model.
    summary = summary[(summary["origin"] == BASELINE) | (summary["num_dropped"] > 0)]
    if variants is not None:
        variants = variants[(variants["origin"] == BASELINE) | (variants["layers"] < variants["num_layers"])]
    rows = []
    for (model, task), arms in summary.groupby(["model", "task"], sort=False):
        full = baseline_of(summary, model, task)
        here = arms if variants is None else of_model_and_task(variants, model, task)
        identity = {"study": full["study"], "model": model, "task": task, "test_sentence": ""}
        shallower = arms[arms["origin"] != BASELINE]
        problem = without_answer(full, shallower) if len(shallower) else "no arm drops a layer with every seed"
        if here.empty:
            problem = problem or "its variants were not measured"
        if problem:
            rows.append({**identity, "recommended": False, "sentence": f"No recommendation: {problem}."})
            continue
        if variants is None:
            batch_size = budget.get("batch_size", min(batch_sizes(summary), default=None))
            case = Case(budget, full, confidence, batch_size, full.get(f"latency_ms_batch{batch_size}", math.nan))
            found = recommend(candidates_of(arms, scores, confidence, batch_size), budget)
            words = sentence(found, case, scores)
        else:
            found, case, words = recommend_variant(here, full, scores, budget, confidence)
        named = found.chosen or found.closest
        of_arm = {} if named is None else _arm_columns(named, case, scores, is_chosen=found.chosen is not None)
        if named is not None and variants is not None:
            of_arm |= values_of_variant(named, here)
        if named is not None and (on_test := score_on_test(test, model, task, named.arm, confidence, named.variant)):
            metric = metric_title(full["metric"], full["positive_class"])
            of_arm |= {**on_test.columns, "test_sentence": on_test.sentence(metric, named.is_full)}
        rows.append(
            {
                **identity,
                "recommended": found.chosen is not None,
                **of_arm,
                "models_compared": found.num_candidates,
                "models_within_budget": found.num_within,
                "sentence": words,
            }
        )
    columns = COLUMNS + ([] if variants is None else variant_columns(variants)) + (TEST_COLUMNS if test else [])
    table = pd.DataFrame(rows, columns=columns).astype(WHOLE)
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
    full, arm = case.full, (case.full["model"], case.full["task"], *candidate.arm)
    runs, pair = scores.rows(*arm), scores.with_full(*arm)
    assert pair  # a candidate was compared
    missed = missed_limits(candidate, case.budget)
    return {
        "origin": candidate.origin,
        "strategy": candidate.strategy,
        "amount": candidate.amount,
        "num_layers": full["num_layers"],
        "layers": candidate.layers,
        "kept_layers": runs["kept_layers"].iloc[0],
        "metric": full["metric"],
        "seeds": pair[1].seeds,
        "score": candidate.score,
        "full_score": pair[1].value / POINTS,
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
                seeds=kept.seeds,
                kept=kept.value,
                low=interval.low,
                high=interval.high,
                megabytes=row["model_bytes"] / 1e6,
                latency_ms=row.get(f"latency_ms_batch{batch_size}", math.nan),
            )
        )
    return found
