"""summary.csv, a row for each arm, and droppable.csv, how many layers can be dropped within a tolerance."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.runs import ARM_COLUMNS, BASELINE
from shallower.core.wording import counted, score_text
from shallower.task_kinds.registry import task_kind

ARM = ["study", *ARM_COLUMNS]
FAMILY_OF_ARMS = ["study", "model", "task", "origin", "strategy"]
# Between the sets of layers in `kept_layers`, where seeds of an arm dropped different ones.
SET_SEPARATOR = " | "
# A share of 99 % must not fail a tolerance of 1 % by the last bit of a float.
ROUNDING = 1e-9
# The full model counts as badly trained if the interval of what a shallower one keeps is above this, in percent.
CLEARLY_BETTER = 105.0


def read_comparisons(runs: pd.DataFrame) -> dict[tuple[str, ...], dict[str, Any]]:
    """comparison.json of each arm but the baseline, found next to its runs' folders, keyed by `ARM`."""
    arms = runs[runs["origin"] != BASELINE].drop_duplicates(ARM)
    return {
        tuple(arm): read_json(Path(directory).parent / "comparison.json")
        for *arm, directory in arms[[*ARM, "directory"]].itertuples(index=False)
    }


def read_costs(paths: Iterable[str | Path]) -> dict[str, dict[str, Any]]:
    """cost.json files by the model that each is of."""
    costs = map(read_json, paths)
    return {cost["model"]: cost for cost in costs}


def summarise(
    results: pd.DataFrame,
    comparisons: Mapping[tuple[str, ...], Mapping[str, Any]],
    costs: Mapping[str, Mapping[str, Any]],
) -> pd.DataFrame:
    """summary.csv: one row for each model, task and arm, the baseline first; scores are of the primary metric.

    `positive_class` is the class that the metric is of, where it is of one. `score` is the mean over seeds, with
    standard deviation (empty for one seed), minimum and maximum. `kept_percent` is that mean in percent of the
    baseline's, with its interval over validation examples, and its values on two random halves of them. Where seeds
    dropped different layers, `num_dropped` is the smallest number,
    size and speed are those of the largest model, and `kept_layers` names each set. `latency_ms_batch1` and the like
    are medians at the arm's depth, `speedup_batch1` is the full model's latency divided by the arm's. `collapsed`
    counts seeds; `directory` is the run of the best seed. Raises UserError when a baseline or a depth in cost.json is
    missing.
    """
    primary = results[results["primary"]]
    arms = primary.groupby(ARM, sort=False, dropna=False)
    rows = [_summary_row(dict(zip(ARM, arm, strict=True)), runs) for arm, runs in arms]
    baselines = {(row["model"], row["task"]): row for row in rows if row["origin"] == BASELINE}
    for row in rows:
        baseline = baselines.get((row["model"], row["task"]))
        if baseline is None:
            raise UserError(f"no baseline run of {row['model']} on {row['task']} in the results")
        row["size_percent"] = 100.0 * row["model_bytes"] / baseline["model_bytes"]
        row |= _kept(comparisons[tuple(row[key] for key in ARM)]) if row is not baseline else _KEPT_BY_BASELINE
        row |= _speed(costs.get(row["model"]), row["num_layers"], row["num_layers"] - row["num_dropped"])
    return pd.DataFrame(rows)


def _summary_row(arm: dict[str, str], runs: pd.DataFrame) -> dict[str, Any]:
    return {
        **arm,
        "num_layers": int(runs["num_layers"].iloc[0]),
        "num_dropped": int(runs["num_dropped"].min()),
        "kept_layers": SET_SEPARATOR.join(runs["kept_layers"].unique()),
        "target": runs["target"].iloc[0],
        "metric": runs["metric"].iloc[0],
        "positive_class": runs["positive_class"].iloc[0],
        "num_examples": int(runs["num_examples"].iloc[0]),
        "seeds": len(runs),
        "collapsed": int(runs["collapsed"].sum()),
        "score": runs["value"].mean(),
        "score_sd": runs["value"].std(),
        "score_min": runs["value"].min(),
        "score_max": runs["value"].max(),
        "chance": runs["chance"].iloc[0],
        "parameters": int(runs["parameters"].max()),
        "model_bytes": int(runs["model_bytes"].max()),
        "train_seconds": runs["train_seconds"].mean(),
        "directory": runs.loc[runs["value"].idxmax(), "directory"],
    }


def layer_sets(kept_layers: str) -> list[list[int]]:
    """The sets of layers in a field `kept_layers`: one, or several where seeds dropped different layers."""
    return [[int(layer) for layer in layers.split()] for layers in kept_layers.split(SET_SEPARATOR)]


_KEPT_BY_BASELINE = {"kept_percent": 100.0, "kept_percent_half1": 100.0, "kept_percent_half2": 100.0}


def _kept(comparison: Mapping[str, Any]) -> dict[str, float | None]:
    first, second = comparison["kept_percent_halves"]
    return {
        **{key: comparison[key] for key in ("kept_percent", "kept_low", "kept_high")},
        "kept_percent_half1": first,
        "kept_percent_half2": second,
    }


