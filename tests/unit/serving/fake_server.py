"""A server whose runtimes take known times or fail in known ways; `path` says which and how long."""

import os
import signal
import sys
import time

import numpy as np

from shallower.serving import server


def sleeping(settings):
    seconds = float(settings["path"])

    def load(threads):
        def answer(texts):
            time.sleep(seconds / threads)
            return np.zeros((len(texts), 2))

        return answer

    return load


def killed(settings):
    """Answers its first text, and is killed at the next one."""
    answered = []

    def answer(texts):
        if answered:
            os.kill(os.getpid(), signal.SIGKILL)
        answered.append(texts)
        return np.zeros((len(texts), 2))

    return lambda threads: answer


def leaving(settings):
    print("the last words", file=sys.stderr, flush=True)
    os._exit(3)


def stuck(settings):
    time.sleep(60)


def not_finite(settings):
    return lambda threads: lambda texts: np.full((len(texts), 2), np.nan)


def too_few(settings):
    return lambda threads: lambda texts: np.zeros((1, 2))


def without_package(settings):
    import a_package_that_is_not_installed  # noqa: F401


server.RUNTIMES = {
    "torch": sleeping,
    "killed": killed,
    "leaving": leaving,
    "stuck": stuck,
    "not_finite": not_finite,
    "too_few": too_few,
    "without_package": without_package,
}
server.main()
