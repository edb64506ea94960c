"""variants.csv: a row for each candidate arm in each variant, with what it scores and what it costs when it serves.

What a variant costs is read from `serving.json`, one file for each model and task:

    {"study": ..., "model": ..., "task": ..., "variants": [VARIANT, ...]}

    VARIANT: {"origin", "strategy", "amount", "runtime", "vocabulary", "bytes", "load_seconds", "peak_megabytes",
              "times": [TIME, ...]}

    TIME: {"device", "threads", "batch_size", "median_ms", "low_ms", "high_ms", "texts_per_second",
           "speedups": [NUMBER, ...]}

`bytes` are those on disk, and `low_ms` and `high_ms` quartiles. `speedups` has, for each round, the time of the full
model in torch with its full vocabulary, divided by that of this one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.runs import BASELINE
from shallower.core.variants import AS_TRAINED, RUNTIMES, VOCABULARIES, Variant
from shallower.evaluation.bootstrap import median_of
from shallower.evaluation.changes import read_changes
from shallower.evaluation.estimates import Estimate, Scores, over_seeds
from shallower.evaluation.resamples import FILE, read_resamples
from shallower.reporting.on_test import score_on_test
from shallower.reporting.results import RUN_COLUMNS
from shallower.reporting.summary import SET_SEPARATOR

METRICS, PREDICTIONS = "metrics.json", "predictions.parquet"
# Where the times of the table are measured; serving.json may have others.
DEVICE, THREADS = "cpu", 1
# Columns of times, for each batch size: `latency_ms_batch1` and so on.
TIMES = {
    "latency_ms": "median_ms",
    "latency_low_ms": "low_ms",
    "latency_high_ms": "high_ms",
    "texts_per_second": "texts_per_second",
}
_MEASURED = [*TIMES.values(), "speedups"]
_ARM = ("origin", "strategy", "amount")
_OF_RUN = [*RUN_COLUMNS, *Variant._fields, "num_layers", "num_dropped", "num_examples", "collapsed", "target"]


def made_folders(paths: Iterable[str | Path]) -> list[str]:
    """The folders of variants that files evaluated.json name."""
    return [folder for path in paths for folder in read_json(path)["folders"]]


def read_test_scores(test: Sequence[str | Path], evaluated: Iterable[str | Path]) -> Scores | None:
    """Scores on test examples, those of variants among them, where a study has any: from the files of both."""
    return add_variants(Scores.read(*test), made_folders(evaluated)) if test else None


def add_variants(scores: Scores, folders: Iterable[str | Path]) -> Scores:
    """Scores with those of variants, from metrics.json, resamples.npy and predictions.parquet in the folder of each.

    A metrics.json is that of a run with two more keys, `runtime` and `vocabulary`. Raises UserError, naming the file,
    when one is missing or damaged.
    """
    rows = [_variant_run(Path(folder, METRICS)) for folder in folders]
    resamples = {row["directory"]: read_resamples(Path(row["directory"], FILE)).astype(np.float64) for row in rows}
    return scores.with_variants(pd.DataFrame(rows), resamples)


def _variant_run(path: Path) -> dict[str, Any]:
    record = read_json(path)
    try:
        primary = record["metrics"][record["primary"]]
        return {
            **{key: record[key] for key in _OF_RUN},
            "amount": str(record["amount"]),
            "kept_layers": " ".join(map(str, record["kept_layers"])),
            "metric": record["primary"],
            "positive_class": primary.get("positive_class"),
            "primary": True,
            "value": primary["value"],
            "directory": str(path.parent),
        }
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not the scores of a variant ({error!r} is missing); run its step again") from None


def read_serving(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """The variants of files serving.json, each with the study, model and task that it is of.

    Raises UserError, naming the file, when one is missing, damaged or without the full model as it was trained, which
    all others are compared with.
    """
    return [variant for path in paths for variant in _read_serving(path)]


def _read_serving(path: str | Path) -> Iterator[dict[str, Any]]:
    content = read_json(path)
    found = []
    try:
        of = {key: content[key] for key in ("study", "model", "task")}
        for entry in content["variants"]:
            times = [time for time in entry["times"] if (time["device"], time["threads"]) == (DEVICE, THREADS)]
            found.append(
                {
                    **of,
                    **{key: str(entry[key]) for key in (*_ARM, *Variant._fields)},
                    **{key: entry[key] for key in ("bytes", "load_seconds", "peak_megabytes")},
                    "times": {time["batch_size"]: {key: time[key] for key in _MEASURED} for time in times},
                }
            )
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not what variants cost ({error!r} is missing); run its step again") from None
    keys = [tuple(entry[key] for key in (*_ARM, *Variant._fields)) for entry in found]
    if len(set(keys)) < len(keys) or not any(_is_reference(entry) for entry in found):
        raise UserError(f"{path}: has a variant twice, or not the full model in torch; run its step again")
    if not found[0]["times"] or any(entry["times"].keys() != found[0]["times"].keys() for entry in found):
        raise UserError(f"{path}: variants were not measured at the same batch sizes; run its step again")
    if strange := [key for key in keys if key[3] not in RUNTIMES or key[4] not in VOCABULARIES]:
        raise UserError(f"{path}: {' '.join(strange[0])} is of an unknown runtime or vocabulary; run its step again")
    yield from found


def _is_reference(row: Mapping[str, Any]) -> bool:
    return row["origin"] == BASELINE and variant_of(row) == AS_TRAINED


def variant_of(row: Mapping[str, Any]) -> Variant:
    """The variant of a row of variants.csv."""
    return Variant(row["runtime"], row["vocabulary"])


def of_model_and_task(variants: pd.DataFrame, model: str, task: str) -> pd.DataFrame:
    """The rows of variants.csv on one model and task."""
    return variants[(variants["model"] == model) & (variants["task"] == task)]


def reference_of(rows: pd.DataFrame) -> pd.Series:
    """The full model as it was trained, in torch with its full vocabulary, among rows of one model and task."""
    is_reference = (rows["origin"] == BASELINE) & (rows[list(Variant._fields)] == list(AS_TRAINED)).all(axis=1)
    return rows[is_reference].iloc[0]


def variants_table(
    scores: Scores, serving: Sequence[Mapping[str, Any]], confidence: float, test: Scores | None = None
) -> pd.DataFrame:
    """variants.csv, in the order of `serving` (see `read_serving`); `scores` are those of `add_variants`.

    `test` are those on test examples, where the study has any: then the columns of `ScoreOnTest` are there as well.

    Of a row, over the seeds of its arm:

    - `score` is their mean, `collapsed` how many of them answer (all but) the same to every example;
    - `kept_percent` is the score in per cent of the full model's as it was trained, with its interval over examples and
      seeds; empty where there is no percentage;
    - `changed_percent` are the examples, in per cent, that get another answer than from the same arm in torch with
      the full vocabulary, with its interval likewise; empty where a task has no classes;
    - `logit_difference` is the largest absolute difference of a logit from that arm's.

    `layers` counts those kept, by the seed that keeps most. Times (`latency_ms_batch1`, quartiles, `speedup_batch1`
    with its interval, `texts_per_second_batch1`) are on one thread; `directory` is that of the arm's run with the first
    seed. `confidence` is that of the intervals (0 to 1). Raises UserError when a variant that was measured has no
    scores of all seeds of its arm.
    """
    full = {(entry["model"], entry["task"]): entry for entry in serving if _is_reference(entry)}
    return pd.DataFrame(
        [_row(entry, full[entry["model"], entry["task"]], scores, confidence, test) for entry in serving]
    )


def _row(
    entry: Mapping[str, Any], full: Mapping[str, Any], scores: Scores, confidence: float, test: Scores | None
) -> dict[str, Any]:
    arm = (entry["model"], entry["task"], entry["origin"], entry["strategy"], entry["amount"])
    variant = variant_of(entry)
    runs, trained = scores.rows(*arm, variant), scores.rows(*arm)
    if runs.empty or sorted(runs["seed"]) != sorted(trained["seed"]):
        raise UserError(
            f"{' '.join(arm)} was measured as {variant.title}, but its scores are not those of all seeds of the arm; "
            "score every variant that is measured"
        )
    first, kept = trained.iloc[0], scores.kept(*arm, variant)
    if kept is None:
        raise UserError(f"{arm[0]} on {arm[1]}: no scores of the full model, which all variants are compared with")
    on_test = score_on_test(test, *arm[:2], arm[2:], confidence, variant)
    return {
        **{key: entry[key] for key in ("study", "model", "task", *_ARM, *Variant._fields)},
        "num_layers": int(first["num_layers"]),
        "layers": int((runs["num_layers"] - runs["num_dropped"]).max()),
        "kept_layers": SET_SEPARATOR.join(trained["kept_layers"].unique()),
        "metric": first["metric"],
        "positive_class": first["positive_class"],
        "num_examples": int(first["num_examples"]),
        "seeds": len(runs),
        "collapsed": int(runs["collapsed"].sum()),
        "score": runs["value"].mean(),
        **_with_interval("kept", kept, confidence),
        **_changes(variant, runs, trained, scores, confidence),
        **({} if on_test is None else on_test.columns),
        **{key: entry[key] for key in ("bytes", "load_seconds", "peak_megabytes")},
        **{
            f"{column}_batch{size}": value
            for size, time in sorted(entry["times"].items())
            for column, value in _times(time, full["times"][size], confidence).items()
        },
        "confidence": confidence,
        "directory": first["directory"],
    }


def _times(time: Mapping[str, Any], full: Mapping[str, Any], confidence: float) -> dict[str, float]:
    """Columns of a batch size; `speedup` is the median over rounds, with its interval.

    Each depth was measured in minutes of its own, in turns with the full model. What the machine was slower or faster
    meanwhile is taken out: times are such that they differ from those of the full model, `full`, by the speed-up.
    """
    speedup, interval = median_of(time["speedups"], confidence)
    steadied = full["median_ms"] / speedup / time["median_ms"]
    columns = {
        column: time[key] / steadied if column == "texts_per_second" else time[key] * steadied
        for column, key in TIMES.items()
    }
    return {**columns, "speedup": speedup, "speedup_low": interval.low, "speedup_high": interval.high}


def _with_interval(name: str, estimate: Estimate, confidence: float) -> dict[str, float]:
    low, high = estimate.interval(confidence)
    return {f"{name}_percent": estimate.value, f"{name}_low": low, f"{name}_high": high}


def _changes(
    variant: Variant, runs: pd.DataFrame, trained: pd.DataFrame, scores: Scores, confidence: float
) -> dict[str, float]:
    """Changed answers in per cent, and the largest difference of a logit, of all seeds."""
    if variant == AS_TRAINED:
        same = dict.fromkeys(("changed_percent", "changed_low", "changed_high"), 0.0)
        return {**same, "logit_difference": 0.0}
    of_seed = dict(zip(trained["seed"], trained["directory"], strict=True))
    found = [
        read_changes(
            Path(run["directory"], PREDICTIONS),
            Path(of_seed[run["seed"]], PREDICTIONS),
            run["target"],
            len(scores.resamples(run["directory"])),
            read_json(Path(run["directory"], METRICS)),
        )
        for run in runs.to_dict("records")
    ]
    changed = over_seeds(
        100 * np.array([change.changed for change in found]), 100 * np.stack([change.resamples for change in found])
    )
    largest = max(change.logit_difference for change in found)
    return {**_with_interval("changed", changed, confidence), "logit_difference": largest}
