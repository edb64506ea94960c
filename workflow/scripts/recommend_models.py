"""Recommend a model for each model and task: summary, results, resamples and variants in, recommended.csv out."""

import argparse
import logging
from pathlib import Path

from shallower.core.cli import add_test_argument, add_tested_argument, json_argument, run_step
from shallower.core.errors import UserError
from shallower.core.tables import read_table, write_table
from shallower.evaluation.estimates import Scores
from shallower.reporting.recommended import recommended_table
from shallower.reporting.variants import read_test_scores

logger = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    if not arguments.budget:
        raise UserError("the study has no budget to recommend a model within; add one, as docs/budget.md says")
    scores = Scores.read(arguments.results, arguments.resamples)
    test = read_test_scores(arguments.test, arguments.tested)
    variants = read_table(arguments.variants) if arguments.variants else None
    table = recommended_table(
        read_table(arguments.summary), scores, arguments.budget, arguments.confidence, test, variants
    )
    for row in table.to_dict("records"):
        logger.info("%s on %s: %s", row["model"], row["task"], row["sentence"])
        if on_test := row.get("test_sentence"):
            logger.info("%s on %s: %s", row["model"], row["task"], on_test)
    write_table(arguments.output, table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv")
    parser.add_argument("--results", type=Path, required=True, help="results.csv")
    parser.add_argument("--resamples", type=Path, required=True, help="resamples.parquet")
    add_test_argument(parser)
    parser.add_argument("--variants", type=Path, nargs="?", help="variants.csv, where variants were measured")
    add_tested_argument(parser)
    parser.add_argument("--budget", type=json_argument, required=True, help="JSON: limits, as the study names them")
    parser.add_argument("--confidence", type=float, required=True, help="level of the intervals, 0 to 1")
    parser.add_argument("--output", type=Path, required=True, help="recommended.csv")
    run_step(parser, main)
