"""Do the paper's observations hold in a study? Verdicts on its hypotheses.

The role of a contrast says what it counts for:

- `decides`: the hypothesis claims it;
- `checks`: it must not come out the other way round (single tasks, where the paper writes about their mean);
- `shown`: reported with the others, but not part of the verdict.

Deciding and checking contrasts of a hypothesis and model are one family, corrected together (Holm).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from shallower.core.wording import counted, listed
from shallower.evaluation.significance import holm
from shallower.paper.evidence import CHECKS, DECIDES, SHOWN, Evidence
from shallower.paper.hypotheses import HYPOTHESES, Finding, Hypothesis
from shallower.paper.outcomes import HOLDS, NOT_SUPPORTED, NOT_TESTED, OPEN, OPPOSITE, OUTCOMES, SUPPORTED, UNDECIDED
from shallower.paper.remarks import join_remarks

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
    for row, p_holm in zip(family, holm([row["p"] for row in family]), strict=True):
        row["p_holm"], row["outcome"] = float(p_holm), _outcome(row["effect"], p_holm, level)
    named = {
        "observation": hypothesis.observation,
        "hypothesis": hypothesis.name,
        "claim": hypothesis.claim,
        "rule": hypothesis.rule,
        "model": finding.model,
        "verdict": _verdict_of(family),
        "reason": join_remarks([_reason(family), finding.remark]) or "nothing to compare",
    }
    for row in contrasts or [{}]:
        yield {**named, **row}


def _outcome(effect: float, p_holm: float, level: float) -> str:
    if not p_holm < level:  # NaN too
        return OPEN
    return HOLDS if effect > 0 else OPPOSITE


def _verdict_of(family: Sequence[Mapping[str, Any]]) -> str:
    decisive = [row["outcome"] for row in family if row["role"] == DECIDES]
    if not decisive:
        return NOT_TESTED
    if OPPOSITE in decisive:
        return NOT_SUPPORTED
    contradicted = any(row["outcome"] == OPPOSITE for row in family)
    return SUPPORTED if set(decisive) == {HOLDS} and not contradicted else UNDECIDED


def _reason(family: Sequence[Mapping[str, Any]]) -> str:
    if not family:
        return ""
    decisive, checks = ([row["outcome"] for row in family if row["role"] == role] for role in (DECIDES, CHECKS))
    parts = [f"of {counted(len(decisive), 'comparison')}, {_counted(decisive)}"]
    if checks:
        parts.append(f"on single tasks, {_counted(checks)}")
    if min(row["seeds"] for row in family) == 1:
        parts.append("one seed, so nothing is known about seed variance")
    return join_remarks(parts)


def _counted(outcomes: Sequence[str]) -> str:
    return listed([f"{outcomes.count(outcome)} {text}" for outcome, text in OUTCOMES.items() if outcome in outcomes])
