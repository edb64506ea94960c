"""How well scores that strategies go by rank subsets of layers as their scores after refining do."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shallower.evaluation.estimates import Estimate, over_seeds
from shallower.oracle.names import OTHER_SEEDS, SUMMED
from shallower.oracle.picks import summed_scores
from shallower.oracle.place import MEASURES, Place


def qualities(place: Place) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Scores [subsets, seeds] of all subsets before they are refined, by name; of all, higher is better.

    Then the scores after refining, the mean of the other seeds, where there are several.
    """
    tables = [place.measures[seed] for seed in place.seeds]
    for measure, higher_is_better in MEASURES.items():
        if all(measure in table for table in tables):
            found = np.stack([table[measure].to_numpy(np.float64) for table in tables], axis=1)
            yield measure, found if higher_is_better else -found
    summed: dict[str, NDArray[np.float64]] = {}
    shape = (len(place.subsets), len(place.seeds))
    for at, seed in np.ndindex(shape):
        scores = place.scores[place.seeds[seed]]
        for name, value in summed_scores(place.names["origin"], place.stack, place.subsets[at], scores):
            summed.setdefault(SUMMED + name, np.full(shape, np.nan))[at, seed] = value
    yield from ((name, found) for name, found in summed.items() if not np.isnan(found).any())
    if len(place.seeds) > 1:
        values = place.values
        yield OTHER_SEEDS, (values.sum(axis=1, keepdims=True) - values) / (len(place.seeds) - 1)


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's rank correlation of values [n] with others [n, ...]: [...]; 0 where either are all equal."""
    first = stats.rankdata(one)
    second = stats.rankdata(other, axis=0)
    first, second = first - first.mean(), second - second.mean(axis=0)
    covariance = np.tensordot(first, second, axes=1)
    scale = np.sqrt((first**2).sum() * (second**2).sum(axis=0))
    return np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)


def correlation(place: Place, quality: NDArray[np.float64], subsets: Sequence[int]) -> Estimate:
    """Spearman's correlation over some subsets, the mean over seeds; resampled are examples and seeds."""
    rows = list(subsets)
    per_seed = range(len(place.seeds))
    values = np.array([spearman(quality[rows, seed], place.values[rows, seed]) for seed in per_seed])
    samples = np.stack([spearman(quality[rows, seed], place.samples[rows, seed]) for seed in per_seed])
    return over_seeds(values, samples)


def within_sizes(place: Place, quality: NDArray[np.float64]) -> Estimate:
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
