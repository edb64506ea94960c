"""Present judged strategies: their tables in; figures, a page and a section of the report out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import write_text
from shallower.core.tables import read_table
from shallower.oracle.figures import draw
from shallower.oracle.names import FIGURES
from shallower.oracle.page import oracle_page, oracle_section
from shallower.reporting.figures import save


def main(arguments: argparse.Namespace) -> None:
    tables = {path.stem: read_table(path) for path in arguments.tables}
    for name in FIGURES:
        save(draw(name, tables), arguments.output_dir / name)
    figures = {name: arguments.output_dir / f"{name}.svg" for name in FIGURES}
    write_text(arguments.output_dir / "oracle.html", oracle_page(tables, figures, arguments.confidence))
    oracle_section(tables, figures, arguments.confidence).write(arguments.output_dir / "section.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSV files of judge_strategies")
    parser.add_argument("--confidence", type=float, required=True, help="level of the intervals, 0 to 1")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
