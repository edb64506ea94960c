"""Record what made a study: study.json and all files that it leads to in; provenance.json and SHA256SUMS out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.integrity.record import record_study
from shallower.study.study import Study

LIBRARY = Path(__file__).resolve().parents[1]


def main(arguments: argparse.Namespace) -> None:
    record_study(Study.read(arguments.study), LIBRARY)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study.json")
    run_step(parser, main)
