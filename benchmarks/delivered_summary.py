"""What the contest of delivered models shows: the table, and the goals, each met or missed."""

from collections.abc import Sequence

import pandas as pd

from recorded import measured_on, verdict

# What is compared with what: the first one is the full model as torch runs it in eval mode.
FULL, DELIVERED, FULL_INT8 = "full, torch", "delivered", "full, ONNX int8 by default"
# What has random weights has no score.
RANDOM = "DistilBERT's shape"
DISTIL, DISTIL_INT8 = f"{RANDOM}, torch", f"{RANDOM}, ONNX int8 by default"
TITLES = {
    FULL: "full model, torch",
    DELIVERED: "delivered",
    FULL_INT8: "full model, ONNX int8 as by default",
    DISTIL: "DistilBERT's shape, random weights, torch",
    DISTIL_INT8: "DistilBERT's shape, random weights, ONNX int8 as by default",
}
# Rows of one contest have the same values of these.
DELIVERED_MODE = ["model", "rows"]
# Per task: times as fast at a batch size, times smaller, per cent of the score and of its interval's lower end.
SPEEDUPS, TIMES_SMALLER, SCORE_KEPT, LEAST_KEPT = {1: 8, 32: 4}, 5, 98, 96
TASKS = 4


def goals(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """What was aimed at, with what was found on each task, and "met" or "missed"; met means on all of them."""
    ours = rows[rows["contestant"] == DELIVERED].set_index("task")
    aims = [
        (f"at least {least} times as fast at batch size {size}", ours[f"speedup_{size}"], least, "{:.1f}")
        for size, least in SPEEDUPS.items()
        if f"speedup_{size}" in ours
    ]
    aims += [
        (f"at least {TIMES_SMALLER} times smaller", ours["times_smaller"], TIMES_SMALLER, "{:.1f}"),
        (f"at least {SCORE_KEPT} % of the score", ours["kept"], SCORE_KEPT, "{:.1f} %"),
        (f"the score's interval from {LEAST_KEPT} % on", ours["kept_low"], LEAST_KEPT, "{:.1f} %"),
    ]
    found = [
        (f"{text}: {_list(values, style)}", verdict(len(values) > 0 and bool((values >= least).all())))
        for text, values, least, style in aims
    ]
    return [*found, (f"on at least {TASKS} tasks: {len(ours)}", verdict(len(ours) >= TASKS))]


def _list(values: pd.Series, style: str) -> str:
    return ", ".join(f"{task} {style.format(value)}" for task, value in values.items()) or "nothing was delivered"


def table(rows: pd.DataFrame) -> tuple[list[str], list[Sequence[object]]]:
    """Header and rows of the table of one contest."""
    sizes = [size for size in SPEEDUPS if f"speedup_{size}" in rows]
    header = ["task", "contestant", "layers", "MB", "times smaller", "% of the score"]
    for size in sizes:
        header += [f"ms, batch size {size}", "times as fast"]
    lines = []
    for _, row in rows.iterrows():
        line = [row["task"], TITLES[row["contestant"]], row["layers"], row["megabytes"], row["times_smaller"]]
        line.append(_interval(row, "kept"))
        for size in sizes:
            line += [f"{row[f'ms_{size}']:.3g}", _interval(row, f"speedup_{size}", ".2f")]
        lines.append(line)
    return header, lines


def conditions(rows: pd.DataFrame) -> str:
    """Where and how a contest was held."""
    row = rows.iloc[-1]
    lengths = ", ".join(
        f"{task} {row['test_rows']:,}, {row['tokens']:.0f}"
        for task, row in rows.groupby("task", sort=False).first().iterrows()
    )
    return (
        f"{measured_on(rows, ('torch', 'onnxruntime', 'transformers'))}. One thread; "
        f"{row['rounds']} rounds, in each of which all answer the same {row['texts_measured']} texts in turns; "
        f"medians, and 95 % intervals over rounds. {row['rows']:,} training rows with labels, {row['seeds']} seeds, "
        "of which the first is compared; scores on GLUE's validation split, with 95 % intervals over its examples. "
        f"Test examples, and tokens of a text on average: {lengths}."
    )


def _interval(row: pd.Series, name: str, style: str = ".1f") -> str:
    if pd.isna(row[name]):
        return ""
    if pd.isna(row[f"{name}_low"]):
        return f"{row[name]:{style}}"
    return f"{row[name]:{style}} ({row[f'{name}_low']:{style}} to {row[f'{name}_high']:{style}})"
