"""Compare the [CLS] token's hidden states of a fine-tuned model with those of the pre-trained one, depth by depth.

In: two model folders, a tokens file. Out: similarity.json with one mean cosine a depth, from 0, the embedding output.
"""

import argparse
from pathlib import Path

from shallower.analysis.hidden_states import load_encoder
from shallower.analysis.similarity import similarity_by_depth
from shallower.core.cli import add_compute_arguments, run_step
from shallower.core.files import write_json
from shallower.engine.devices import choose_compute
from shallower.engine.tokens import read_tokens
from shallower.models.checksums import verified


def main(arguments: argparse.Namespace) -> None:
    compute = choose_compute(arguments.device, "fp32", arguments.threads)
    for folder in (arguments.model_dir, arguments.pretrained_dir):
        verified(folder)
    tokens = read_tokens(arguments.tokens)
    model, pretrained = load_encoder(arguments.model_dir), load_encoder(arguments.pretrained_dir)
    similarity = {
        "model": str(arguments.model_dir),
        "pretrained": str(arguments.pretrained_dir),
        "num_examples": len(tokens.labels),
        "cosine": similarity_by_depth(model, pretrained, tokens, compute),
    }
    write_json(arguments.output, similarity)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder of the fine-tuned model")
    parser.add_argument("--pretrained-dir", type=Path, required=True, help="folder of the model it comes from")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the validation split")
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="similarity.json")
    run_step(parser, main)
