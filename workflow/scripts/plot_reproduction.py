"""Draw one of the paper's figures with our numbers and the paper's: {item}.csv in, PNG and SVG out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.paper.figures import DRAWINGS, draw
from shallower.paper.frames import read_frame
from shallower.reporting.figures import save


def main(arguments: argparse.Namespace) -> None:
    save(draw(arguments.item, read_frame(arguments.frame)), arguments.output_dir / arguments.item)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--item", choices=DRAWINGS, required=True)
    parser.add_argument("--frame", type=Path, required=True, help="{item}.csv")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
