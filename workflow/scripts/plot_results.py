"""Draw one model on one task: summary.csv and results.csv in, figures (PNG and SVG) out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.tables import rows_about
from shallower.reporting.figures import save, score_by_cost, score_by_layers


def main(arguments: argparse.Namespace) -> None:
    summary, results = (
        rows_about(path, arguments.model, arguments.task) for path in (arguments.summary, arguments.results)
    )
    save(score_by_layers(summary, results), arguments.output_dir / "score-by-layers")
    save(score_by_cost(summary), arguments.output_dir / "score-by-cost")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv")
    parser.add_argument("--results", type=Path, required=True, help="results.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
