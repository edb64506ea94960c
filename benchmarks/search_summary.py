"""What the runs of compare_search.py amount to: prices, scores with intervals, tests against the rival, goals.

A row of search_runs.csv is one choice of layers: of a method, for a task and a seed, refined in one way.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recorded import verdict
from search_case import FULL, GREEDY_PRUNING, LABELS, MORE_TEXTS
from shallower.evaluation.estimates import POINTS, Estimate, over_seeds, percentage
from shallower.evaluation.significance import bootstrap_p, over_tasks

SEARCH_MODE = ["compared", "device", "model", "threads", "dropped", "rows", "epochs", "refine_epochs"]
SEARCH_KEYS = ["task", "refining", "more_texts", "method"]
CONFIDENCE = 0.95
BOOTSTRAP_SAMPLES = 2000
TIMES_CHEAPER = 20
PASSES = 20
SCORE_KEPT = 98
TASKS_KEPT = 3

# Resampled scores [samples], 0 to 1, of what was refined: by task, seed, way of refining and kept layers.
Resamples = Mapping[tuple[str, int, str, str], NDArray[np.float64]]


def estimate(runs: pd.DataFrame, resamples: Resamples) -> Estimate:
    """The mean score of choices over seeds, in points, with values on resampled examples and seeds."""
    keys = runs[["task", "seed", "refining", "kept_layers"]].itertuples(index=False, name=None)
    samples = np.stack([resamples[key] for key in keys])
    return over_seeds(POINTS * runs["score"].to_numpy(), POINTS * samples)


def rivals_of(runs: pd.DataFrame) -> tuple[str, str]:
    """What runs of one method and way of refining are compared with: greedy pruning or, taught, labels alone."""
    method, refining = runs[["method", "refining"]].iloc[0]
    return (GREEDY_PRUNING if refining == LABELS else method), LABELS


def summarise(runs: pd.DataFrame, resamples: Resamples) -> pd.DataFrame:
    """A row for each task, way of refining and method, in the order of their first appearance.

    Prices are means over seeds, scores are in points with intervals over examples and seeds. `kept` is the score in per
    cent of the full model's, `difference` the score less that of `against`, on the same seeds and resamples, with a
    two-sided p-value by its bootstrap error; NaN where there is nothing to compare with.
    """
    rows = []
    for (task, refining, method), ours in runs.groupby(["task", "refining", "method"], sort=False):
        ours = ours.sort_values("seed")
        full = ours.assign(refining=FULL, kept_layers=FULL, score=ours["full_score"])
        score, whole = estimate(ours, resamples), estimate(full, resamples)
        row = {"task": task, "refining": refining, "method": method, "seeds": len(ours)}
        row["kept_layers"] = "; ".join(ours["kept_layers"].unique())
        row |= {name: ours[name].mean() for name in PRICES}
        row |= {"full_score": whole.value, **_columns("score", score), **_columns("kept", percentage(score, whole))}
        row |= _against(runs[runs["task"] == task], ours, resamples)
        rows.append({**{name: ours[name].iloc[-1] for name in ours.columns if name not in {*row, *OF_RUNS}}, **row})
    return pd.DataFrame(rows)


PRICES = ("choose_seconds", "refine_seconds", "fine_tunings", "refinings", "forward_passes")
PRICES += ("full_seconds", "forward_seconds", "readout_seconds", "walk_passes")
# Columns that have no meaning for several runs together.
OF_RUNS = ("seed", "score", "full_score")


def _columns(name: str, found: Estimate) -> dict[str, float]:
    low, high = found.interval(CONFIDENCE)
    return {name: found.value, f"{name}_low": low, f"{name}_high": high}


def _against(runs: pd.DataFrame, ours: pd.DataFrame, resamples: Resamples) -> dict[str, Any]:
    """The paired comparison of a method's runs with those of its rival on the same task and seeds."""
    method, refining = rivals_of(ours)
    theirs = runs[(runs["method"] == method) & (runs["refining"] == refining)].sort_values("seed")
    seeds = set(ours["seed"]) & set(theirs["seed"])
    if not seeds or theirs.index.equals(ours.index):
        return {"against": "", **dict.fromkeys(("difference", "difference_low", "difference_high", "p_value"), np.nan)}
    pairs = (estimate(side[side["seed"].isin(seeds)], resamples) for side in (ours, theirs))
    difference = next(pairs) - next(pairs)
    p_value = bootstrap_p(difference.value, difference.samples)
    against = method if ours["refining"].iloc[0] == LABELS else refining
    return {"against": against, **_columns("difference", difference), "p_value": p_value}


def goals(summary: pd.DataFrame) -> list[tuple[str, str]]:
    """What was aimed at, with what was found, and "met" or "missed", as far as the rows of one mode can tell."""
    found = []
    labels = summary[summary["refining"] == LABELS].set_index(["task", "method"])
    methods = labels.index.get_level_values("method")
    if {GREEDY_PRUNING, "subset-readout"} <= {*methods}:
        found.append(_cheaper(labels.xs("subset-readout", level="method"), labels.xs(GREEDY_PRUNING, level="method")))
    passes = summary.groupby("task", sort=False)["walk_passes"].first()
    text = f"all subsets with their readouts within {PASSES} forward passes' time over the calibration texts"
    values = ", ".join(f"{task} {number:.1f}" for task, number in passes.items())
    found.append((f"{text}: {values}", verdict(passes.max() <= PASSES)))
    taught = summary[summary["refining"] == MORE_TEXTS]
    if len(taught):
        best = taught.groupby("task", sort=False)["kept"].max()
        text = f"at least {SCORE_KEPT} % of the full model's score with a teacher and more texts on {TASKS_KEPT} tasks"
        values = ", ".join(f"{task} {kept:.1f} %" for task, kept in best.items())
        found.append((f"{text}: {values}", verdict((best >= SCORE_KEPT).sum() >= TASKS_KEPT)))
    return found


def _cheaper(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[str, str]:
    """Whether the readout's choice is cheaper than greedy pruning's on every task, and no worse on average.

    The price of greedy pruning grows with the training rows, that of the readouts does not: also said is from how many
    rows on, at the earliest, they would be as much cheaper as they should be: in proportion, though a part of greedy
    pruning's price does not grow.
    """
    ratios = (theirs["choose_seconds"] / ours["choose_seconds"]).dropna()
    differences = ours["difference"].dropna()
    _, interval = over_tasks(differences.to_numpy(), CONFIDENCE)
    text = (
        f"subset-readout at least {TIMES_CHEAPER} times cheaper than {GREEDY_PRUNING} at no worse score: "
        f"{', '.join(f'{task} {ratio:.1f} times' for task, ratio in ratios.items())}; "
        f"{differences.mean():+.2f} points on average over tasks"
    )
    if len(differences) > 1:
        text += f" ({100 * CONFIDENCE:.0f} % interval {interval.low:+.2f} to {interval.high:+.2f})"
    if ratios.min() < TIMES_CHEAPER:
        rows = (ours["train_examples"] * TIMES_CHEAPER / ratios).max()
        text += f"; in proportion {TIMES_CHEAPER} times on every task from {rows:,.0f} training rows on at the earliest"
    return text, verdict(ratios.min() >= TIMES_CHEAPER and differences.mean() >= 0)
