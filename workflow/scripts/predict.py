"""Predict a split with a fine-tuned model, by the pipeline's own encoder where the family has one.

In: a model folder, a tokens file, layers.json. Out: predictions.parquet with one row an example.
"""

import argparse
from pathlib import Path

from shallower.core.cli import add_compute_arguments, run_step
from shallower.core.files import read_json
from shallower.core.layers import Layers
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.devices import choose_compute
from shallower.engine.prediction import of_examples, predict
from shallower.engine.tokens import read_tokens
from shallower.evaluation.predictions import write_predictions
from shallower.models.checksums import verified
from shallower.models.families import family_of
from shallower.models.folder import CONFIG


def main(arguments: argparse.Namespace) -> None:
    compute = choose_compute(arguments.device, arguments.precision, arguments.threads)
    verified(arguments.model_dir)
    layers, config = Layers.read(arguments.layers), read_json(arguments.model_dir / CONFIG)
    layers.check_depth(family_of(config).num_layers(config), len(layers.kept), arguments.model_dir)
    tokens = read_tokens(arguments.tokens)
    classifier = load_for_prediction(arguments.model_dir, tokens.padding_side)
    write_predictions(arguments.output, *of_examples(tokens, predict(classifier, tokens, compute)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the split to predict")
    parser.add_argument("--layers", type=Path, required=True, help="layers.json of the run")
    add_compute_arguments(parser)
    parser.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    parser.add_argument("--output", type=Path, required=True, help="predictions.parquet")
    run_step(parser, main)
