"""A process that has the packages of steps imported, and forks itself for each step.

A step then starts without importing them again. The workflow starts one server for each run on this machine
(`start_server`); steps ask it by `shallower.steps.client`. Nothing of the project is imported by the server, so that
each step takes the code as it is. It needs Linux and os.pidfd_open: elsewhere, and until it answers, steps start as
usual.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn

# Imported once. What a step needs besides, it imports itself.
PACKAGES = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "matplotlib.pyplot",
    "tokenizers",
    "sklearn.linear_model",
    "datasets",
    "evaluate",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "altair",
    "jinja2",
    "pydantic",
    "threadpoolctl",
)
# Libraries read these when they are loaded, and the server loads them for steps with one thread.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# Linux takes no longer name of a socket.
LONGEST_ADDRESS = 100
# Standard input, output and error, which a step has from its client.
STREAMS = (0, 1, 2)
# How long a client may take to send its step.
SECONDS_TO_ASK = 60
# What an interpreter does at its start on the signals that a step may be started to ignore.
HANDLERS: Mapping[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
PR_SET_PDEATHSIG = 1


def start_server(prefix: str, packages: Iterable[str] = PACKAGES) -> str | None:
    """Start a server that ends with this process, and return its address: a socket, which is there once it answers.

    `prefix` are the shell commands by which all steps get their environment. None where there can be no server.
    """
    folder = Path(tempfile.mkdtemp(prefix="shallower-"))  # for this user alone
    address = str(folder / "steps")
    if sys.platform != "linux" or len(os.fsencode(address)) > LONGEST_ADDRESS:
        folder.rmdir()
        return None
    command = prefix + 'exec python -u "$0" "$@"'
    # The server ends when nobody holds the other end of its standard input any more.
    process = subprocess.Popen(
        ["bash", "-c", command, __file__, address, *packages],
        stdin=subprocess.PIPE,
        env=os.environ | dict.fromkeys(THREADS, "1"),
    )
    atexit.register(_stop, process, Path(address))
    return address


def _stop(process: "subprocess.Popen[bytes]", address: Path) -> None:
    assert process.stdin
    has_served = address.exists()
    process.stdin.close()
    if not has_served:  # still importing packages, for nobody
        process.kill()  # a shell may lose SIGTERM where it replaces itself by the server
    process.wait()
    # What a server leaves that was killed.
    shutil.rmtree(address.parent, ignore_errors=True)


class Server:
    """Takes steps from clients, and forks a process for each."""

    def __init__(self, address: Path) -> None:
        self._address = address
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        # Under its own name only when it answers.
        hidden = address.with_name("starting")
        self._listener.bind(str(hidden))
        self._listener.listen(100)
        hidden.rename(address)
        # By connection: the process that was forked for it, and a descriptor of that process.
        self._steps: dict[socket.socket, tuple[int, int]] = {}
        self._watch(self._listener, self._accept)
        self._watch(sys.stdin, self._close)

    def wait(self) -> Mapping[str, Any] | None:
        """Serve until standard input and all steps have ended; in a process that is forked for a step, return it."""
        while self._selector.get_map():
            for key, _ in self._selector.select():
                # What an earlier event of this round has ended is not watched any more.
                if key.fd in self._selector.get_map() and (step := key.data()) is not None:
                    return step
        return None

    def _watch(self, file: Any, act: Callable[[], Mapping[str, Any] | None]) -> None:
        self._selector.register(file, selectors.EVENT_READ, act)

    def _accept(self) -> Mapping[str, Any] | None:
        """Start a client's step. A client that hears of no process starts an interpreter instead."""
        # The client may have ended, and there may be no further process or open file.
        with ExitStack() as unless_started, ExitStack() as received, suppress(OSError, ValueError):
            connection, _ = self._listener.accept()
            unless_started.callback(connection.close)
            connection.settimeout(SECONDS_TO_ASK)
            _, descriptors, _, _ = socket.recv_fds(connection, 1, len(STREAMS))
            for descriptor in descriptors:
                received.callback(os.close, descriptor)
            with connection.makefile(encoding="utf-8", errors="surrogateescape") as request:
                step = json.loads(request.readline())
            if len(descriptors) < len(STREAMS):
                return None
            if not (process := self._fork(connection)):
                for stream, descriptor in zip(STREAMS, descriptors, strict=True):
                    os.dup2(descriptor, stream)
                return step
            unless_started.pop_all()
            self._send(connection, process)
        return None

    def _fork(self, connection: socket.socket) -> int:
        """Fork, and watch the new process and its client; returns the process, or 0 in it.

        Raises OSError, and leaves no process, when there can be no further one or it cannot be watched.
        """
        waiting, starting = socket.socketpair()
        with waiting, starting, ExitStack() as unless_watched:
            if not (process := os.fork()):
                starting.close()
                # Nothing of the step is done before it is sure that the client hears of this process.
                if not waiting.recv(1):
                    os._exit(1)
                self._forget_all()
                return 0
            unless_watched.callback(os.waitpid, process, 0)
            unless_watched.callback(os.kill, process, signal.SIGKILL)
            handle = os.pidfd_open(process)
            unless_watched.callback(os.close, handle)
            self._watch(handle, lambda: self._finish(connection))
            unless_watched.callback(self._selector.unregister, handle)
            self._watch(connection, lambda: self._abandon(connection))
            self._steps[connection] = process, handle
            unless_watched.pop_all()
            starting.sendall(b"+")
            return process

    def _finish(self, connection: socket.socket) -> None:
        """Tell a client how its step ended."""
        process, handle = self._steps.pop(connection)
        _, status = os.waitpid(process, 0)
        self._selector.unregister(handle)
        with suppress(KeyError):  # of a client that was killed
            self._selector.unregister(connection)
        os.close(handle)
        self._send(connection, os.waitstatus_to_exitcode(status))
        connection.close()

    def _abandon(self, connection: socket.socket) -> None:
        """End a step whose client was killed."""
        process, _ = self._steps[connection]
        os.kill(process, signal.SIGKILL)
        self._selector.unregister(connection)

    def _close(self) -> None:
        """Take no more steps: nobody waits for them."""
        self._selector.unregister(sys.stdin)
        self._selector.unregister(self._listener)
        self._listener.close()
        shutil.rmtree(self._address.parent, ignore_errors=True)

    def _send(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):  # a client that has ended is seen by its connection
            connection.sendall(f"{number}\n".encode())

    def _forget_all(self) -> None:
        self._selector.close()
        self._listener.close()
        for connection, (_, handle) in self._steps.items():
            connection.close()
            os.close(handle)


