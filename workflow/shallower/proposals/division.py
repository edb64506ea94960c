"""Rows of one file divided into training, validation and test examples: by a seed, by strata, without common texts.

Rows with the same text (or pair of texts, in either order), compared without case and repeated blanks, stay together in
one split. Each stratum, such as a class, gives each split its share, the training split first of all.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.layout import SPLITS, TEST
from shallower.sources.labelled_files import compared_text

# Fewer groups of texts cannot be divided in a sensible way.
FEWEST_TEXTS = 20
# Most examples that are put aside for validation and for test by default: more of them tell hardly more.
MOST_HELD_OUT = 5_000

Texts = tuple[str, ...]


@dataclass(frozen=True)
class Division:
    """The rows of each split, in ascending order, and what was found on the way.

    Attributes:
        rows: by split.
        repeats: rows whose texts an earlier row has.
        contradictions: texts that are there with several labels.
        known: rows that are left out, since a split that was given has their texts.
        small: strata of which validation or test have no row, since there are too few texts.
    """

    rows: Mapping[str, NDArray[np.int64]]
    repeats: int
    contradictions: int
    known: int
    small: tuple[Hashable, ...]


def compared(texts: Sequence[str]) -> Texts:
    """The text or the pair of texts of a row, as it is compared."""
    return tuple(sorted(map(compared_text, texts)))


def divide(
    texts: Sequence[Texts],
    strata: Sequence[Hashable],
    shares: Mapping[str, float],
    seed: int,
    taken: Iterable[Texts] = (),
    most_held_out: int | None = None,
) -> Division:
    """Divide rows by their texts (as `compared` has them) and strata; `shares` of the splits sum to 1.

    No split but the training split gets more than `most_held_out` texts, whatever its share. Rows with texts that are
    `taken` are left out. Raises UserError where there are too few different texts.
    """
    taken = {*taken}
    groups: dict[Texts, list[int]] = {}
    for row, key in enumerate(texts):
        groups.setdefault(key, []).append(row)
    free = [rows for key, rows in groups.items() if key not in taken]
    if len(free) < FEWEST_TEXTS:
        raise UserError(
            f"has {len(free)} different texts to divide into {', '.join(shares)}; at least {FEWEST_TEXTS} are needed"
        )
    by_stratum: dict[Hashable, list[list[int]]] = {}
    for rows in free:
        # The stratum that most of a text's rows have; of equally many, the first one.
        by_stratum.setdefault(Counter(strata[row] for row in rows).most_common(1)[0][0], []).append(rows)
    generator = np.random.default_rng(seed)
    found: dict[str, list[int]] = {split: [] for split in shares}
    small = []
    limited = shares if most_held_out is None else _limited(shares, len(free), most_held_out)
    debts = dict.fromkeys(limited, 0.0)
    for stratum, members in by_stratum.items():
        order = generator.permutation(len(members))
        sizes = _sizes(len(members), limited, debts)
        small += [stratum] if 0 in sizes.values() else []
        start = 0
        for split, size in sizes.items():
            found[split] += [row for index in order[start : start + size] for row in members[index]]
            start += size
    return Division(
        {split: np.sort(np.array(rows, np.int64)) for split, rows in found.items()},
        repeats=len(texts) - len(groups),
        contradictions=sum(len({strata[row] for row in rows}) > 1 for rows in groups.values()),
        known=sum(len(rows) for key, rows in groups.items() if key in taken),
        small=tuple(small),
    )


def _limited(shares: Mapping[str, float], texts: int, most: int) -> dict[str, float]:
    """The shares, with no more than `most` of so many texts in a split other than the training split."""
    held_out = {split: min(share, most / texts) for split, share in shares.items() if split != SPLITS[0]}
    return {SPLITS[0]: 1 - sum(held_out.values())} | held_out


def _sizes(count: int, shares: Mapping[str, float], debts: dict[str, float]) -> dict[str, int]:
    """How many of a stratum's groups each split gets; what rounding takes from one is given back in the next stratum.

    Each split gets one where there are enough, the training split first, so that no other has a class that it lacks.
    """
    for split, share in shares.items():
        debts[split] += count * share
    order = [split for split in (*SPLITS, TEST) if split in shares]
    sizes = {split: int(index < count) for index, split in enumerate(order)}
    for _ in range(count - sum(sizes.values())):
        sizes[max(order, key=lambda split: debts[split] - sizes[split])] += 1
    for split in order:
        debts[split] -= sizes[split]
    return sizes
