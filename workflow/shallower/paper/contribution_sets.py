"""Are the layers that hardly change the [CLS] token the same on every task? The overlap of the sets, against chance.

The paper drops one set of layers for each model, whatever the task (section 5.1). Here layers are scored on each task,
with the pre-trained weights, so that the sets can be compared.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallower.core.runs import ARM_COLUMNS
from shallower.core.wording import counted
from shallower.paper.claims import Finding
from shallower.paper.evidence import DECIDES, Contrast, Evidence
from shallower.paper.outcomes import HOLDS, OPPOSITE
from shallower.paper.remarks import join_remarks

STRATEGIES = ("contribution", "contribution-rank")
# Two sets that share this part of the layers in either have most of them in common.
MOST = 0.5
DRAWS = 20_000
SEED = 0
# Overlaps that are equal must not differ by the last bit of a float.
ROUNDING = 1e-9


def jaccard(first: set[int], second: set[int]) -> float:
    """Layers in both sets divided by layers in either; 1 for two empty sets, which are the same."""
    return len(first & second) / len(first | second) if first | second else 1.0


def mean_overlap(sets: Sequence[set[int]]) -> float:
    """Mean Jaccard index of all pairs of two or more sets."""
    return float(np.mean([jaccard(*pair) for pair in combinations(sets, 2)]))


def expected_overlap(sizes: Sequence[int], num_layers: int) -> float:
    """What `mean_overlap` is on average of independent random sets of these sizes, exactly (hypergeometric)."""
    return float(np.mean([_expected_jaccard(*pair, num_layers) for pair in combinations(sizes, 2)]))


def _expected_jaccard(first: int, second: int, num_layers: int) -> float:
    if first + second == 0:
        return 1.0
    ways = comb(num_layers, second)
    shared = range(max(0, first + second - num_layers), min(first, second) + 1)
    return sum(
        comb(first, both) * comb(num_layers - first, second - both) / ways * both / (first + second - both)
        for both in shared
    )


def overlap_p(sets: Sequence[set[int]], num_layers: int, draws: int = DRAWS) -> float:
    """Two-sided p-value of `mean_overlap` against independent random sets of the same sizes.

    By `draws` of such sets; the observed ones count as one more draw, so that p is never zero (Phipson and Smyth,
    "Permutation p-values should never be zero", 2010).
    """
    sizes = np.array([len(one) for one in sets])
    random = np.random.default_rng(SEED)
    ranks = random.random((draws, len(sets), num_layers)).argsort(axis=2).argsort(axis=2)
    overlaps = _mean_overlaps(ranks < sizes[:, None])
    observed = mean_overlap(sets)
    tails = [np.sum(overlaps >= observed - ROUNDING), np.sum(overlaps <= observed + ROUNDING)]
    return min(1.0, 2.0 * (1 + int(min(tails))) / (1 + draws))


def _mean_overlaps(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean Jaccard index [draws] of sets given as [draws, sets, layers], True where a layer is in a set."""
    total = np.zeros(len(chosen))
    pairs = list(combinations(range(chosen.shape[1]), 2))
    for one, other in pairs:
        either = (chosen[:, one] | chosen[:, other]).sum(axis=1)
        both = (chosen[:, one] & chosen[:, other]).sum(axis=1)
        total += np.where(either == 0, 1.0, both / np.maximum(either, 1))
    return total / len(pairs)


def contribution_sets(evidence: Evidence) -> Iterator[Finding]:
    """For each model and amount: are the layers that contribution drops on its tasks mostly the same?

    All of the study's tasks count, whether the paper has them or not.
    """
    runs = evidence.scores.runs
    for model in evidence.models:
        num_layers = evidence.scores.num_layers(model)
        here = runs[(runs["model"] == model) & (runs["origin"] == "pretrained") & runs["strategy"].isin(STRATEGIES)]
        arms = here[ARM_COLUMNS].astype(str).itertuples(index=False, name=None)
        here = here[np.array([arm not in evidence.scored_elsewhere for arm in arms], dtype=bool)]
        contrasts: list[Contrast] = []
        nothing: list[str] = []
        for (strategy, amount), of_arm in here.groupby(["strategy", "amount"], sort=False):
            sets = _dropped(of_arm, num_layers)
            if len(sets) > 1 and not any(sets):
                nothing.append(f"{strategy} {amount}")
            elif len(sets) > 1:
                contrasts += _contrasts(f"{strategy} {amount}", sets, num_layers)
        remarks = [f"{name} drops nothing on any task, so left out" for name in nothing]
        if not contrasts:
            remarks += ["contribution did not drop the same amount of all layers on two tasks by scores of their own"]
        yield Finding(model, contrasts, join_remarks(remarks))


def _dropped(runs: pd.DataFrame, num_layers: int) -> list[set[int]]:
    """The layers dropped on each task. The weights that are scored are the pre-trained ones, so seeds are alike."""
    kept = runs.drop_duplicates("task")["kept_layers"].astype(str)
    return [set(range(num_layers)) - {int(layer) for layer in layers.split()} for layers in kept]


def _contrasts(name: str, sets: list[set[int]], num_layers: int) -> list[Contrast]:
    sizes = [len(one) for one in sets]
    num_dropped = sizes[0] if len(set(sizes)) == 1 else None
    overlap, by_chance = mean_overlap(sets), expected_overlap(sizes, num_layers)
    missing = float("nan")
    tasks = counted(len(sets), "task")
    return [
        Contrast(
            f"{name}: overlap minus that by chance, {by_chance:.2f}",
            tasks,
            num_dropped,
            DECIDES,
            overlap - by_chance,
            missing,
            missing,
            "Jaccard",
            overlap_p(sets, num_layers),
            None,
            None,
            f"{DRAWS:,} random sets",
        ),
        Contrast(
            f"{name}: overlap minus one half",
            tasks,
            num_dropped,
            DECIDES,
            overlap - MOST,
            missing,
            missing,
            "Jaccard",
            missing,
            None,
            None,
            "none: the sets are known",
            settled=HOLDS if overlap >= MOST - ROUNDING else OPPOSITE,
        ),
    ]
