"""What every script does besides its work: parse arguments, log, and report a user's mistake without a traceback."""

import argparse
import json
import logging
import os
import re
import resource
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from shallower.core.environment import STARTED_BY
from shallower.core.errors import REMEDIES, UserError, system_error_text
from shallower.core.signals import Interrupted, ignore_signals, raise_interrupted


def json_argument(text: str) -> Any:
    """Type of a command-line argument that holds JSON, such as a settings mapping."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from None


def named_folder(text: str) -> tuple[str, Path]:
    """Type of a command-line argument that is a name and a folder."""
    name, sign, folder = text.partition("=")
    if not (name and sign and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(folder)


def add_compute_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of steps that compute with torch: --device and --threads."""
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")


def add_test_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option of steps that show scores on test examples."""
    parser.add_argument(
        "--test",
        type=Path,
        nargs="*",
        default=[],
        help="test-results.csv and test-resamples.parquet, where there are any",
    )


def add_tested_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option of steps that show scores of variants on test examples."""
    parser.add_argument(
        "--tested", type=Path, nargs="*", default=[], help="test-evaluated.json of each model and task that has any"
    )


def run_step(parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], None]) -> None:
    """Run one step of the pipeline, logging to standard error; in the workflow, at last its time and memory.

    Ends with one message and exit status 1 on a UserError or an error of the system such as a full disk, and with one
    message and 128 + signal when interrupted. Other exceptions are bugs and keep their traceback.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    arguments = parser.parse_args()
    raise_interrupted()
    start = time.perf_counter()
    try:
        main(arguments)
        sys.stdout.flush()
        ignore_signals()
        if STARTED_BY in os.environ:
            seconds = time.perf_counter() - start
            logging.info("%s: %.1f s, peak memory %.0f MB", parser.prog, seconds, peak_memory() / 1e6)
    except UserError as error:
        _end(f"error: {error}", 1)
    except Interrupted as interruption:
        _end(str(interruption), 128 + interruption.number)
    except BrokenPipeError:
        if not _has_lost_its_reader(sys.stdout.fileno()):
            raise
        # It has what it wanted, such as `head`. Without this Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        _end(f"error: {system_error_text(error)}", 1)


def _has_lost_its_reader(descriptor: int) -> bool:
    """Whether the process at the other end of a pipe has ended or closed it."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def peak_memory() -> int:
    """The most memory that this process has held, in bytes; with the packages that it shares with other steps."""
    with suppress(OSError):
        # What getrusage says on Linux includes the process that this one was started from.
        found = re.search(
            r"^VmHWM:\s*([0-9]+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE
        )
        if found:
            return int(found[1]) * 1024
    # In kilobytes but for macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _end(message: str, exit_status: int) -> NoReturn:
    ignore_signals()
    # The reader of standard error may have ended before this process.
    with suppress(BrokenPipeError):
        print(message, file=sys.stderr, flush=True)
    sys.exit(exit_status)
