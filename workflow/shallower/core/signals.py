"""Graceful shutdown on SIGINT, SIGTERM and SIGHUP, or when the parent process exits.

These come from Ctrl-C, a closed terminal, or a scheduler (time limit, cancellation, preemption). A step ends at once
and removes its temporary files. A training first finishes its optimizer step and writes a checkpoint to resume from.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from shallower.core.environment import STARTED_BY

# Sent by Ctrl-C, by schedulers and kill, and by a terminal that closes.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Signals that follow the first one sooner are the same request: srun forwards what SLURM sends to the step itself.
REPEAT_SECONDS = 2.0
_interrupted = threading.Event()


class Interrupted(KeyboardInterrupt):
    """This process was asked to end by the signal `number`. The message says what was `saved`, if anything.

    A KeyboardInterrupt, so that no `except Exception` of a library catches it.
    """

    def __init__(self, number: int, saved: str = "") -> None:
        self.number = number
        super().__init__(f"stopped by {signal.Signals(number).name}" + (f": {saved}" if saved else ""))


def raise_interrupted() -> None:
    """From now on, raise Interrupted on the signals that end a process, except those it was started to ignore."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _raise)


def ignore_signals() -> None:
    """From now on, ignore the signals that end a process: it is ending, and what it still does must not be disturbed.

    Ctrl-C comes twice, from the terminal and from the workflow, and the second may arrive at any time.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def noting_interruptions(environment: Mapping[str, str] = os.environ) -> Iterator[Callable[[], int | None]]:
    """While the block runs, only record signals; yields a function that returns the pending signal, if any.

    A second signal, some seconds later, raises Interrupted at once. The end of the process that waits for this one
    counts as SIGHUP: nobody would record the result, and the next run may start the same work. Signals reach only the
    main thread; in others nothing is recorded.
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
    except Interrupted:
        before = dict.fromkeys(before, signal.SIG_IGN)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def pass_on_interrupts() -> None:
    """For the workflow itself: from now on, forward SIGINT and SIGHUP to every running step.

    A terminal signals all processes, but `kill -INT` and the stop button of many tools signal Snakemake alone: it would
    wait for the running steps to finish, and then discard their results. SIGHUP would kill it with its folder locked.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _pass_on)


def note_interrupts() -> None:
    """For a workflow whose steps run elsewhere: from now on, only remember SIGINT, besides what it does anyway."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _note)


def was_interrupted() -> bool:
    """Whether the workflow has had a signal that it forwards or notes."""
    return _interrupted.is_set()


def _pass_on(number: int, frame: FrameType | None) -> None:
    import psutil  # a dependency of Snakemake, which steps do not need

    _interrupted.set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.send_signal(number)
    signal.default_int_handler(number, frame)


def _note(number: int, frame: FrameType | None) -> None:
    _interrupted.set()
    signal.default_int_handler(number, frame)


def _raise(number: int, frame: FrameType | None) -> None:
    ignore_signals()
    raise Interrupted(number)


def is_alive(process: int) -> bool:
    """Whether a process of this machine is running."""
    try:
        os.kill(process, 0)
        # A zombie, which has ended but was not waited for, still accepts signals. Only Linux shows its state.
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2][:1] not in b"ZX"
    except ProcessLookupError:
        return False
    except (FileNotFoundError, PermissionError):
        return True
