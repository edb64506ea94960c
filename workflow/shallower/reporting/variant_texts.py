"""A variant of an arm in words: its name and all its numbers."""

import math
from collections.abc import Mapping
from typing import Any

from shallower.core.runs import BASELINE, arm_title
from shallower.core.variants import RUNTIME_TITLES, VOCABULARY_TITLES
from shallower.core.wording import DASH, TIMES, megabytes, milliseconds, percent, score_text
from shallower.evaluation.metrics import metric_title


def point_name(row: Mapping[str, Any]) -> str:
    """A variant of an arm, such as `4 of 6 layers, ONNX int8, trimmed vocabulary`."""
    layers = f"all {row['num_layers']}" if row["origin"] == BASELINE else f"{row['layers']} of {row['num_layers']}"
    return f"{layers} layers, {RUNTIME_TITLES[row['runtime']]}, {VOCABULARY_TITLES[row['vocabulary']]}"


def variant_texts(row: Mapping[str, Any]) -> dict[str, str]:
    """All numbers of a row of variants.csv, by titles that are the same for all rows of a model and task."""
    sizes = sorted(int(key.removeprefix("latency_ms_batch")) for key in row if key.startswith("latency_ms_batch"))
    metric = metric_title(row["metric"], row["positive_class"])
    collapsed = f"in {row['collapsed']} of {row['seeds']} seeds" if row["collapsed"] else "no"
    texts = {
        "variant": point_name(row),
        "arm": arm_title(row["origin"], row["strategy"], row["amount"]),
        metric: score_text(row["score"]),
        "score kept": _with_interval(row, "kept"),
        "changed answers": _with_interval(row, "changed"),
        "largest logit difference": f"{row['logit_difference']:.2g}",
        "collapsed": collapsed,
        "files": megabytes(row["bytes"]),
    }
    for size in sizes:
        ends = f"{row[f'speedup_low_batch{size}']:.1f} to {row[f'speedup_high_batch{size}']:.1f}"
        time = milliseconds(row[f"latency_ms_batch{size}"])
        texts[_of(size, "time")] = f"{time}, {row[f'speedup_batch{size}']:.1f} {TIMES} as fast ({ends})"
    texts |= {_of(size, "texts a second"): f"{row[f'texts_per_second_batch{size}']:.0f}" for size in sizes}
    load, memory = row["load_seconds"], row["peak_megabytes"]
    texts["time to load"] = DASH if _unknown(load) else f"{load:.2f} s"
    texts["peak memory"] = DASH if _unknown(memory) else f"{memory:.0f} MB"
    return texts


def _of(batch_size: int, what: str) -> str:
    return f"{what}, batch {batch_size}"


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (row[f"{name}_{part}"] for part in ("percent", "low", "high"))
    if _unknown(value):
        return DASH
    return percent(value) + ("" if _unknown(low) else f" ({low:.1f} to {high:.1f})")


def _unknown(value: float | None) -> bool:
    """Whether a number was not measured, or does not exist."""
    return value is None or math.isnan(value)
