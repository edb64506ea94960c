"""Score the layers of a model by how large, or how varied, their weights are.

In: a model folder. Out: a scores file with one score a layer, 0-based from the bottom.
"""

import argparse
from pathlib import Path

from shallower.analysis.parameter_scores import METHODS, READINGS, parameter_scores
from shallower.core.cli import run_step
from shallower.core.files import write_json
from shallower.models.checksums import verified
from shallower.models.folder import WEIGHTS


def main(arguments: argparse.Namespace) -> None:
    digests = verified(arguments.model_dir)
    scores = {
        "method": arguments.method,
        "weights": arguments.weights,
        "scores": parameter_scores(arguments.model_dir, arguments.method, arguments.weights),
        "model": str(arguments.model_dir),
        "sha256": {WEIGHTS: digests[WEIGHTS]},
    }
    write_json(arguments.output, scores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--weights", choices=READINGS, default="output-matrix", help="which of a layer's weights count")
    parser.add_argument("--output", type=Path, required=True, help="scores file")
    run_step(parser, main)