def _speed(cost: Mapping[str, Any] | None, num_layers: int, depth: int) -> dict[str, float]:
    """Latency with quartiles in ms, and speed-up, for each batch size that was measured."""
    if cost is None:
        return {}
    by_depth = {entry["depth"]: entry["latency"] for entry in cost["depths"]}
    if not {num_layers, depth} <= by_depth.keys():
        raise UserError(f"cost.json has no depth {depth} or {num_layers}; delete it and run again")
    columns = {}
    for ours, full in zip(by_depth[depth], by_depth[num_layers], strict=True):
        batch = f"batch{ours['batch_size']}"
        columns[f"latency_ms_{batch}"] = ours["median_ms"]
        columns[f"latency_low_ms_{batch}"] = ours["low_ms"]
        columns[f"latency_high_ms_{batch}"] = ours["high_ms"]
        columns[f"speedup_{batch}"] = full["median_ms"] / ours["median_ms"]
    return columns


def batch_sizes(summary: pd.DataFrame) -> list[int]:
    """Batch sizes whose latency a summary has, ascending."""
    prefix = "latency_ms_batch"
    return sorted(int(column.removeprefix(prefix)) for column in summary if column.startswith(prefix))


def without_answer(baseline: pd.Series, arms: pd.DataFrame) -> str | None:
    """Why no score can be compared with this baseline's, or None when scores can.

    `arms` are all those of its model and task.
    """
    kind = task_kind(baseline["target"])
    if baseline["collapsed"]:
        return (
            f"the full model itself collapsed in {baseline['collapsed']} of {baseline['seeds']} runs: "
            f"it {kind.collapse}"
        )
    # Without a chance level there are no scores below 0.
    if not baseline["score"] > (0 if pd.isna(baseline["chance"]) else baseline["chance"]):
        return f"the full model scores no better than {kind.constant or 'nothing'}: it has not learned the task"
    better = arms[(arms["kept_low"] >= CLEARLY_BETTER) & (arms["collapsed"] == 0)]
    if not better.empty:
        best = better.loc[better["kept_low"].idxmax()]
        return (
            f"the full model is badly trained: it scores {score_text(baseline['score'])}, and "
            f"{score_text(best['score'])} without {counted(best['num_dropped'], 'layer')} (strategy {best['strategy']})"
        )
    return None


def choose(arms: pd.DataFrame, tolerance: float, kept: str = "kept_percent") -> pd.Series | None:
    """The arm that drops most layers while the score kept, column `kept`, is at least 100 less `tolerance` percent.

    An arm with a collapsed run never qualifies. Among arms of the same depth, the one that keeps most is chosen; None
    when no arm qualifies.
    """
    within = arms[(arms["num_dropped"] > 0) & (arms["collapsed"] == 0) & (arms[kept] >= 100.0 - tolerance - ROUNDING)]
    if within.empty:
        return None
    return within.sort_values(["num_dropped", kept], ascending=False, kind="stable").iloc[0]


def answer(
    arms: pd.DataFrame, baseline: pd.Series, tolerance: float, all_arms: pd.DataFrame | None = None
) -> dict[str, Any]:
    """How many layers can be dropped within a tolerance, by the best of these arms of one model and task.

    `all_arms` are those of the model and task, if these are only some of them.

    `num_dropped` is 0 when no arm qualifies; every value is None when the baseline allows no answer. `robust` says
    whether the interval and every seed are within the tolerance. `held_out_num_dropped` is the same choice made on one
    half of the validation examples, `held_out_kept_percent` the score kept on the other half.
    """
    chosen = choose(arms, tolerance)
    on_half = choose(arms, tolerance, "kept_percent_half1")
    row = baseline if chosen is None else chosen
    speedups = [column for column in arms if column.startswith("speedup_")]
    least = 100.0 - tolerance - ROUNDING
    robust = row["kept_low"] >= least and 100.0 * row["score_min"] >= least * baseline["score"]
    found = {
        "num_dropped": int(row["num_dropped"]),
        **{key: row[key] for key in ("amount", "kept_layers", "score", "kept_percent", "kept_low", "kept_high")},
        "robust": None if chosen is None else bool(robust),
        **{key: row[key] for key in ("model_bytes", "size_percent", *speedups)},
        "held_out_num_dropped": 0 if on_half is None else int(on_half["num_dropped"]),
        "held_out_kept_percent": 100.0 if on_half is None else on_half["kept_percent_half2"],
        "directory": row["directory"],
    }
    problem = without_answer(baseline, arms if all_arms is None else all_arms)
    return dict.fromkeys(found) if problem else found


def baseline_of(summary: pd.DataFrame, model: str, task: str) -> pd.Series:
    """The baseline's row in a summary."""
    here = (summary["model"] == model) & (summary["task"] == task) & (summary["origin"] == BASELINE)
    return summary[here].iloc[0]


def droppable(summary: pd.DataFrame, tolerances: Sequence[float]) -> pd.DataFrame:
    """droppable.csv: the answer for each model, task, origin, strategy and tolerance (% of the baseline).

    As Table 4 of Sajjad et al., but relative to the baseline's score and for every strategy.
    """
    arms = summary[summary["origin"] != BASELINE]
    rows = []
    for family, group in arms.groupby(FAMILY_OF_ARMS, sort=False):
        named = dict(zip(FAMILY_OF_ARMS, family, strict=True))
        baseline = baseline_of(summary, named["model"], named["task"])
        all_arms = arms[(arms["model"] == named["model"]) & (arms["task"] == named["task"])]
        for tolerance in tolerances:
            rows.append(
                {
                    **named,
                    "metric": baseline["metric"],
                    "tolerance": tolerance,
                    "num_layers": baseline["num_layers"],
                    "baseline_score": baseline["score"],
                    **answer(group, baseline, tolerance, all_arms),
                }
            )
    return pd.DataFrame(rows).astype({"num_dropped": "Int64", "held_out_num_dropped": "Int64"})
