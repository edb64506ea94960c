"""Count the test examples whose texts other examples of their task have: tables in, test-texts.json out.

It has, by task, `rows` (the number of test examples) and `repeats` (see `shallower.sources.repeats.in_others`).
"""

import argparse
import logging
from pathlib import Path

import pyarrow.parquet as pq

from shallower.core.cli import run_step
from shallower.core.files import write_json
from shallower.core.layout import TEST
from shallower.models.checksums import verified_file
from shallower.sources.repeats import in_others, num_compared

logger = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    found = {}
    for task, *paths in arguments.task:
        for path in paths:
            verified_file(path)
        tables = {Path(path).stem: pq.read_table(path) for path in paths}
        found[task] = {"rows": num_compared(tables[TEST]), "repeats": in_others(tables, TEST)}
        logger.info("%s: %s of %d test rows", task, found[task]["repeats"], found[task]["rows"])
    write_json(arguments.output, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--task", nargs="+", action="append", required=True, help="name of a task, and its tables, named by split"
    )
    parser.add_argument("--output", type=Path, required=True, help="test-texts.json")
    run_step(parser, main)
