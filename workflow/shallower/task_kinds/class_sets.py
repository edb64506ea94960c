"""Which classes each example belongs to: to one, by labels [n], or to any number, by labels of 0 and 1 [n, classes]."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def memberships(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """An example and a class of it, for each of the classes of each example, in the order of the examples."""
    if labels.ndim == 1:
        return np.arange(len(labels)), labels.astype(np.int64)
    examples, classes = np.nonzero(labels)
    return examples, classes


def classes_of(labels: NDArray[Any]) -> set[int]:
    """The classes of all examples."""
    return {*np.unique(memberships(labels)[1]).tolist()}


def strata(labels: NDArray[Any]) -> NDArray[np.int64]:
    """The one class [n] that each example counts as, where examples are divided in proportion to their classes.

    Of several it is the one that fewest examples have (of equals, the first), so that rare classes are divided with
    care; common ones have examples in all parts anyway. Examples of no class count as a class of their own.
    """
    if labels.ndim == 1:
        return labels.astype(np.int64)
    num_classes = labels.shape[1]
    by_frequency = np.argsort(labels.sum(axis=0, dtype=np.int64), kind="stable")
    has_any = labels.any(axis=1)
    return np.where(has_any, by_frequency[(labels[:, by_frequency] != 0).argmax(axis=1)], num_classes)


def class_counts(labels: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    """How many examples each class has [classes]."""
    return np.bincount(memberships(labels)[1], minlength=num_classes)
