"""Writes what a Python process spends its processor time on: a line every 20 ms, in a file named by the process.

`measure_overhead.py` puts it into a copy of the library as sitecustomize.py, which every interpreter imports first; a
process that is forked samples itself. A line has the processor seconds since the line before, and the functions that
the main thread is in, from the outermost.
"""

import atexit
import os
import sys
import threading
import time
from types import FrameType

FOLDER = os.environ.get("SHALLOWER_SAMPLES")
INTERVAL = 0.02
# Parts of a file's path that are written: enough to know the package by.
PARTS = 3


def stack(frame: FrameType | None) -> str:
    """The functions that a frame is in, from the outermost, as file:function."""
    found = []
    while frame is not None:
        code = frame.f_code
        found.append(f"{'/'.join(code.co_filename.rsplit('/', PARTS)[-PARTS:])}:{code.co_name}")
        frame = frame.f_back
    return ";".join(reversed(found))


def sample() -> None:
    """Write lines until the process ends."""
    process, main, last = os.getpid(), threading.main_thread().ident, time.process_time()
    file = os.open(f"{FOLDER}/{process}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write() -> None:
        nonlocal last
        if os.getpid() != process:  # a fork, at its end: it has a sampler of its own
            return
        now, frame = time.process_time(), sys._current_frames().get(main or 0)
        os.write(file, f"{now - last:.4f}\t{stack(frame)}\n".encode(errors="replace"))
        last = now

    atexit.register(write)
    while True:
        time.sleep(INTERVAL)
        write()


def begin() -> None:
    """Sample this process."""
    threading.Thread(target=sample, daemon=True).start()


if FOLDER:
    begin()
    os.register_at_fork(after_in_child=begin)
