"""Score the layers of a model by how much they change the hidden states.

In: a model folder, a tokens file. Out: scores.json with one score a layer, 0-based from the bottom.
"""

import argparse
from pathlib import Path

from shallower.analysis.hidden_states import load_encoder
from shallower.analysis.layer_scores import METHODS
from shallower.analysis.scored import scored
from shallower.core.cli import add_compute_arguments, run_step
from shallower.core.files import write_json
from shallower.engine.devices import choose_compute
from shallower.engine.tokens import read_tokens
from shallower.models.checksums import verified


def main(arguments: argparse.Namespace) -> None:
    # fp32 everywhere: thresholds such as 0.95 and 0.925 lie close together.
    compute = choose_compute(arguments.device, "fp32", arguments.threads)
    digests = verified(arguments.model_dir)
    tokens = read_tokens(arguments.tokens)
    model = load_encoder(arguments.model_dir)
    scores = {
        "method": arguments.method,
        "scores": METHODS[arguments.method](model, tokens, compute),
        "device": compute.device,
        **scored(arguments.model_dir, digests, [arguments.tokens], len(tokens.labels)),
    }
    write_json(arguments.output, scores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the examples to go by")
    parser.add_argument("--method", choices=METHODS, required=True)
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="scores.json")
    run_step(parser, main)
