"""How well scores that strategies go by rank subsets of layers as their scores after refining do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shallower.evaluation.estimates import Estimate, over_seeds
from shallower.oracle.names import OTHER_SEEDS, SUMMED
from shallower.oracle.picks import summed_scores
from shallower.oracle.place import MEASURES, Place


@dataclass(frozen=True)
class Quality:
    """A score of all subsets, of which higher is better.

    Attributes:
        values: [subsets, seeds].
        samples: the same on resampled examples, [subsets, seeds, samples], for what the examples score after refining.
    """

    values: NDArray[np.float64]
    samples: NDArray[np.float64] | None = None


def qualities(place: Place) -> Iterator[tuple[str, Quality]]:
    """Scores of all subsets before they are refined, by name.

    Then the scores after refining, the mean of the other seeds, where there are several.
    """
    tables = [place.measures[seed] for seed in place.seeds]
    for measure, higher_is_better in MEASURES.items():
        if all(measure in table for table in tables):
            found = np.stack([table[measure].to_numpy(np.float64) for table in tables], axis=1)
            yield measure, Quality(found if higher_is_better else -found)
    summed: dict[str, NDArray[np.float64]] = {}
    shape = (len(place.subsets), len(place.seeds))
    for at, seed in np.ndindex(shape):
        scores = place.scores[place.seeds[seed]]
        for name, value in summed_scores(place.names["origin"], place.stack, place.subsets[at], scores):
            summed.setdefault(SUMMED + name, np.full(shape, np.nan))[at, seed] = value
    yield from ((name, Quality(found)) for name, found in summed.items() if not np.isnan(found).any())
    if len(place.seeds) > 1:
        both = (place.values, place.samples)
        others = [(scores.sum(axis=1, keepdims=True) - scores) / (len(place.seeds) - 1) for scores in both]
        yield OTHER_SEEDS, Quality(*others)


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's rank correlation of values with others, along the first axis; 0 where either are all equal.

    Both are [n] or [n, samples]; the result is [samples], a single number where neither has samples.
    """
    ranks = [stats.rankdata(each, axis=0) for each in (one, other)]
    first, second = (each - each.mean(axis=0) for each in ranks)
    covariance = (first.T * second.T).sum(axis=-1)
    scale = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    return np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)


def correlation(place: Place, quality: Quality, subsets: Sequence[int]) -> Estimate:
    """Spearman's correlation over some subsets, the mean over seeds; resampled are examples and seeds.

    Scores of examples are noisy, and resampling them adds as much noise again, which lowers the correlation of ranks:
    so resampled correlations are moved up to the value that they spread around.
    """
    rows = list(subsets)
    per_seed = range(len(place.seeds))
    before = quality.values if quality.samples is None else quality.samples
    values = np.array([spearman(quality.values[rows, seed], place.values[rows, seed]) for seed in per_seed])
    samples = np.stack([spearman(before[rows, seed], place.samples[rows, seed]) for seed in per_seed])
    moved = samples + (values - samples.mean(axis=1))[:, None]
    return over_seeds(values, np.clip(moved, -1, 1))


def within_sizes(place: Place, quality: Quality) -> Estimate:
    """The correlation among subsets of the same size, mean over the sizes of which all subsets are refined.

    A size of n subsets has weight n - 1: the variance of a rank correlation is 1 / (n - 1) where there is none.
    """
    sizes = {size: place.of_size(size) for size in place.sizes}
    of_sizes = [correlation(place, quality, subsets) for subsets in sizes.values()]
    weights = np.array([len(subsets) - 1 for subsets in sizes.values()], dtype=np.float64)
    weights /= weights.sum()
    return Estimate(
        float(weights @ [estimate.value for estimate in of_sizes]),
        weights @ np.stack([estimate.samples for estimate in of_sizes]),
        min(estimate.seeds for estimate in of_sizes),
    )
