"""Draw one model on one task in every variant: variants.csv and the recommendation in, PNG, SVG and charts out.

score-by-variant.json has the charts of report.html, which show the numbers of the variant under the pointer.
"""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import write_text
from shallower.core.tables import rows_about
from shallower.reporting.figures import save
from shallower.reporting.variant_charts import variant_figure
from shallower.reporting.variant_figures import score_by_variant
from shallower.reporting.variant_points import variant_points
from shallower.reporting.variants_page import variants_page


def main(arguments: argparse.Namespace) -> None:
    rows = rows_about(arguments.variants, arguments.model, arguments.task)
    recommended = None
    if arguments.recommended:
        recommended = rows_about(arguments.recommended, arguments.model, arguments.task).iloc[0]
    points = variant_points(rows, arguments.budget, recommended)
    save(score_by_variant(points), arguments.output_dir / "score-by-variant")
    figure = variant_figure(points, rows)
    figure.write(arguments.output_dir / "score-by-variant.json")
    if arguments.page:
        write_text(arguments.page, variants_page([figure], f"{arguments.model} on {arguments.task}"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=Path, required=True, help="variants.csv")
    parser.add_argument("--model", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--budget", type=json_argument, help="JSON: limits, as the study names them")
    parser.add_argument("--recommended", type=Path, nargs="?", help="recommended.csv, where the study has a budget")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--page", type=Path, nargs="?", help="a page of the charts alone to write, if any")
    run_step(parser, main)
