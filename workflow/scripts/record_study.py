"""Record what made a study: study.json, runs.csv and manifests in; provenance.json and SHA256SUMS of its folder out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.integrity.record import record_study
from shallower.study.study import Study

LIBRARY = Path(__file__).resolve().parents[1]


def main(arguments: argparse.Namespace) -> None:
    record_study(arguments.results_dir, Study.read(arguments.study).config, arguments.models, arguments.tasks, LIBRARY)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results-dir", type=Path, required=True, help="folder of the finished study")
    parser.add_argument("--study", type=Path, required=True, help="study.json")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="manifest.json of each imported model")
    parser.add_argument("--tasks", type=Path, nargs="+", required=True, help="manifest.json of each task")
    run_step(parser, main)
