"""How far the answers of one model may be apart that two programs compute."""

import numpy as np
from numpy.typing import NDArray

# Largest difference of a logit between two computations in fp32. MiniLM's differ by less than 1e-5: sums of some
# hundred products in another order. A wrong mask, position or weight changes logits by far more.
FP32 = 1e-4
# The same as a share of the largest logit, where logits are so large (labels from 0 to 100) that it is the larger one:
# numbers in fp32 are 1e-7 of their size apart.
FP32_SHARE = 1e-5


def fp32_tolerance(logits: NDArray[np.floating]) -> float:
    """The largest difference from these logits that rounding in fp32 explains."""
    return max(FP32, FP32_SHARE * float(np.abs(logits).max()))
