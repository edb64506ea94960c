"""Gather the scores of all layers of a study: scores files, found by their place, in; scores.csv out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import write_text
from shallower.reporting.layer_scores_table import collect_scores, scores_as_csv


def main(arguments: argparse.Namespace) -> None:
    write_text(arguments.output, scores_as_csv(collect_scores(arguments.scores)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="STUDY/MODEL/TASK/scores/METHOD/SCORED.json")
    parser.add_argument("--output", type=Path, required=True, help="scores.csv to write")
    run_step(parser, main)
