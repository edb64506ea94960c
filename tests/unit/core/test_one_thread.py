"""Small fits use one thread, whatever the process may use otherwise."""

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  loads scipy's own library of linear algebra
from threadpoolctl import threadpool_info, threadpool_limits

from shallower.analysis import probes, readouts
from shallower.core.threads import one_thread
from shallower.task_kinds.registry import task_kind


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, "blas"):
        if threads() != {2}:
            pytest.skip("numpy's library of linear algebra has no threads here")
        yield


def test_one_thread_inside_and_as_many_as_before_after_it():
    with one_thread():
        assert threads() == {1}
    assert threads() == {2}


def test_readouts_and_probes_are_fitted_with_one_thread(monkeypatch):
    seen = []
    vectors, labels = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32), np.arange(40) % 2
    for module, name in ((readouts, "_logistic_until_worse"), (readouts, "ridge_out_of_fold")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, of=original: (seen.append(threads()), of(*given))[1])
    folds = readouts.make_folds(labels, True)
    for has_classes in (True, False):
        readouts.read_out(vectors, labels, folds, has_classes)

    kind = task_kind("classification")
    model = kind.linear_model(1.0, 10)
    fit = type(model).fit
    monkeypatch.setattr(type(model), "fit", lambda self, *given: (seen.append(threads()), fit(self, *given))[1])
    probes.fit_probes(vectors[None], labels, "classification")
    assert seen == [{1}] * 3
