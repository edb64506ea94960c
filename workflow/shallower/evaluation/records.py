"""The records of a run, and of the comparison of an arm (all its seeds) with the baseline."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.evaluation.bootstrap import SEED, kept_interval, kept_percent, mean_score, score_bootstrap
from shallower.evaluation.by_class import averages, scores_by_class
from shallower.evaluation.entities import scores_by_type
from shallower.evaluation.groups import num_units
from shallower.evaluation.metrics import chance_score, metric_for, score, subject_of
from shallower.task_kinds.registry import task_kind
from shallower.task_kinds.tag_schemes import Tagging


def metrics_record(
    target: str,
    labels: NDArray[Any],
    predictions: NDArray[Any],
    settings: Mapping[str, Any],
    names: Sequence[str] | None = None,
    groups: NDArray[np.int64] | None = None,
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """The scores of one run with their intervals and chance levels, and the primary score resampled.

    `target` is the name of the kind of task; labels and predictions are [n, ...]; `settings` holds `metrics` (names,
    the primary one first), `confidence` (0 to 1), `bootstrap_samples`, the length of the resampled scores,
    `positive_class`, the index of the class that metrics of one class are of, if it is not 1, or `tagging`
    (`shallower.evaluation.metrics.with_tagging`), and `threshold`, if it is not the kind's. `names` are the classes';
    `groups` [n] say which rows belong together, if any do.
    """
    scores: dict[str, dict[str, Any]] = {}
    subject = subject_of(settings)
    resamples = []
    for name in settings["metrics"]:
        metric = metric_for(name, target, subject)
        bootstrap = score_bootstrap(
            metric, labels, predictions, settings["confidence"], settings["bootstrap_samples"], groups
        )
        resamples.append(bootstrap.resamples.astype(np.float32))
        scores[name] = {
            "value": score(metric, labels, predictions, groups),
            "low": bootstrap.interval.low,
            "high": bootstrap.interval.high,
            "chance": chance_score(metric, labels, groups),
        }
        if metric.of_class and isinstance(subject, int):
            scores[name] |= {"positive_class": names[subject] if names else str(subject), "positive_index": subject}
    kind = task_kind(target, settings)
    record = {
        "target": target,
        **({} if kind.threshold is None else {"threshold": kind.threshold}),
        "primary": settings["metrics"][0],
        "metrics": scores,
        "num_examples": len(labels),
        **({} if groups is None else {"num_groups": num_units(labels, groups)}),
        **({"tagging": settings["tagging"]} if "tagging" in settings else {}),
        "collapsed": kind.is_collapsed(labels, predictions, groups),
    }
    if names and kind.has_classes:
        if isinstance(subject, Tagging) and groups is not None:
            record["classes"] = scores_by_type(subject, labels, predictions, groups)
        else:
            record["classes"] = scores_by_class(labels, predictions, names)
        record["averages"] = averages(record["classes"], kind.has_class_sets)
    return record, resamples[0]


def halves(num_examples: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two random halves of the examples, by unit; the same for every arm of a task."""
    order = np.random.default_rng(SEED).permutation(num_examples)
    return np.sort(order[: num_examples // 2]), np.sort(order[num_examples // 2 :])


def check_seeds(runs: Sized, baseline: Sized, seeds: Sequence[int]) -> None:
    """Raise UserError unless there is a run, and one of the baseline, for each seed."""
    if not len(runs) == len(baseline) == len(seeds):
        raise UserError(
            f"{len(runs)} runs, {len(baseline)} of the baseline and {len(seeds)} seeds; give one of each a seed"
        )


def comparison_record(
    target: str,
    labels: NDArray[Any],
    predictions: NDArray[Any],
    baseline: NDArray[Any],
    seeds: Sequence[int],
    settings: Mapping[str, Any],
    groups: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """One arm against the baseline by the primary metric; predictions and baseline are [seeds, n].

    Target, settings and groups are those of `metrics_record`.
    `kept_percent_halves` is what two random halves of the examples say apart: a choice made on the one can
    be checked on the other (as in Sajjad et al., Table 4). A number that does not exist, because the baseline
    scores 0 or less, is None.
    """
    check_seeds(predictions, baseline, seeds)
    kind = task_kind(target)
    metric = metric_for(settings["metrics"][0], target, subject_of(settings))
    everything = np.arange(num_units(labels, groups))
    interval = kept_interval(
        metric, labels, predictions, baseline, settings["confidence"], settings["bootstrap_samples"], groups
    )

    def kept(ours: NDArray[Any], theirs: NDArray[Any], units: NDArray[Any]) -> float | None:
        return _number(kept_percent(metric, labels, ours, theirs, units, groups))

    return {
        "metric": metric.name,
        "seeds": list(seeds),
        "score": float(mean_score(metric, labels, predictions, everything, groups)),
        "baseline_score": float(mean_score(metric, labels, baseline, everything, groups)),
        "kept_percent": kept(predictions, baseline, everything),
        "kept_low": _number(interval.low),
        "kept_high": _number(interval.high),
        "kept_percent_halves": [kept(predictions, baseline, half) for half in halves(len(everything))],
        "confidence": settings["confidence"],
        "collapsed_seeds": [
            seed for seed, answers in zip(seeds, predictions, strict=True) if kind.is_collapsed(labels, answers, groups)
        ],
        "per_seed": [
            {
                "seed": seed,
                "score": score(metric, labels, ours, groups),
                "baseline_score": score(metric, labels, theirs, groups),
                "kept_percent": kept(ours[None], theirs[None], everything),
            }
            for seed, ours, theirs in zip(seeds, predictions, baseline, strict=True)
        ],
    }


def _number(value: float | NDArray[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None
