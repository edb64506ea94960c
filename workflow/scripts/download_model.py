"""Fetch and check a model: a study's model entry in; config, weights, fast tokenizer and manifest out."""

import argparse
import os
from pathlib import Path

from shallower.core import environment
from shallower.core.cli import json_argument, run_step
from shallower.sources.models import fetch_model


def main(arguments: argparse.Namespace) -> None:
    """Bring the model into the output folder."""
    fetch_model(
        arguments.model,
        arguments.output_dir,
        to_export=os.environ.get(environment.ONNX) == "1",
        model_classes=[name for name in os.environ.get(environment.MODEL_CLASSES, "").split(",") if name],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=json_argument, required=True, help="the study's model entry, as JSON")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
