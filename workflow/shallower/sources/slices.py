"""A part of a task's examples, where a study asks for some of them: drawn with a fixed seed, the same for everybody.

A plain draw may miss a class that the file has. Only then are the last of its rows left out for rows of such classes,
so that a slice that was sound stays what it was.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shallower.core.errors import UserError

SLICE_SEED = 0
# Classes that a message names.
MAX_LISTED = 3


def shuffled(table: pa.Table) -> NDArray[np.int64]:
    """The rows of a table in the order in which they are drawn."""
    return np.random.default_rng(SLICE_SEED).permutation(len(table))


def classes_of(table: pa.Table) -> set[int]:
    """Indices of the classes in a table."""
    return set(table["label"].unique().to_pylist())


def drawn(table: pa.Table, order: NDArray[np.int64], size: int, needed: Iterable[int] | None) -> pa.Table:
    """The first `size` rows of an order, in the order of the table.

    Where these lack a class of `needed`, or have one class only, they get a row of each class of the table, or of each
    that is needed, if `size` allows. None stands for a task without classes.
    """
    if needed is None:
        return table.take(np.sort(order[:size]))
    labels = table["label"].to_numpy()[order]
    present = {*labels[:size].tolist()}
    chosen = np.arange(size)
    if len(present) == 1 or not present.issuperset(needed):
        classes, firsts = np.unique(labels, return_index=True)
        needed_firsts = firsts[np.isin(classes, [*needed])]
        wanted = next((rows for rows in (firsts, needed_firsts) if len(rows) <= size), firsts[:0])
        others = np.setdiff1d(np.arange(len(order)), wanted)
        chosen = np.concatenate([wanted, others[: size - len(wanted)]])
    return table.take(np.sort(order[chosen]))


def check_classes(whole: pa.Table, part: pa.Table, needed: set[int], labels: tuple[str, ...]) -> None:
    """Raise UserError where a training slice is too small for the classes of the validation split that its file has."""
    if lacking := (needed - classes_of(part)) & classes_of(whole):
        names = ", ".join(repr(labels[index]) for index in sorted(lacking)[:MAX_LISTED])
        raise UserError(
            f"train_examples: {len(part)} rows cannot hold the {len(needed)} classes of the validation split (such as "
            f"{names}); ask for at least {len(needed)}"
        )
