"""Claims that a difference is small, as contrasts that are above zero where it is smaller than a margin.

Both directions of `as_good` and `between` must be significant: two one-sided tests (Schuirmann, 1987).
"""

from collections.abc import Mapping, Sequence

from shallower.core.wording import listed
from shallower.paper.claims import MARGIN
from shallower.paper.evidence import DECIDES, Contrast, Evidence, ScoreKey, Terms, weighted_sum
from shallower.paper.names import SEVEN

PLUS_MARGIN = f"plus {MARGIN:g} point"


def learned_tasks(
    evidence: Evidence, models: Sequence[str], names: Sequence[str] = SEVEN
) -> tuple[dict[str, str], str]:
    """The study's tasks by the paper's names, without those that a full model has not learned, and a remark on these.

    Who knows nothing loses nothing, so that such tasks would support any claim of a small difference.
    """
    ours = {name: task for name, task in evidence.tasks.items() if name in names}
    ran = {name: task for name, task in ours.items() if all(evidence.scores.baseline(model, task) for model in models)}
    known = {name: task for name, task in ran.items() if all(evidence.learned(model, task) for model in models)}
    unknown = [name for name in ran if name not in known]
    remark = f"left out, because the full model is not clearly better than a constant answer: {listed(unknown)}"
    return known, remark if unknown else ""


def no_worse(
    evidence: Evidence,
    first: str,
    second: str,
    num_dropped: int | None,
    arms: Mapping[str, tuple[ScoreKey, ScoreKey]],
) -> list[Contrast]:
    """The claim that the first arms score no worse than the second ones: not by the margin (non-inferiority).

    `arms` are by the paper's names of tasks. The plain difference of means is shown, too.
    """
    terms = {name: {one: 1.0, other: -1.0} for name, (one, other) in arms.items()}
    text = f"{first} minus {second}"
    decisive = evidence.compare_over_tasks(f"{text}, {PLUS_MARGIN}", num_dropped, terms, offset=MARGIN)
    return decisive + evidence.compare_over_tasks(text, num_dropped, terms, decide=False)


def as_good(
    evidence: Evidence,
    first: str,
    second: str,
    num_dropped: int | None,
    arms: Mapping[str, tuple[ScoreKey, ScoreKey]],
) -> list[Contrast]:
    """The claim that arms score the same: neither is worse than the other by the margin (equivalence)."""
    reverse = {name: (other, one) for name, (one, other) in arms.items()}
    terms: dict[str, Terms] = {name: {one: 1.0, other: -1.0} for name, (one, other) in reverse.items()}
    text = f"{second} minus {first}, {PLUS_MARGIN}"
    return [
        *no_worse(evidence, first, second, num_dropped, arms),
        *evidence.compare_over_tasks(text, num_dropped, terms, offset=MARGIN),
    ]


def between(evidence: Evidence, text: str, task: str, num_dropped: int, terms: Terms, value: float) -> list[Contrast]:
    """The claim that a sum of scores is within the margin of a value, in points."""
    negated = weighted_sum({"terms": -1.0}, {"terms": terms})
    return [
        evidence.compare(
            f"{text} minus {value:g}, {PLUS_MARGIN}", task, num_dropped, terms, DECIDES, offset=MARGIN - value
        ),
        evidence.compare(
            f"{value:g} minus {text}, {PLUS_MARGIN}", task, num_dropped, negated, DECIDES, offset=MARGIN + value
        ),
    ]
