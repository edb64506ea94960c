"""Collect the scores of all layers of a study: study.json and scores files in; scores.csv out."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import write_text
from shallower.reporting.layer_scores_table import collect_scores, scores_as_csv
from shallower.study.study import Study


def main(arguments: argparse.Namespace) -> None:
    study = Study.read(arguments.study)
    pairs = [(model, task) for model in study.models for task in study.tasks]
    write_text(arguments.output, scores_as_csv(collect_scores(study.name, pairs, "contribution")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study.json")
    parser.add_argument("--output", type=Path, required=True, help="scores.csv")
    run_step(parser, main)
