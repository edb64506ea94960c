"""How many random inputs tests try. FUZZ_EXAMPLES=3000 tries that many of each, other ones every time."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def fuzz(examples: int) -> Any:
    """Settings of a test: so many examples, always the same ones, or FUZZ_EXAMPLES random ones."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
