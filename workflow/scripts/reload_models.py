"""Load tuned models with plain from_pretrained and check that they answer as their stored predictions.

In: model folders of one task with predictions.parquet, its validation tokens. Out: reloaded.csv, one row a model.
"""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import csv_text, read_json, write_text
from shallower.engine.devices import choose_compute
from shallower.engine.reloading import compare_reloaded
from shallower.engine.tokens import read_tokens
from shallower.evaluation.predictions import read_predictions
from shallower.models.checksums import verified, verified_file


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.task)
    choose_compute("cpu", "fp32", arguments.threads)
    tokens = read_tokens(arguments.tokens)
    target = read_json(arguments.task)["target"]
    rows = []
    for folder in [*arguments.model_dirs, *map(Path, read_json(arguments.runs) if arguments.runs else ())]:
        verified(folder)
        predictions = read_predictions(folder / "predictions.parquet", target)
        found = compare_reloaded(folder, tokens, predictions)
        rows.append([folder, found.examples, f"{found.largest_difference:.3g}"])
    write_text(arguments.output, csv_text(["directory", "examples", "largest_difference"], rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dirs", type=Path, nargs="*", default=[], help="tuned models with predictions")
    parser.add_argument("--runs", type=Path, help="JSON: the folders of more of them")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the validation split")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="reloaded.csv")
    run_step(parser, main)
