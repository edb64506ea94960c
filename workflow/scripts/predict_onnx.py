"""Predict a split with ONNX models, by onnxruntime on the CPU.

In: ONNX files of models with one tokenizer, a tokens file. Out: predictions.parquet of each, with one row an example.
"""

import argparse
from pathlib import Path

from shallower.core.cli import paired, run_step
from shallower.engine.tokens import read_tokens
from shallower.evaluation.predictions import write_predictions
from shallower.export.onnx_prediction import OnnxModel, predict


def main(arguments: argparse.Namespace) -> None:
    tokens = read_tokens(arguments.tokens)
    for path, output in paired(arguments.models, arguments.outputs):
        logits = predict(OnnxModel(path, arguments.threads), tokens)
        write_predictions(output, tokens.ids, tokens.labels, logits)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="ONNX file of each model")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the split to predict")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="predictions.parquet of each model")
    run_step(parser, main)
