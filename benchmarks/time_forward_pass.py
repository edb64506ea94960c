"""Time a forward pass of a fine-tuned model over the texts of a tokens file, the unit in which searches are priced."""

import argparse
import statistics
import time
from pathlib import Path

from shallower.core.cli import add_compute_arguments, run_step
from shallower.core.files import write_json
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.devices import choose_compute
from shallower.engine.prediction import predict
from shallower.engine.tokens import read_tokens


def main(arguments: argparse.Namespace) -> None:
    compute = choose_compute(arguments.device, "auto", arguments.threads)
    tokens = read_tokens(arguments.tokens)
    classifier = load_for_prediction(arguments.model_dir, tokens.padding_side)
    predict(classifier, tokens, compute)  # the first pass is slower
    seconds = []
    for _ in range(arguments.repeats):
        started = time.perf_counter()
        predict(classifier, tokens, compute)
        seconds.append(time.perf_counter() - started)
    write_json(arguments.output, {"seconds": statistics.median(seconds), "all_seconds": seconds})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="JSON file: seconds, the median")
    run_step(parser, main)
