"""What all tests share."""

import signal


def pytest_configure() -> None:
    """Hear Ctrl-C, and let child processes hear it, also where the tests are started in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
