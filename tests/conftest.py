"""What all tests share."""

import os
import signal


def pytest_configure() -> None:
    """Hear Ctrl-C, and let child processes hear it, also where the tests are started in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Tests run side by side: threads of torch would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What `make test ARGUMENTS=...` was given is not meant for the make that a test runs.
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGUMENTS"):
        os.environ.pop(name, None)
