"""What a model that was chosen on the validation split scores on test examples, by which nothing was chosen."""

import math
from dataclasses import dataclass
from typing import Any

from shallower.core.variants import AS_TRAINED, Variant
from shallower.core.wording import EXAMPLE, JOINED, Unit, counted, percent, score_text
from shallower.evaluation.bootstrap import Interval
from shallower.evaluation.estimates import POINTS, Scores, percentage
from shallower.task_kinds.registry import task_kind


@dataclass(frozen=True)
class ScoreOnTest:
    """An arm on the test examples of its task, next to the full model with the same seeds.

    Intervals are over examples and, where there are several, seeds; in each resample both models have the same ones.

    Attributes:
        examples, seeds: how many test examples and seeds there are.
        confidence: that of the intervals (0 to 1).
        score, full_score: means over seeds.
        interval: that of the score.
        difference, difference_interval: how much the score is above the full model's.
        kept, kept_interval: the score in per cent of the full model's; NaN where there is no such percentage.
        row: what there are so many of.
    """

    examples: int
    seeds: int
    confidence: float
    score: float
    interval: Interval
    full_score: float
    difference: float
    difference_interval: Interval
    kept: float
    kept_interval: Interval
    row: Unit = EXAMPLE

    @property
    def columns(self) -> dict[str, Any]:
        """The columns `TEST_COLUMNS` of recommended.csv, without the sentence."""
        return {
            "test_examples": self.examples,
            "test_score": self.score,
            "test_low": self.interval.low,
            "test_high": self.interval.high,
            "test_full_score": self.full_score,
            "test_difference": self.difference,
            "test_difference_low": self.difference_interval.low,
            "test_difference_high": self.difference_interval.high,
            "test_kept_percent": self.kept,
            "test_kept_low": self.kept_interval.low,
            "test_kept_high": self.kept_interval.high,
        }

    @property
    def has_percentage(self) -> bool:
        """Whether the score can be given in per cent of the full model's."""
        return not math.isnan(self.kept_interval.low)

    @property
    def of_what(self) -> str:
        """What the intervals are over."""
        return f"{self.row.counted(self.examples)} and {counted(self.seeds, 'seed')}"

    @property
    def level(self) -> str:
        """The level of the intervals, in words."""
        return f"{100 * self.confidence:g}{JOINED}% interval"

    def sentence(self, metric: str, is_full: bool) -> str:
        """All of it in words; `metric` is the score's name, `is_full` whether this is the full model itself."""
        own = f"{metric} {score_text(self.score)} ({self.level} {scores_between(self.interval)}, {self.of_what})"
        unused = f"no choice was made by these {self.row.many}"
        if is_full:
            return f"On the test split: {own}; {unused}."
        difference = f"{score_text(self.difference)} ({scores_between(self.difference_interval)})"
        kept = ""
        if self.has_percentage:
            kept = f", {percent(self.kept)} kept ({self.kept_interval.low:.1f} to {self.kept_interval.high:.1f})"
        return (
            f"On the test split: {own}, the full model's is {score_text(self.full_score)}, the difference {difference}"
            f"{kept}; {unused}."
        )


TEST_COLUMNS = [
    *("test_examples", "test_score", "test_low", "test_high", "test_full_score"),
    *("test_difference", "test_difference_low", "test_difference_high"),
    *("test_kept_percent", "test_kept_low", "test_kept_high", "test_sentence"),
]


def score_on_test(
    scores: Scores | None,
    model: str,
    task: str,
    arm: tuple[str, str, str],
    confidence: float,
    variant: Variant = AS_TRAINED,
) -> ScoreOnTest | None:
    """An arm (origin, strategy, amount) in a variant on test examples; None where there are none.

    `scores` are those on test examples, `confidence` is that of the intervals (0 to 1).
    """
    pair = scores.with_full(model, task, *arm, variant) if scores else None
    if scores is None or pair is None:
        return None
    ours, full = pair
    rows = scores.rows(model, task, *arm, variant)
    difference, kept = ours - full, percentage(ours, full)
    return ScoreOnTest(
        examples=int(rows["num_examples"].iloc[0]),
        seeds=ours.seeds,
        confidence=confidence,
        score=ours.value / POINTS,
        interval=_as_scores(ours.interval(confidence)),
        full_score=full.value / POINTS,
        difference=difference.value / POINTS,
        difference_interval=_as_scores(difference.interval(confidence)),
        kept=kept.value,
        kept_interval=kept.interval(confidence),
        row=task_kind(rows["target"].iloc[0]).row,
    )


def scores_between(interval: Interval) -> str:
    """The ends of an interval of scores."""
    return f"{score_text(interval.low)} to {score_text(interval.high)}"


def _as_scores(interval: Interval) -> Interval:
    """An interval of points as one of scores."""
    return Interval(interval.low / POINTS, interval.high / POINTS)
