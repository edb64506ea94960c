"""How much of the data a proposed study uses, so that it takes minutes on a laptop, and how long its texts are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shallower.core.layout import SPLITS, TEST
from shallower.proposals.columns import num_words

# Tokens of a word, roughly, and special tokens of each text.
TOKENS_PER_WORD, SPECIAL_TOKENS = 1.4, 2
# Lengths are multiples of this; texts are cut to at most so many tokens, which the laptop has to compute.
STEP, LONGEST = 16, 256
# So many examples to train on are tried, the most first, until the trainings take at most so many minutes on one core.
TRAIN_EXAMPLES, MINUTES = (2_000, 1_000, 500), 30
# Examples of a class on average, at least.
EXAMPLES_OF_CLASS = 10
VALIDATION_EXAMPLES, TEST_EXAMPLES = 1_000, 2_000
# Texts that are looked at.
MOST_TEXTS = 10_000


@dataclass(frozen=True)
class Lengths:
    """Tokens of texts, roughly: the mean, and what nineteen of twenty texts do not exceed, as a study's max_length."""

    mean: float
    max_length: int

    @property
    def typical(self) -> int:
        """The mean as a length to measure speed with."""
        return int(min(self.max_length, STEP * max(1, round(self.mean / STEP))))


def lengths(texts: Sequence[Sequence[Any]], most_tokens: int | None) -> Lengths:
    """How long texts, or lists of words, are for a model that takes so many tokens; those of a row are read as one."""
    tokens = [
        sum(
            TOKENS_PER_WORD * (num_words(text) if isinstance(text, str) else len(text)) + SPECIAL_TOKENS for text in row
        )
        for row in texts[:: max(1, len(texts) // MOST_TEXTS)]
    ]
    wanted = STEP * int(np.ceil(np.quantile(tokens, 0.95) / STEP))
    max_length = min(LONGEST, most_tokens or LONGEST, max(2 * STEP, wanted))
    return Lengths(float(np.minimum(tokens, max_length).mean()), max_length)


def examples(rows: Mapping[str, int], classes: int, minutes_per_row: float) -> dict[str, int]:
    """How many examples of each split are used, for those of which that is not all; by rows, classes and time."""
    fewest = EXAMPLES_OF_CLASS * classes
    fitting = (size for size in TRAIN_EXAMPLES if size * minutes_per_row <= MINUTES)
    sizes = {
        SPLITS[0]: max(fewest, next(fitting, TRAIN_EXAMPLES[-1])),
        SPLITS[1]: max(fewest, VALIDATION_EXAMPLES),
        TEST: TEST_EXAMPLES,
    }
    return {split: sizes[split] for split, count in rows.items() if sizes[split] < count}
