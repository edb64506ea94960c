"""Write the resolved study, all defaults filled in, as study.json: what later steps read it from."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import read_json, write_json


def main(arguments: argparse.Namespace) -> None:
    write_json(arguments.output, read_json(arguments.study))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="JSON: the study, defaults filled in")
    parser.add_argument("--output", type=Path, required=True, help="study.json")
    run_step(parser, main)
