"""Predict a split with the candidates of one task in every variant.

In: candidates.json, their models in each variant, a tokens file for each vocabulary, the predictions of the candidates
as they were trained. Out: predictions.parquet of each, and predicted.json. Exports in fp32 must answer as the models
that they were made of.
"""

import argparse
from pathlib import Path

import numpy as np

from shallower.core.cli import run_step
from shallower.core.files import read_json
from shallower.core.layout import TEST, VALIDATION
from shallower.core.variants import FULL, ONNX, RUNTIMES, TORCH, TRIMMED, Variant
from shallower.delivery.candidates import Candidate, read_candidates
from shallower.delivery.variant_folders import (
    folder_of,
    in_variants,
    model_file,
    scores_folder,
    write_folder_manifest,
    write_made,
)
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.devices import choose_compute
from shallower.engine.prediction import of_examples
from shallower.engine.prediction import predict as predict_by_torch
from shallower.engine.tokens import TokenSet, read_tokens
from shallower.evaluation.predictions import read_predictions, write_predictions
from shallower.export.onnx_prediction import OnnxModel
from shallower.export.onnx_prediction import predict as predict_by_onnx
from shallower.export.parity import check_parity
from shallower.models.checksums import verified, verified_file

PREDICTIONS = "predictions.parquet"


def predict(candidate: Candidate, variant: Variant, tokens: TokenSet, threads: int) -> np.ndarray:
    """Outputs of a candidate in a variant for all rows, float32 [R, outputs]."""
    if variant.runtime == TORCH:
        folder = folder_of(candidate.run, variant)
        verified(folder)
        classifier = load_for_prediction(folder, tokens.padding_side)
        return predict_by_torch(classifier, tokens, choose_compute("cpu", "fp32", threads))
    path = model_file(candidate.run, variant)
    verified_file(path)
    return predict_by_onnx(OnnxModel(path, threads), tokens)


def main(arguments: argparse.Namespace) -> None:
    target = read_json(arguments.task)["target"]
    tokens = {FULL: read_tokens(arguments.tokens)}
    if arguments.trimmed_tokens:
        tokens[TRIMMED] = read_tokens(arguments.trimmed_tokens)
    # Torch first, asked for or not: what exports are compared with.
    runtimes = [TORCH, *(runtime for runtime in arguments.runtimes if runtime != TORCH)]
    made = list(in_variants(read_candidates(arguments.candidates), runtimes, arguments.vocabularies))
    for candidate, variant in made:
        of_split, folder = tokens[variant.vocabulary], scores_folder(candidate.run, variant, arguments.split)
        outputs = predict(candidate, variant, of_split, arguments.threads)
        write_predictions(folder / PREDICTIONS, *of_examples(of_split, outputs))
        write_folder_manifest(folder, [PREDICTIONS])
        if variant.runtime == ONNX:
            in_torch = scores_folder(candidate.run, variant._replace(runtime=TORCH), arguments.split)
            source = read_predictions(in_torch / PREDICTIONS, target)
            found = read_predictions(folder / PREDICTIONS, target)
            check_parity(model_file(candidate.run, variant), source.ids, source.computed, found.computed)
    write_made(arguments.output, made, arguments.split)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=Path, required=True, help="candidates.json")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, required=True)
    parser.add_argument("--vocabularies", nargs="+", choices=(FULL, TRIMMED), required=True)
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--split", choices=(VALIDATION, TEST), default=VALIDATION)
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the split to predict")
    parser.add_argument("--trimmed-tokens", type=Path, nargs="?", help="the same by the trimmed vocabulary")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--output", type=Path, required=True, help="predicted.json")
    run_step(parser, main)
