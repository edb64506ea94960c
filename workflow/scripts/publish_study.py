"""Copy what people read of a finished study into a new folder: tables, figures, report and record, without models."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.integrity.publish import publish_study


def main(arguments: argparse.Namespace) -> None:
    names = publish_study(arguments.results_dir, arguments.output_dir)
    print(f"{arguments.output_dir}: {len(names)} files and SHA256SUMS")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results-dir", type=Path, required=True, help="folder of the finished study")
    parser.add_argument("--output-dir", type=Path, required=True, help="a new folder")
    run_step(parser, main)