def run(step: Mapping[str, Any], server: int) -> NoReturn:
    """Be the process of a step that a server has forked: its script, with its arguments, folder and environment."""
    # If the server is killed, so is the step: its client, too, takes it for ended.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # killed before
        os._exit(1)
    for number, handler in HANDLERS.items():
        signal.signal(number, signal.SIG_IGN if number in step["ignored_signals"] else handler)
    os.chdir(step["folder"])
    os.environ.clear()
    os.environ.update(step["environment"])
    script = step["arguments"][0]
    sys.argv = step["arguments"]
    sys.path[0] = str(Path(script).resolve().parent)
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    # A list has the threads of each level of nesting.
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if (threads := int(first) if first.isdigit() else 1) > 1:
        importlib.import_module("threadpoolctl").threadpool_limits(threads)
    status = 1
    try:
        runpy.run_path(script, run_name="__main__")
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # What an interpreter does at its end, but for taking down each module.
        with suppress(BrokenPipeError):
            atexit._run_exitfuncs()
            sys.stdout.flush()
        os._exit(status)


def main(address: Path, packages: Iterable[str]) -> None:
    """Import the packages, and serve; where this process cannot watch others, end at once."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # Python, or the kernel, is too old
        return
    # Steps may come from another folder than the one that started the server.
    sys.path[1:] = [path for path in sys.path[1:] if path not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    for number in HANDLERS:  # it ends after its steps, which may have something to save
        signal.signal(number, signal.SIG_IGN)
    for package in packages:
        # A step that needs it says what is wrong.
        with suppress(ImportError):
            importlib.import_module(package)
    # Objects of packages stay in the memory that all steps share.
    gc.collect()
    gc.freeze()
    server = os.getpid()
    if (step := Server(address).wait()) is not None:
        run(step, server)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
