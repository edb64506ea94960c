"""Answer the study in tables: results.csv, comparisons and costs in, tables and the answer page out."""

import argparse
from pathlib import Path

from shallower.core.cli import add_test_argument, json_argument, run_step
from shallower.core.errors import UserError
from shallower.core.files import write_text
from shallower.core.tables import read_table, write_table
from shallower.evaluation.estimates import Scores
from shallower.reporting.answer import answer_page, summary_page
from shallower.reporting.summary import droppable, read_comparisons, read_costs, summarise


def main(arguments: argparse.Namespace) -> None:
    comparisons = read_comparisons(read_table(arguments.runs))
    if not comparisons:
        raise UserError(f"{arguments.runs}: only baselines; a study needs a strategy to compare with them")
    confidence = next(iter(comparisons.values()))["confidence"]
    costs = read_costs(arguments.costs)
    summary = summarise(read_table(arguments.results), comparisons, costs)
    folder = arguments.output_dir
    write_table(folder / "summary.csv", summary)
    write_table(folder / "droppable.csv", droppable(summary, arguments.tolerances))
    test = Scores.read(*arguments.test) if arguments.test else None
    answer = answer_page(summary, arguments.tolerances, confidence, costs, test)
    write_text(folder / "answer.html", answer)
    write_text(folder / "summary.html", summary_page(summary, confidence))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results.csv")
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv; comparisons lie next to its runs")
    parser.add_argument("--costs", type=Path, nargs="*", default=[], help="cost.json of each model, in its folder")
    add_test_argument(parser)
    parser.add_argument("--tolerances", type=json_argument, required=True, help="JSON list, percent of the baseline")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
