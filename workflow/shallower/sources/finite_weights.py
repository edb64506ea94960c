"""Weights must be finite numbers; looked at in pieces, without torch."""

from pathlib import Path
from typing import Any

import numpy as np

from shallower.core.errors import UserError
from shallower.models.weight_files import stored_tensors

# Types of numbers that need not be finite, and how numpy reads them: it lacks bfloat16, whose bits tell.
FLOATS: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
# The bits of a bfloat16 that are all set in NaN and infinity alone.
BF16_EXPONENT = 0x7F80
# Numbers that are looked at together.
CHUNK = 1 << 22


def check_finite(path: str | Path) -> None:
    """Raise UserError when a number in a file of weights is NaN or infinite. Integers are not read."""
    for tensor in stored_tensors(Path(path)):
        if (dtype := FLOATS.get(tensor.dtype)) is None:
            continue
        length = tensor.size // dtype.itemsize
        for first in range(0, length, CHUNK):
            numbers = np.fromfile(path, dtype, min(CHUNK, length - first), offset=tensor.start + first * dtype.itemsize)
            bad = numbers & BF16_EXPONENT == BF16_EXPONENT if tensor.dtype == "BF16" else ~np.isfinite(numbers)
            if bad.any():
                raise UserError(
                    f"{path}: {tensor.name} has {int(bad.sum())} or more numbers that are not finite; the checkpoint "
                    "is broken, as after a training that diverged: use another copy, or an earlier checkpoint"
                )
