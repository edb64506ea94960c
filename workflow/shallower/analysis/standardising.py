"""Vectors brought to mean 0 and variance 1, as linear models with a penalty need them."""

import numpy as np
from numpy.typing import NDArray

# A feature that varies less than this share of the vectors' size (root mean square) is constant up to rounding, as all
# features of BERT's [CLS] token are before the first layer. Standardising it would amplify noise.
CONSTANT_SPREAD = 1e-5


def mean_and_scale(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of each feature of vectors [n, hidden], and what to multiply it with, 0 for a constant one; [hidden]."""
    mean, spread = vectors.mean(axis=0), vectors.std(axis=0)
    varies = spread > CONSTANT_SPREAD * np.sqrt(np.mean(vectors**2))
    return mean, np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
