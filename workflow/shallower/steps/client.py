"""Asks the server of steps for a step, and ends as the step ends: `client.py ADDRESS SCRIPT ARGUMENTS`.

Run by its path, with `-ISE`: it imports little, since its start is what the start of a step costs.
"""

import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(address: str, arguments: list[str]) -> None:
    """Run a script by the server; where none answers, or it can start no process, by a new interpreter."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        start_interpreter(arguments)
    step = {
        "arguments": arguments,
        "folder": os.getcwd(),  # noqa: PTH109  # pathlib takes as long to import as all else
        "environment": dict(os.environ),
        "ignored_signals": [number for number in SIGNALS if signal.getsignal(number) == signal.SIG_IGN],
    }
    # A signal that arrives before the step's process is known waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    # Bytes that are no text, in names of files, go through as Python reads them.
    request = json.dumps(step).encode() + b"\n"
    answers = connection.makefile()
    try:
        socket.send_fds(connection, [b"+"], [0, 1, 2])
        connection.sendall(request)
        process = answers.readline()
    except OSError:
        process = ""
    if not process:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        start_interpreter(arguments)
    try:
        # A signal that arrives just before the wait ends the wait, by this pipe: else it would be heard only after it.
        heard, hear = os.pipe()
        os.set_blocking(hear, False)
        signal.set_wakeup_fd(hear)
        for number in SIGNALS:
            signal.signal(number, lambda number, frame: pass_on(int(process), number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        while heard in select.select([connection.fileno(), heard], [], [])[0]:
            os.read(heard, len(SIGNALS))
        status = answers.readline()
    except OSError:
        status = ""
    if not status:
        sys.exit("error: the process that starts steps has ended; run again")
    if int(status) < 0:  # as the signal that ended the step
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), -int(status))
    os._exit(int(status))


def pass_on(process: int, number: int) -> None:
    """Send a signal to a step that may have had it, too, and have ended."""
    with suppress(ProcessLookupError):
        os.kill(process, number)


def start_interpreter(arguments: list[str]) -> None:
    """Become a new interpreter that runs the step."""
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
