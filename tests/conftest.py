"""What all tests share."""

import compileall
import os
import signal
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C, and let child processes hear it, also where the tests are started in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Steps start hundreds of times, from copies of the code: byte code is made once, and copied with it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(__file__).parents[1] / "workflow", quiet=1)
    # Tests run side by side: threads of torch would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What `make test ARGUMENTS=...` was given is not meant for the make that a test runs.
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGUMENTS"):
        os.environ.pop(name, None)
