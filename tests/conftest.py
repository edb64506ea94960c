"""What all tests share."""

import signal
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


def pytest_configure() -> None:
    """Hear Ctrl-C, and let child processes hear it, also where the tests are started in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class WorkflowInOneProcess(LoadScopeScheduling):
    """Tests of the workflow run in one process, which makes each finished study once; the others wherever is time."""

    def _split_scope(self, nodeid: str) -> str:
        return "workflow" if nodeid.startswith("tests/workflow/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How tests are shared out among several processes, as `make test` has."""
    return WorkflowInOneProcess(config, log)
