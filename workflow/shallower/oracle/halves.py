"""Scores on halves of the validation examples, and choices that are made on one half and measured on the other.

The best of many models looks better than it is on the examples by which it was found to be the best (selection bias).
What is best is therefore chosen on one half of the examples and measured on the other, both ways round, for several
random halvings; where there are several seeds, it is chosen by the runs of the other seeds, so that neither the
examples nor the chances of a training count for it twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.evaluation.bootstrap import SEED
from shallower.evaluation.estimates import POINTS, Estimate, over_seeds
from shallower.evaluation.groups import num_units
from shallower.evaluation.metrics import Metric, resampled_scores
from shallower.oracle.names import HALVINGS

# Which model is taken, by halving, half that it is measured on and seed: indices [halvings, 2, seeds] of subsets.
Choice = NDArray[np.intp]


@dataclass(frozen=True)
class HalfScores:
    """Scores of models on halves of the examples, in points.

    Attributes:
        values: [halvings, 2, subsets, seeds], on the examples of each half.
        samples: [2, subsets, seeds, samples], on resampled examples of each half of the halving that the sample is of.
        halving: [samples], the halving that each sample is of.
    """

    values: NDArray[np.float64]
    samples: NDArray[np.float64]
    halving: NDArray[np.intp]

    def always(self, taken: Sequence[int]) -> Choice:
        """The choice of a strategy that goes by none of these scores: of each seed the subset [seeds]."""
        return np.broadcast_to(np.asarray(taken), (*self.values.shape[:2], len(taken)))

    def best(self, candidates: Sequence[Sequence[int]]) -> Choice:
        """The best of each seed's candidates by the other half, and by the other seeds where there are any.

        Of equal ones the first candidate.
        """
        seeds = self.values.shape[3]
        judged = self.values
        if seeds > 1:
            judged = (judged.sum(axis=3, keepdims=True) - judged) / (seeds - 1)
        judged = judged[:, ::-1]
        chosen = [
            np.asarray(mine)[judged[:, :, list(mine), seed].argmax(axis=2)] for seed, mine in enumerate(candidates)
        ]
        return np.stack(chosen, axis=2)

    def difference(self, one: Choice, other: Choice) -> Estimate:
        """How much higher the models of one choice score than those of another: the mean over halves and seeds.

        Each sample resamples the examples within the halves of one halving, and the seeds; the choices stay. So the
        interval covers examples, halvings and seeds.
        """
        values = (self._on(one) - self._on(other)).mean(axis=(0, 1))
        samples = (self._resampled(one) - self._resampled(other)).mean(axis=0)
        return over_seeds(values, samples)

    def _on(self, choice: Choice) -> NDArray[np.float64]:
        """Scores [halvings, 2, seeds] of the chosen models."""
        return np.take_along_axis(self.values, choice[:, :, None, :], axis=2)[:, :, 0]

    def _resampled(self, choice: Choice) -> NDArray[np.float64]:
        """Scores [2, seeds, samples] of the chosen models on resampled examples."""
        by_sample = np.moveaxis(choice[self.halving], 0, -1)
        return np.take_along_axis(self.samples, by_sample[:, None], axis=1)[:, 0]


def half_scores(
    metric: Metric,
    labels: NDArray[Any],
    answers: NDArray[Any],
    num_samples: int,
    groups: NDArray[np.int64] | None = None,
) -> HalfScores:
    """Score answers [subsets, seeds, n] against labels [n] on halves; all with the same halves and resamples.

    Rows that belong together, by `groups` [n], are in the same half.
    """
    random = np.random.default_rng(SEED)
    num_subsets, num_seeds = answers.shape[:2]
    num_examples = num_units(labels, groups)
    halving = np.sort(np.arange(num_samples) % HALVINGS)
    values = np.empty((HALVINGS, 2, num_subsets, num_seeds))
    samples = np.empty((2, num_subsets, num_seeds, num_samples))
    for place in range(HALVINGS):
        order = random.permutation(num_examples)
        mine = halving == place
        for half, units in enumerate((order[: num_examples // 2], order[num_examples // 2 :])):
            drawn = units[random.integers(len(units), size=(mine.sum(), len(units)))]
            for subset, seed in np.ndindex(num_subsets, num_seeds):
                given = answers[subset, seed]
                values[place, half, subset, seed] = POINTS * resampled_scores(metric, labels, given, units, groups)
                samples[half, subset, seed, mine] = POINTS * resampled_scores(metric, labels, given, drawn, groups)
    return HalfScores(values, samples, halving)
