"""What all tests share."""

import compileall
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shallower.core.environment import STEPS
from shallower.steps import client
from shallower.steps.server import start_server

LIBRARY = Path(__file__).parents[1] / "workflow"
SECONDS_TO_START = 120


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C, and let child processes hear it, also where the tests are started in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Steps start hundreds of times, from copies of the code: byte code is made once, and copied with it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(LIBRARY, quiet=1)
    # Tests run side by side: threads of torch would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What `make test ARGUMENTS=...` was given is not meant for the make that a test runs.
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGUMENTS"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def warm_steps() -> dict[str, str]:
    """Environment in which the runs of all tests share one process that steps start from."""
    # As the workflow has it for all steps but downloads, which take part here by being offline, too.
    settings = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "MPLBACKEND": "Agg",
    }
    exports = " ".join(f"{name}={value}" for name, value in settings.items())
    address = start_server(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH" {exports}; ')
    assert address
    deadline = time.monotonic() + SECONDS_TO_START
    while not Path(address).exists():
        assert time.monotonic() < deadline, "the server of steps does not start"
        time.sleep(0.05)
    return {STEPS: address, "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def warm_python(warm_steps: dict[str, str]) -> list[str]:
    """What runs a script, with its arguments, in a process that has large packages imported already."""
    return [sys.executable, "-ISE", client.__file__, warm_steps[STEPS]]


@pytest.fixture(scope="session")
def step(warm_python: list[str]) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a script of the workflow in a folder, as the workflow does, to the exit status that is expected."""

    def run(script: str, *arguments: object, folder: Path, status: int = 0) -> "subprocess.CompletedProcess[str]":
        command = [*warm_python, LIBRARY / "scripts" / f"{script}.py", *arguments]
        environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
        done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return done

    return run
