"""Starting a process that serves a variant, and asking it for answers; see `shallower.serving.server`."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Self

from shallower.core.errors import UserError
from shallower.serving import server

# The program: the library's folder is on its path, and not the working directory.
COMMAND = (sys.executable, "-P", "-m", server.__name__)
LIBRARY = Path(server.__file__).parents[2]
# A server that says nothing for so long will never answer: a turn takes seconds.
PATIENCE_SECONDS = 1800.0
# A process that has closed its pipe ends at once.
END_SECONDS = 10.0
# Environment variables for the most threads, as the libraries read them when they are loaded.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


class ServingProcess:
    """A process that serves one variant and computes nothing unless it is asked to.

    Attributes:
        name: the variant's name, for messages.
        started: what it reported when it was ready (see `shallower.serving.server.serve`).
    """

    def __init__(
        self, name: str, settings: dict[str, Any], most_threads: int, command: Sequence[str] = COMMAND
    ) -> None:
        """Start the process and wait until it has answered a first text, with the threads that `settings` say.

        `most_threads` are those that it may be asked to answer with. Raises UserError when it cannot start.
        """
        self.name = name
        self._pipe, theirs = Pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        environment = {
            **os.environ,
            **dict.fromkeys(THREADS, str(most_threads)),
            "PYTHONPATH": os.pathsep.join([str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=environment,
                pass_fds=(theirs.fileno(),),
            )
        try:
            self.started = self._ask(settings)
        except BaseException:
            self.close()
            raise

    def answer(self, batches: Sequence[Sequence[Any]], threads: int) -> dict[str, Any]:
        """Have batches answered with so many threads: seconds of each, and what else the server reports of its turn.

        Raises UserError, naming the variant, when the process fails, ends or does not answer.
        """
        return self._ask({"batches": batches, "threads": threads})

    def close(self) -> None:
        """End the process, whatever it does."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        # A process that has ended reported why before it did, or its exit status says it.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._pipe.send_bytes(json.dumps(message).encode())
        try:
            if not self._pipe.poll(PATIENCE_SECONDS):
                raise self._error(f"no answer within {PATIENCE_SECONDS:.0f} seconds")
            reply = json.loads(self._pipe.recv_bytes())
        except (EOFError, ConnectionResetError):
            raise self._error(self._end()) from None
        if "error" in reply:
            raise self._error(reply["error"])
        return reply

    def _end(self) -> str:
        """How the process ended, with the last line that it wrote."""
        try:
            status = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return "its process closed the connection"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = f"its process was ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        if status == -signal.SIGKILL:
            how += ", as happens when memory runs out"
        return f"{how} ({last})" if last else how

    def _error(self, problem: str) -> UserError:
        remedy = "run again; if it happens again, leave this variant out"
        if "No module named" in problem:
            remedy = "install that package, or leave this variant out"
        return UserError(f"serving {self.name!r} failed: {problem}; {remedy}")
