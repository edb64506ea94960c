"""A part of a task's examples, where a study asks for some of them: drawn with a fixed seed, the same for everybody.

A plain draw may miss a class that the file has. Only then are the last of its rows left out for rows of such classes,
so that a slice that was sound stays what it was.

Calibration examples are drawn from the other end of the order that training examples are drawn from, class by class:
they do not depend on how many training examples a study asks for, nor these on them, as long as there are rows enough.
Where a row may have several classes, it counts as the rarest of them there.

Rows of one group, such as the texts of a query, are drawn together or not at all.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.parquet import to_array
from shallower.task_kinds.class_sets import memberships, strata

SLICE_SEED = 0
# Column of what rows are drawn together by.
GROUP = "group"
# Classes that a message names.
MAX_LISTED = 3


def shuffled(table: pa.Table) -> NDArray[np.int64]:
    """The rows of a table in the order in which they are drawn; those of a group one after another."""
    random = np.random.default_rng(SLICE_SEED)
    if GROUP not in table.column_names:
        return random.permutation(len(table))
    _, group_of_row = np.unique(table[GROUP].to_numpy(), return_inverse=True)
    return np.argsort(random.permutation(group_of_row.max() + 1)[group_of_row], kind="stable")


def whole_groups(table: pa.Table, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of a table without the last ones, if their group has further rows in the table."""
    if GROUP not in table.column_names or not len(rows):
        return rows
    groups = table[GROUP].to_numpy()
    is_last = groups[rows] == groups[rows[-1]]
    return rows[~is_last] if is_last.sum() < (groups == groups[rows[-1]]).sum() else rows


def classes_of(table: pa.Table, of_words: bool = False) -> set[int]:
    """Indices of the classes in a table, where each word may have one, of its words."""
    return {*np.unique(_memberships(table, of_words)[1]).tolist()}


def _memberships(table: pa.Table, of_words: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A row and a class of it, for each of the classes of each row or of its words, in the order of the rows."""
    if not of_words:
        return memberships(to_array(table["label"]))
    lists = table["label"].combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(table)), lengths), lists.flatten().to_numpy()


def drawn(
    table: pa.Table, order: NDArray[np.int64], size: int, needed: Iterable[int] | None, of_words: bool = False
) -> pa.Table:
    """The first `size` rows of an order, in the order of the table.

    Where these lack a class of `needed`, or have one class only, they get a row of each class of the table, or of each
    that is needed, if `size` allows. None stands for a task without classes; of a table with groups these are as many
    whole groups as `size` allows. `of_words` says that each word of a row has a class.
    """
    if needed is None:
        return table.take(np.sort(whole_groups(table, order[:size])))
    rows, of_rows = _memberships(table.select(["label"]).take(order), of_words)
    present = {*of_rows[rows < size].tolist()}
    chosen = np.arange(size)
    if len(present) == 1 or not present.issuperset(needed):
        classes, places = np.unique(of_rows, return_index=True)
        firsts = rows[places]
        needed_firsts = firsts[np.isin(classes, [*needed])]
        # A row that is the first of several classes is drawn once.
        alternatives = [np.unique(alternative) for alternative in (firsts, needed_firsts)]
        wanted = next((wanted for wanted in alternatives if len(wanted) <= size), firsts[:0])
        others = np.setdiff1d(np.arange(len(order)), wanted)
        chosen = np.concatenate([wanted, others[: size - len(wanted)]])
    return table.take(np.sort(order[chosen]))


def held_out(
    table: pa.Table, order: NDArray[np.int64], size: int, taken: NDArray[np.int64] | None, has_classes: bool
) -> NDArray[np.int64]:
    """Rows of a table for calibration, ascending: the last `size` of an order, for classes by the shares of each.

    `taken` are the ids of the rows that are trained on already, none of which is drawn. None stands for a study that
    trains on whatever is left: then a row of each class stays. Of fewer rows than asked for, all are drawn.
    """
    candidates = order[::-1]
    if taken is not None:
        candidates = candidates[~np.isin(table["id"].to_numpy()[candidates], taken)]
    if not has_classes:
        return np.sort(whole_groups(table, candidates[:size]))
    labels = strata(to_array(table["label"]))
    classes, counts = np.unique(labels[order], return_counts=True)
    quotas = _quotas(counts, size)
    if taken is None:
        quotas = np.minimum(quotas, counts - 1)
    chosen = np.concatenate(
        [candidates[labels[candidates] == label][:quota] for label, quota in zip(classes, quotas, strict=True)]
    )
    # Where a class has too few rows, others take their places.
    others = candidates[~np.isin(candidates, chosen)]
    if taken is None:
        others = others[~np.isin(others, [candidates[labels[candidates] == label][-1] for label in classes])]
    return np.sort(np.concatenate([chosen, others[: size - len(chosen)]]))


def _quotas(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How many of `size` rows each class gets: in proportion to its count, by largest remainders, if possible one."""
    shares = size * counts / counts.sum()
    quotas = np.floor(shares).astype(np.int64)
    for index in np.argsort(quotas - shares, kind="stable")[: size - quotas.sum()]:
        quotas[index] += 1
    for index in np.flatnonzero(quotas == 0):
        if quotas.max() > 1:
            quotas[quotas.argmax()] -= 1
            quotas[index] = 1
    return quotas


def check_calibration(calibration: pa.Table, train: pa.Table, size: int, labels: tuple[str, ...]) -> None:
    """Raise UserError where calibration examples lack a class of the training split, or are fewer than asked for."""
    classes = classes_of(train)
    if lacking := classes - classes_of(calibration):
        names = ", ".join(repr(labels[index]) for index in sorted(lacking)[:MAX_LISTED])
        if size < len(classes):
            raise UserError(
                f"calibration.examples: {size} rows cannot hold the {len(classes)} classes of the training split (such "
                f"as {names}); ask for at least {len(classes)}"
            )
        raise UserError(
            f"calibration.examples: the {size} rows to calibrate with have none of the class {names}: training keeps "
            "the last row of each, and all of train_examples; add rows of it, ask for more, or lower train_examples"
        )
    if len(calibration) < size:
        raise UserError(
            f"calibration.examples: {len(calibration)} of the {size} rows can be had, since each class needs one to "
            f"train on; ask for {len(calibration)}"
        )


def check_classes(
    whole: pa.Table, part: pa.Table, needed: set[int], labels: tuple[str, ...], of_words: bool = False
) -> None:
    """Raise UserError where a training slice is too small for the classes of the validation split that its file has."""
    if lacking := (needed - classes_of(part, of_words)) & classes_of(whole, of_words):
        names = ", ".join(repr(labels[index]) for index in sorted(lacking)[:MAX_LISTED])
        raise UserError(
            f"train_examples: {len(part)} rows cannot hold the {len(needed)} classes of the validation split (such as "
            f"{names}); ask for at least {len(needed)}"
        )
