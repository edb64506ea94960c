"""Dry-runs of snakemake, each in a process of its own that finds snakemake imported: half the time of a new start.

Nothing of the project is imported here, so that each dry-run takes the code of the folder that it is for.
"""

import contextlib
import io
import multiprocessing
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.pool import Pool

# What Snakemake and the Snakefile import in addition to the project's own code takes most of the time.
PRELOADED = [
    "snakemake.cli",
    "snakemake.api",
    "snakemake.report.html_reporter",
    "snakemake.storage",
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "huggingface_hub.errors",
    "huggingface_hub.file_download",
    "safetensors",
]

# A job of a dry-run: its rule, and what distinguishes it from the rule's other jobs.
Job = tuple[str, str]


@contextmanager
def dry_run_pool(processes: int) -> Iterator[Pool]:
    """A pool whose workers each do one dry-run; call it from as many threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with context.Pool(processes, maxtasksperchild=1) as pool:
        yield pool


def planned_jobs(folder: str, arguments: list[str], environment: Mapping[str, str]) -> list[Job]:
    """The jobs that snakemake would start in a folder, without the target rule.

    Raises RuntimeError with all that was printed when snakemake fails.
    """
    os.chdir(folder)
    os.environ.update(environment)
    sys.dont_write_bytecode = True
    from snakemake.cli import main

    assert "shallower" not in sys.modules
    status, text = 0, io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            main(["--dry-run", "--quiet", "host", "--nocolor", *arguments])
        except SystemExit as end:
            status = end.code
    if status:
        raise RuntimeError(text.getvalue())
    return jobs_of(text.getvalue())


def jobs_of(output: str) -> list[Job]:
    """The jobs that a dry-run's output lists, checked against the number that it states."""
    # Jobs that a cluster would get as one are indented.
    found = re.findall(r"^ *(?:local)?rule (\w+):\n(?: +.*\n)*? +output: (.*)$", output, flags=re.MULTILINE)
    total = re.search(r"^total +(\d+)$", output, flags=re.MULTILINE)
    # The target rule, which has no outputs, is not among those found; without it files were asked for.
    target_rules = len(re.findall(r"^ *(?:local)?rule all:$", output, flags=re.MULTILINE))
    stated = int(total[1]) - target_rules if total else 0
    if len(found) != stated:
        raise RuntimeError(f"{len(found)} jobs found, {stated} stated:\n{output}")
    return found
