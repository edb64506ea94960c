"""Draw one model on one task by layers kept: summary, results, scores of subsets and budget in, PNG and SVG out."""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.tables import rows_about
from shallower.reporting.budget import recommended_arm
from shallower.reporting.figures import save
from shallower.reporting.subset_figures import read_subsets, score_by_depth


def main(arguments: argparse.Namespace) -> None:
    summary, results = (
        rows_about(path, arguments.model, arguments.task) for path in (arguments.summary, arguments.results)
    )
    recommended = None
    if arguments.recommended:
        recommended = recommended_arm(rows_about(arguments.recommended, arguments.model, arguments.task))
    figure = score_by_depth(summary, results, read_subsets(arguments.subsets), arguments.budget, recommended)
    save(figure, arguments.output_dir / "score-by-depth")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv")
    parser.add_argument("--results", type=Path, required=True, help="results.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", required=True)
    subsets = ("ORIGIN", "FILE")
    parser.add_argument("--subsets", nargs=2, action="append", default=[], metavar=subsets, help="may be repeated")
    parser.add_argument("--budget", type=json_argument, help="JSON: limits, as the study names them")
    parser.add_argument("--recommended", type=Path, help="recommended.csv, where the study has a budget")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
