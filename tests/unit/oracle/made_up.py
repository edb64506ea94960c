"""A place with scores that can be worked out by hand, without files."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from shallower.evaluation.estimates import Estimate
from shallower.models.stack import Stack
from shallower.oracle.halves import HalfScores
from shallower.oracle.names import HALVINGS
from shallower.oracle.place import Place
from shallower.surgery.subsets import Subset

SAMPLES = 100
SUBSETS: list[Subset] = [subset for size in (1, 2) for subset in combinations(range(3), size)]


def half_scores(values: Sequence[Any]) -> HalfScores:
    """Scores [2, subsets, seeds] of the two halves, the same for all halvings and samples."""
    halves = np.array(values, dtype=float)
    return HalfScores(
        np.broadcast_to(halves, (HALVINGS, *halves.shape)).copy(),
        np.repeat(halves[..., None], SAMPLES, axis=3),
        np.sort(np.arange(SAMPLES) % HALVINGS),
    )


def make_place(
    values: Mapping[str, Sequence[float]],
    halves: Sequence[Mapping[str, Sequence[float]]] | None = None,
    readout_loss: Mapping[str, float] | None = None,
    layer_scores: Mapping[str, Sequence[float]] | None = None,
    races: Mapping[tuple[int, int], Any] | None = None,
    task: str = "t",
) -> Place:
    """A place of a model of three layers: scores by the label of a subset, one a seed; by default in both halves."""
    subsets = [tuple(map(int, label.split())) for label in values]
    scores = np.array(list(values.values()), dtype=float)
    losses = readout_loss or dict.fromkeys(values, 1.0)
    subset_scores = {
        "method": "subsets",
        "num_layers": 3,
        "is_complete": True,
        "kept_layers": [*losses, "0 1 2"],
        **{name: [*losses.values(), 0.0] for name in ("readout_loss", "loss")},
        **{name: [-loss for loss in [*losses.values(), 0.0]] for name in ("readout_score", "score")},
        "cost": {"forward_passes": 2.33},
    }
    ranked = {name: {"method": name, "scores": list(found)} for name, found in (layer_scores or {}).items()}
    table = pd.DataFrame({"readout_loss": [losses[label] for label in values]})
    table["readout_score"] = -table["readout_loss"]
    seeds = range(1, scores.shape[1] + 1)
    found = [[one[label] for label in values] for one in (halves or [values, values])]
    return Place(
        names={"study": "s", "model": "m", "task": task, "origin": "finetuned"},
        stack=Stack(3),
        metric="accuracy",
        seeds=list(seeds),
        subsets=subsets,
        values=scores,
        samples=np.repeat(scores[..., None], SAMPLES, axis=2),
        halves=half_scores(found),
        baseline=Estimate(90.0, np.full(SAMPLES, 90.0), len(seeds)),
        scores={seed: {"subsets": subset_scores, **ranked} for seed in seeds},
        measures=dict.fromkeys(seeds, table),
        races=races or {},
    )
