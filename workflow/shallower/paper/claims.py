"""What a claim of the paper is here, and the rules by which contrasts decide it.

Kinds of claims differ in their rules:

- one thing is greater than another: `RULE`. Claims that a difference is small are put so too, with `MARGIN`: "no worse"
  is "not worse by the margin", a test of non-inferiority; "as good" is that in both directions, two one-sided tests;
- a test finds nothing: `NOTHING_FOUND`, which is not the same as nothing being there;
- a number is the paper's: `SAME_NUMBERS`, `SCORE_AND_NUMBERS`.

`OVERLAP` is for sets of layers, which share more than chance gives and most of what they have.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shallower.paper.evidence import Contrast, Evidence

# Points by which scores may differ and still count as equally good: the smallest tolerance that the paper itself uses
# (table 4). The paper gives none for "comparable" and "no improvement".
MARGIN = 1.0
SIGNIFICANT = (
    "Significant: p after Holm's correction over all comparisons of the hypothesis is below one minus the confidence "
    "of the intervals."
)
RULE = (
    "Supported: every such comparison is significantly above zero, and on no single task is one significantly below. "
    f"Not supported: one is significantly below zero. Undecided: otherwise. {SIGNIFICANT}"
)
NOTHING_FOUND = (
    f"Supported: none is significant, and the interval of each lies within {MARGIN:g} point of zero. Not supported: "
    "one is significant, in either direction. Undecided: otherwise, because a test that finds nothing does not show "
    f"that there is nothing. {SIGNIFICANT}"
)
SAME_NUMBERS = "Supported: all are. Not supported: one is not."
SCORE_AND_NUMBERS = (
    "Supported: both changes are, and the score is so significantly. Not supported: one change is not, or the score is "
    "significantly below zero. Undecided: otherwise, as where the times scatter across the limit. " + SIGNIFICANT
)
OVERLAP = (
    "Supported: for every such amount the overlap is significantly above chance, and at least one half. Not supported: "
    "for one it is significantly below chance, or below one half. Undecided: otherwise, as where so few sets are "
    f"compared that even equal ones could be chance. {SIGNIFICANT}"
)


@dataclass(frozen=True)
class Finding:
    """The contrasts of a hypothesis for one model, or for several together.

    Attributes:
        remark: what is missing, and why.
        is_partial: whether a part of the claim has no contrast: the others can contradict it, but not support it.
    """

    model: str
    contrasts: Sequence[Contrast]
    remark: str = ""
    is_partial: bool = False


@dataclass(frozen=True)
class Hypothesis:
    """A claim of the paper, the criterion that it is judged by, and the function that finds its contrasts.

    `decision` says how contrasts decide: one of this module's rules.
    """

    observation: str
    name: str
    claim: str
    criterion: str
    findings: Callable[[Evidence], Iterator[Finding]]
    decision: str = RULE

    @property
    def rule(self) -> str:
        """How the verdict is reached, in words."""
        return f"{self.criterion} {self.decision}"
