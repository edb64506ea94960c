"""Quantise ONNX models to int8.

In: model.onnx of each model. Out: model-int8.onnx of each.
"""

import argparse
from pathlib import Path

from shallower.core.cli import paired, run_step
from shallower.export.quantisation import quantise


def main(arguments: argparse.Namespace) -> None:
    for model, output in paired(arguments.models, arguments.outputs):
        quantise(model, output, arguments.exclude)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model.onnx of each model")
    parser.add_argument("--exclude", nargs="*", default=[], help="operators or modules to leave in fp32")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="model-int8.onnx of each model")
    run_step(parser, main)
