"""How many threads numpy, scipy and scikit-learn compute with."""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """A context in which products of matrices by numpy and scipy, and so fits by scikit-learn, use one thread.

    Fits of a few thousand examples are thousands of small products: to share one out among threads takes longer than to
    compute it, up to twenty times (a readout of 400 examples, two threads on two cores). torch has threads of its own.
    """
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    """The libraries of this process, which are looked for once: those that are imported by then."""
    return ThreadpoolController()
