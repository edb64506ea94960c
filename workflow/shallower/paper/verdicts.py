"""Do the paper's observations hold in a study? Verdicts on its hypotheses.

The role of a contrast says what it counts for:

- `decides`: the hypothesis claims it;
- `checks`: it must not contradict (single tasks, where the paper writes about their mean);
- `tested`: reported with its p-value, which the correction is for, too, but not part of the verdict;
- `shown`: reported with the others, but not part of the verdict.

All contrasts of a hypothesis and model with a p-value, but those that are only shown, are one family, corrected
together (Holm).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from scipy.stats import norm

from shallower.core.wording import counted, listed
from shallower.evaluation.significance import holm
from shallower.paper.claims import Finding, Hypothesis
from shallower.paper.evidence import CHECKS, DECIDES, SHOWN, TESTED, Evidence
from shallower.paper.hypotheses import HYPOTHESES
from shallower.paper.outcomes import HOLDS, NOT_SUPPORTED, NOT_TESTED, OPEN, OPPOSITE, OUTCOMES, SUPPORTED, UNDECIDED
from shallower.paper.remarks import join_remarks

POINTS_UNIT = "points"
# The share of studies that should find an effect, as is usual in planning them (Cohen, 1988).
POWER = 0.8
COLUMNS = [
    *("observation", "hypothesis", "claim", "rule", "model", "verdict", "reason"),
    *("comparison", "task", "num_dropped", "role", "effect", "low", "high", "unit"),
    *("p", "p_holm", "outcome", "seeds", "seeds_agreeing", "test"),
]


def judge(evidence: Evidence) -> pd.DataFrame:
    """observations.csv: a row for each contrast, with the verdict on its hypothesis; without any, one row."""
    rows = [
        row
        for hypothesis in HYPOTHESES
        for finding in hypothesis.findings(evidence)
        for row in _rows(hypothesis, finding, 1.0 - evidence.confidence)
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype(
        {"num_dropped": "Int64", "seeds": "Int64", "seeds_agreeing": "Int64"}
    )


def _rows(hypothesis: Hypothesis, finding: Finding, level: float) -> Iterator[dict[str, Any]]:
    contrasts = [{**asdict(contrast), "p_holm": float("nan"), "outcome": ""} for contrast in finding.contrasts]
    family = [row for row in contrasts if row["role"] != SHOWN]
    tested = [row for row in family if not row["settled"]]
    for row, p_holm in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = float(p_holm)
    for row in family:
        row["outcome"] = row["settled"] or _outcome(row, level)
    verdict = _verdict_of(family)
    named = {
        "observation": hypothesis.observation,
        "hypothesis": hypothesis.name,
        "claim": hypothesis.claim,
        "rule": hypothesis.rule,
        "model": finding.model,
        "verdict": UNDECIDED if finding.is_partial and verdict == SUPPORTED else verdict,
        "reason": join_remarks([_reason(family, level), finding.remark]) or "nothing to compare",
    }
    for row in contrasts or [{}]:
        yield {**named, **row}


def _outcome(row: Mapping[str, Any], level: float) -> str:
    is_significant = row["p_holm"] < level  # False for NaN
    if row["role"] == TESTED:
        return ""
    if row["within"] is not None:
        is_small = -row["within"] < row["low"] and row["high"] < row["within"]
        return OPPOSITE if is_significant else HOLDS if is_small else OPEN
    if not is_significant:
        return OPEN
    return HOLDS if row["effect"] > 0 else OPPOSITE


def _verdict_of(family: Sequence[Mapping[str, Any]]) -> str:
    decisive = [row["outcome"] for row in family if row["role"] == DECIDES]
    if not decisive:
        return NOT_TESTED
    if OPPOSITE in decisive:
        return NOT_SUPPORTED
    contradicted = any(row["outcome"] == OPPOSITE for row in family)
    return SUPPORTED if set(decisive) == {HOLDS} and not contradicted else UNDECIDED


def _reason(family: Sequence[Mapping[str, Any]], level: float) -> str:
    if not family:
        return ""
    by_role = {role: [row for row in family if row["role"] == role] for role in (DECIDES, CHECKS, TESTED)}
    decisive, checks, others = by_role.values()
    parts = [f"of {counted(len(decisive), 'comparison')}, {_counted(decisive)}" if decisive else ""]
    if checks:
        parts.append(f"on single tasks, {_counted(checks)}")
    if others:
        significant = sum(row["p_holm"] < level for row in others)
        parts.append(f"on other tasks, {significant} of {len(others)} significant")
    if _verdict_of(family) == UNDECIDED:
        parts.append(_power(decisive, level))
    if collapsed := list(dict.fromkeys(name for row in family for name in row["collapsed"])):
        parts.append(f"collapsed runs are among those compared: {listed(collapsed)}")
    if 1 in [row["seeds"] for row in family]:
        parts.append("one seed, so nothing is known about seed variance")
    return join_remarks(parts)


def _power(decisive: Sequence[Mapping[str, Any]], level: float) -> str:
    """What the least certain of the open comparisons in points could have found, so that no verdict hides its power.

    By the standard error that the interval implies, for a two-sided test of that level without Holm's correction.
    """
    widths = [row["high"] - row["low"] for row in decisive if row["outcome"] == OPEN and row["unit"] == POINTS_UNIT]
    if not widths:
        return ""
    quantile = norm.isf(level / 2)
    least = (quantile + norm.isf(1 - POWER)) * max(widths) / (2 * quantile)
    return f"the least certain of these would find an effect of {least:.1f} points in {100 * POWER:.0f} % of studies"


def _counted(rows: Sequence[Mapping[str, Any]]) -> str:
    outcomes = [row["outcome"] for row in rows]
    return listed([f"{outcomes.count(outcome)} {text}" for outcome, text in OUTCOMES.items() if outcome in outcomes])
