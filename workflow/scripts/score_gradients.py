"""Score the layers of a fine-tuned model by how much their weights matter to the loss.

In: a model folder, the tokens of the task's calibration examples, task.json. Out: a scores file with one score a layer,
0-based from the bottom.
"""

import argparse
from pathlib import Path

from shallower.analysis.scored import scored
from shallower.analysis.taylor import taylor_importance
from shallower.core.cli import add_compute_arguments, run_step
from shallower.core.files import read_json, write_json
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import choose_compute
from shallower.engine.tokens import read_tokens
from shallower.models.checksums import verified, verified_file


def main(arguments: argparse.Namespace) -> None:
    compute = choose_compute(arguments.device, "fp32", arguments.threads)
    digests = verified(arguments.model_dir)
    verified_file(arguments.task)
    tokens = read_tokens(arguments.tokens)
    # The seed is for new heads, which a fine-tuned model does not need.
    classifier = load_for_training(arguments.model_dir, read_json(arguments.task), 0, tokens.padding_side)
    scores = {
        "method": "taylor",
        "scores": taylor_importance(classifier, tokens, compute),
        "device": compute.device,
        **scored(arguments.model_dir, digests, [arguments.tokens], len(tokens.labels)),
    }
    write_json(arguments.output, scores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="a fine-tuned model")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the calibration examples")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="scores file")
    run_step(parser, main)
