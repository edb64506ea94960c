"""Verify a finished study: its folder in; one line out, or all that is wrong and exit code 1."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import read_json
from shallower.integrity.record import RECORD
from shallower.integrity.verify import verify


def main(arguments: argparse.Namespace) -> None:
    resources_dir = arguments.resources_dir if arguments.resources_dir.is_dir() else None
    count = verify(arguments.results_dir, resources_dir)
    name = read_json(arguments.results_dir / RECORD)["study"]["study"]
    unchecked = "" if resources_dir else f"; no folder {arguments.resources_dir}, so models and data were not checked"
    print(f"Study {name}: {count} files verified, all checksums match{unchecked}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results-dir", type=Path, required=True, help="folder of the finished study")
    parser.add_argument("--resources-dir", type=Path, default=Path("resources"), help="its models, tasks and tokens")
    run_step(parser, main)
