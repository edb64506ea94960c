"""Outcomes of contrasts and verdicts on hypotheses: the values of observations.csv, and how pages word them."""

HOLDS, OPPOSITE, OPEN = "holds", "opposite", "open"
SUPPORTED, NOT_SUPPORTED, UNDECIDED, NOT_TESTED = "supported", "not supported", "undecided", "not tested"
OUTCOMES = {HOLDS: "as claimed", OPPOSITE: "contrary", OPEN: "too close to tell"}
