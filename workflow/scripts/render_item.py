"""Show one item of the paper: its comparison frame in, a page with the table out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import write_text
from shallower.paper.frames import read_frame
from shallower.paper.items import TABLES
from shallower.paper.page import item_page


def main(arguments: argparse.Namespace) -> None:
    text = item_page(arguments.item, read_frame(arguments.frame), arguments.confidence)
    write_text(arguments.output, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--item", required=True, choices=TABLES)
    parser.add_argument("--frame", type=Path, required=True, help="{item}.csv")
    parser.add_argument("--confidence", type=float, default=0.95, help="level of the intervals, 0 to 1")
    parser.add_argument("--output", type=Path, required=True, help="{item}.html")
    run_step(parser, main)
