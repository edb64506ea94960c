"""Being told to stop: by Ctrl-C, by a scheduler (time limit, cancelling, preemption), or by the workflow's death.

A step ends at once, clearing half files away. A training ends after its step, with a checkpoint to go on from.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

# Ctrl-C, the schedulers' and kill's way of asking, and the end of a terminal's session.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Signals that come sooner after the first are the same request: srun passes on what SLURM has sent to the step already.
REPEAT_SECONDS = 2.0
# How the workflow tells a step which process waits for it.
STARTED_BY = "STARTED_BY"


class Interrupted(KeyboardInterrupt):
    """The process was asked to end, by the signal `number`. The text says, after a colon, what was saved, if any."""

    def __init__(self, number: int, saved: str = "") -> None:
        self.number = number
        super().__init__(f"stopped by {signal.Signals(number).name}" + (f": {saved}" if saved else ""))


def raise_interrupted() -> None:
    """From now on, whatever asks this process to end raises Interrupted. What it was started to ignore, it ignores."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _raise)


@contextmanager
def noting_interruptions(environment: Mapping[str, str] = os.environ) -> Iterator[Callable[[], int | None]]:
    """While the block runs, only note that the process is asked to end; gives what tells the signal, if any.

    A second request, some seconds later, raises Interrupted at once. The end of the process that waits for this one
    counts as SIGHUP: nobody would take note of the result, and the next run may start the same work. In other threads
    than the main one, which alone get signals, nothing is noted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    noted: list[tuple[int, float]] = []
    waiting = int(environment.get(STARTED_BY, "0"))
    watched = waiting and is_alive(waiting)

    def note(number: int, frame: FrameType | None) -> None:
        if noted and time.monotonic() - noted[0][1] > REPEAT_SECONDS:
            _raise(number, frame)
        noted.append((number, time.monotonic()))

    def asked() -> int | None:
        if noted:
            return noted[0][0]
        return signal.SIGHUP if watched and not is_alive(waiting) else None

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def pass_on_interrupts() -> None:
    """For the workflow itself: from now on, Ctrl-C and the end of the terminal's session reach every step at work.

    A terminal tells all processes by itself, but `kill -INT` and the stop button of many a tool do not: Snakemake would
    wait for the steps at work to finish, and then take no note of their results. The end of a session would kill it
    with its folder locked.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _pass_on)


def _pass_on(number: int, frame: FrameType | None) -> None:
    import psutil  # comes with Snakemake; steps do without

    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.send_signal(number)
    signal.default_int_handler(number, frame)


def _raise(number: int, frame: FrameType | None) -> None:
    # Nothing is to disturb the clearing away: Ctrl-C reaches a process from the terminal and from the workflow.
    for further in SIGNALS:
        signal.signal(further, signal.SIG_IGN)
    raise Interrupted(number)


def is_alive(process: int) -> bool:
    """Whether a process of this machine is there and has not ended."""
    try:
        os.kill(process, 0)
        # One that has ended, but whose parent did not ask yet how, still takes signals. Only Linux tells.
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2][:1] not in b"ZX"
    except ProcessLookupError:
        return False
    except (FileNotFoundError, PermissionError):
        return True
