"""How long each step of the pipeline takes to start, and which large packages it loads.

`python benchmarks/measure_start_up.py` starts every script with --help, in turns, and writes results/start_up.csv
and the table in README.md.
`python benchmarks/measure_start_up.py -- python workflow/scripts/finetune.py ...` runs that one command instead and
tells when each line of its log came: how long it was until the first step of a training, and what that was made of.
Needs PYTHONPATH=workflow, as `make benchmark-start-up` sets it.
"""

import argparse
import csv
import io
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contest import RESULTS, ROOT, SCRIPTS, machine
from shallower.core.files import write_text
from write_readme import write_readme

HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "sklearn",
    "scipy",
    "matplotlib",
    "altair",
    "pandas",
    "pyarrow",
    "pydantic",
    "numpy",
)
SEED = 0

# Starts the script named first as a step is started, and says afterwards what it has loaded.
_LOADED = """
import json, runpy, sys
try:
    runpy.run_path(sys.argv[1], run_name="__main__")
except SystemExit:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@dataclass(frozen=True)
class Start:
    """One start of a script: time on the clock, and processor time of all its threads, in seconds."""

    seconds: float
    cpu_seconds: float


def environment() -> dict[str, str]:
    """The variables that the workflow sets for its steps."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **offline, "PYTHONPATH": str(ROOT / "workflow"), "MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1"}


def start(script: Path) -> Start:
    """Start a script with --help, which ends it once all it imports is loaded."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, str(script), "--help"], env=environment(), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{script} --help ended with {process.returncode}")
    return Start(time.perf_counter() - begun, used.ru_utime + used.ru_stime)


def loaded_packages(script: Path) -> list[str]:
    """The packages of `HEAVY` that a script has loaded by the time it reads its arguments."""
    command = [sys.executable, "-c", _LOADED, str(script), "--help"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script} --help ended with {done.returncode}:\n{done.stderr}")
    loaded = json.loads(done.stderr.splitlines()[-1])
    return [package for package in HEAVY if package in loaded]


def measure(scripts: Sequence[Path], rounds: int) -> list[dict[str, Any]]:
    """One row a script; all take turns in random order in each round, so that a busy moment meets them all alike."""
    packages = {script: loaded_packages(script) for script in scripts}  # also fills the caches of files
    starts: dict[Path, list[Start]] = {script: [] for script in scripts}
    order = random.Random(SEED)
    for _ in range(rounds):
        for script in order.sample(scripts, len(scripts)):
            starts[script].append(start(script))
    rows = [summary(script.stem, starts[script], packages[script]) for script in scripts]
    return sorted(rows, key=lambda row: row["seconds"])


def summary(step: str, starts: Sequence[Start], packages: Sequence[str]) -> dict[str, Any]:
    """A row of start_up.csv: median, lowest and highest time of some starts."""
    seconds = [one.seconds for one in starts]
    return {
        "step": step,
        "seconds": round(statistics.median(seconds), 3),
        "lowest": round(min(seconds), 3),
        "highest": round(max(seconds), 3),
        "cpu_seconds": round(statistics.median(one.cpu_seconds for one in starts), 3),
        "starts": len(starts),
        "packages": " ".join(packages),
    }


def log_times(command: Sequence[str]) -> Iterator[tuple[float, str]]:
    """Run a command; each line that it writes, with the seconds from the command's start until the line came.

    Taken here and not from the lines' own time stamps, which are of whole seconds. Ends with a line of its own.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            yield time.perf_counter() - begun, line.rstrip("\n")
    yield time.perf_counter() - begun, f"ended with {process.returncode}"


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main(arguments: argparse.Namespace) -> None:
    if arguments.command:
        for seconds, line in log_times(arguments.command):
            print(f"{seconds:8.2f} s  {line}", flush=True)
        return
    scripts = sorted(SCRIPTS.glob("*.py"))
    if arguments.steps:
        scripts = [script for script in scripts if script.stem in arguments.steps]
    rows = measure(scripts, arguments.rounds)
    where = machine("cpu")
    write_text(arguments.results / "start_up.csv", as_csv([row | where for row in rows]))
    write_readme(arguments.results)
    for row in rows:
        print(
            f"{row['step']:24} {row['seconds']:6.2f} s ({row['lowest']:.2f} to {row['highest']:.2f}), "
            f"{row['cpu_seconds']:5.2f} s of CPU  {row['packages']}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="starts of each script")
    names = sorted(path.stem for path in SCRIPTS.glob("*.py"))
    parser.add_argument("--steps", nargs="+", choices=names, metavar="STEP", help="only these scripts")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table to write")
    parser.add_argument("command", nargs="*", metavar="-- COMMAND", help="time the log lines of this command instead")
    main(parser.parse_args())
