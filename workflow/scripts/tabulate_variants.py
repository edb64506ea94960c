"""What each variant of the candidates scores and costs: scores and serving.json files in, variants.csv out."""

import argparse
from pathlib import Path

from shallower.core.cli import add_test_argument, add_tested_argument, run_step
from shallower.core.tables import write_table
from shallower.evaluation.estimates import Scores
from shallower.reporting.variants import add_variants, made_folders, read_serving, read_test_scores, variants_table


def main(arguments: argparse.Namespace) -> None:
    scores = add_variants(Scores.read(arguments.results, arguments.resamples), made_folders(arguments.evaluated))
    test = read_test_scores(arguments.test, arguments.tested)
    table = variants_table(scores, read_serving(arguments.serving), arguments.confidence, test)
    write_table(arguments.output, table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results.csv")
    parser.add_argument("--resamples", type=Path, required=True, help="resamples.parquet")
    parser.add_argument(
        "--evaluated", type=Path, nargs="+", required=True, help="evaluated.json of each model and task"
    )
    add_test_argument(parser)
    add_tested_argument(parser)
    parser.add_argument("--serving", type=Path, nargs="+", required=True, help="serving.json of each model and task")
    parser.add_argument("--confidence", type=float, required=True, help="level of the intervals, 0 to 1")
    parser.add_argument("--output", type=Path, required=True, help="variants.csv")
    run_step(parser, main)
