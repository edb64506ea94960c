"""Collect the scores of all layers of a study's pre-trained models: scores files in; scores.csv out."""

import argparse
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import write_text
from shallower.reporting.layer_scores_table import collect_scores, scores_as_csv
from shallower.surgery.scored_strategies import CONTRIBUTION


def main(arguments: argparse.Namespace) -> None:
    write_text(arguments.output, scores_as_csv(collect_scores(arguments.study, arguments.pairs, CONTRIBUTION.name)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--pairs", type=json_argument, required=True, help="JSON: list of [model, task]")
    parser.add_argument("--output", type=Path, required=True, help="scores.csv")
    run_step(parser, main)
