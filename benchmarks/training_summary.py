"""What the runs of compare_training.py amount to: medians and spread, shares of the machine's rate, parity of scores.

A row of training.csv is one run. Runs with the same mode (device, threads, side_by_side, model), task, contestant and
repetition ran at the same time.
"""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallower.reporting.figures import INK, SETTINGS, SOFT

# Only runs alike in all of these stand in one table.
MODE = ["device", "model", "threads", "side_by_side", "batch_size", "epochs", "learning_rate", "max_length"]
# Colours of Okabe and Ito ("Color Universal Design", 2008).
STYLES = {"stock": ("#d55e00", "Trainer, stock"), "tuned": ("#0072b2", "Trainer, tuned"), "ours": ("#009e73", "ours")}
TITLES = {contestant: title for contestant, (_, title) in STYLES.items()}


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each mode, task and contestant, in the order of first appearance of modes and tasks.

    Rates are sums over the runs side by side and medians, with `_low` and `_high` the extremes, over repetitions;
    `share` is the median of real-token FLOP/s over the matrix rate measured in the same repetition; `over_stock` and
    `over_tuned` are ratios of median examples/s, `wall_over_stock` and `wall_over_tuned` of runs per hour; `score_sd`
    is over seeds. NaN where there is nothing to compare with.
    """
    runs = runs.assign(
        examples_per_second=runs["examples"] / runs["train_seconds"],
        tokens_per_second=runs["tokens"] / runs["train_seconds"],
        flops_per_second=runs["flops"] / runs["train_seconds"],
    )
    keys = [*MODE, "task", "contestant"]
    together = runs.groupby([*keys, "repetition"], sort=False).agg(
        examples_per_second=("examples_per_second", "sum"),
        tokens_per_second=("tokens_per_second", "sum"),
        flops_per_second=("flops_per_second", "sum"),
        matrix_flops=("matrix_flops", "first"),
        wall_seconds=("wall_seconds", "max"),
        runs=("seed", "size"),
    )
    together["share"] = together["flops_per_second"] / together["matrix_flops"]
    together["runs_per_hour"] = 3600 * together["runs"] / together["wall_seconds"]
    spread = ["examples_per_second", "tokens_per_second", "wall_seconds", "runs_per_hour", "share"]
    groups = together.groupby(keys, sort=False)[spread]
    summary = groups.median().join(groups.min().add_suffix("_low")).join(groups.max().add_suffix("_high"))
    single = runs.groupby(keys, sort=False)
    summary = summary.join(single[["start_up_seconds", "cpu_seconds", "peak_mb"]].median())
    summary["score"], summary["score_sd"] = single["score"].mean(), single["score"].std()
    summary["seeds"], summary["metric"] = single["seed"].nunique(), single["metric"].first()
    summary = summary.reset_index()
    summary = summary.sort_values("contestant", key=lambda names: names.map(list(STYLES).index), kind="stable")
    for rival in ("stock", "tuned"):
        of_rival = summary[summary["contestant"] == rival].set_index([*MODE, "task"])
        places = pd.MultiIndex.from_frame(summary[[*MODE, "task"]])
        for name, rate in (("over", "examples_per_second"), ("wall_over", "runs_per_hour")):
            summary[f"{name}_{rival}"] = summary[rate].to_numpy() / of_rival[rate].reindex(places).to_numpy()
    return summary


def parity(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, str]:
    """Difference of mean scores, the spread over seeds that it is held against, and the verdict.

    The spread is the standard deviation of one seed's score, pooled over both sides. A difference within it is
    "parity"; fewer than three seeds on a side allow no verdict.
    """
    difference = float(np.mean(ours) - np.mean(theirs))
    if min(len(ours), len(theirs)) < 3:
        return difference, math.nan, "too few seeds"
    freedom = len(ours) + len(theirs) - 2
    squares = sum(float(np.square(np.subtract(scores, np.mean(scores))).sum()) for scores in (ours, theirs))
    spread = math.sqrt(squares / freedom)
    if abs(difference) <= spread:
        return difference, spread, "parity"
    return difference, spread, "higher" if difference > 0 else "lower"


def parities(runs: pd.DataFrame) -> pd.DataFrame:
    """Our scores against each rival's: a row for each mode, task and rival."""
    rows = []
    for place, group in runs.groupby([*MODE, "task"], sort=False):
        scores = group.groupby("contestant")["score"].apply(list)
        for rival in ("stock", "tuned"):
            if "ours" in scores and rival in scores:
                verdict = parity(scores["ours"], scores[rival])
                rows.append((*place, rival, group["metric"].iloc[0], len(scores["ours"]), *verdict))
    return pd.DataFrame(rows, columns=[*MODE, "task", "rival", "metric", "seeds", "difference", "spread", "verdict"])


def geometric_means(summary: pd.DataFrame) -> pd.DataFrame:
    """Our speed over each rival's as geometric means over tasks: a row for each mode."""
    ratios = [f"{name}_{rival}" for name in ("over", "wall_over") for rival in ("stock", "tuned")]
    ours = summary[summary["contestant"] == "ours"]
    return np.exp(np.log(ours.set_index(MODE)[ratios]).groupby(level=MODE, sort=False).mean()).reset_index()


def figure(summary: pd.DataFrame) -> Figure:
    """The share of the machine's matrix rate that each contestant reaches, by task: a panel for each mode."""
    modes = list(summary.groupby(MODE, sort=False))
    with mpl.rc_context(SETTINGS):
        drawing = Figure(figsize=(max(5.0, 4.6 * len(modes)), 3.6), layout="constrained")
        panels = drawing.subplots(1, len(modes), sharey=True, squeeze=False)[0]
        for panel, (mode, rows) in zip(panels, modes, strict=True):
            tasks = list(rows["task"].unique())
            for place, (contestant, (colour, title)) in enumerate(STYLES.items()):
                found = rows[rows["contestant"] == contestant]
                positions = [tasks.index(task) + 0.27 * (place - 1) for task in found["task"]]
                shares = 100 * found[["share", "share_low", "share_high"]]
                reach = [shares["share"] - shares["share_low"], shares["share_high"] - shares["share"]]
                panel.bar(positions, shares["share"], 0.25, yerr=reach, color=colour, ecolor=INK, label=title)
                labels = zip(positions, shares["share_high"], found["examples_per_second"], strict=True)
                for position, share, rate in labels:
                    panel.annotate(
                        f"{rate:.3g}/s", (position, share), (0, 3), textcoords="offset points", ha="center", size=8
                    )
            panel.axhline(100, color=SOFT, linestyle="--", linewidth=1)
            panel.set_xticks(range(len(tasks)), tasks)
            panel.set_title(mode_title(dict(zip(MODE, mode, strict=True))))
            panel.grid(axis="y")
        panels[0].set_ylabel("% of the machine's matrix rate, in real tokens")
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(STYLES))
        return drawing


def mode_title(mode: dict) -> str:
    """A mode in words, such as "minilm on cpu, 2 runs side by side, 1 thread each"."""
    runs, threads = mode["side_by_side"], mode["threads"]
    how = "one run at a time" if runs == 1 else f"{runs} runs side by side"
    return f"{mode['model']} on {mode['device']}, {how}, {threads} thread{'s' if threads > 1 else ''}" + (
        " each" if runs > 1 else ""
    )
