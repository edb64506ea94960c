"""Weights that come only as a pickle, converted to safetensors where a study says `pickled_weights: convert`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from shallower.core.errors import UserError
from shallower.sources import pickle_converter

PICKLE = "pytorch_model.bin"
MOST_SECONDS = 3600
# What the converter's process keeps of the environment: where programs and libraries are. No token, no proxy.
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")


def convert_pickle(pickle: Path, target: Path) -> None:
    """Convert a pickle of tensors to a safetensors file, in a process that can do little else.

    Its limits are those of `shallower.sources.pickle_converter`. Raises UserError, and leaves no target, when the
    pickle holds more than plain tensors, is damaged, or needs too much memory or time.
    """
    if problem := _run(pickle.resolve(), target.resolve()):
        target.unlink(missing_ok=True)
        raise UserError(
            f"{pickle.name} {problem}; it is not converted: choose a revision with model.safetensors, or another model"
        )


def _run(pickle: Path, target: Path) -> str | None:
    """What is wrong with the pickle, to follow its name; None when it is converted."""
    program = [sys.executable, "-I", "-W", "ignore", pickle_converter.__file__, str(pickle), str(target)]
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    try:
        done = subprocess.run(
            program,
            env=environment | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
            cwd=target.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"takes longer than {MOST_SECONDS} seconds to read"
    if done.returncode == pickle_converter.REFUSED:
        return _last_line(done.stdout)
    if done.returncode < 0:
        return f"ended the process that read it ({signal.Signals(-done.returncode).name})"
    return f"could not be converted ({_last_line(done.stderr)})" if done.returncode else None


def _last_line(text: str) -> str:
    """The last line of a process's output, short and printable."""
    line = next(iter(reversed(text.strip().splitlines())), "no message")
    return "".join(character for character in line if character.isprintable())[:400]
