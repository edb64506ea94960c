"""Answer the training examples, and texts without labels, with a fine-tuned model, from which shallower ones learn.

In: a model folder, tokens files. Out: teacher.safetensors with the logits of each example and, where they are asked
for, the vectors that the model's head reads.
"""

import argparse
from pathlib import Path

from shallower.core.cli import add_compute_arguments, run_step
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.devices import choose_compute
from shallower.engine.distillation import write_answers
from shallower.engine.prediction import predict_with_vectors
from shallower.engine.tokens import read_tokens, with_unlabelled
from shallower.models.checksums import verified


def main(arguments: argparse.Namespace) -> None:
    compute = choose_compute(arguments.device, "fp32", arguments.threads)
    verified(arguments.model_dir)
    tokens = read_tokens(arguments.tokens)
    if arguments.unlabelled is not None:
        tokens = with_unlabelled(tokens, read_tokens(arguments.unlabelled))
    classifier = load_for_prediction(arguments.model_dir, tokens.padding_side)
    logits, vectors = predict_with_vectors(classifier, tokens, compute, arguments.vectors)
    write_answers(arguments.output, tokens, logits, vectors)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="a fine-tuned model, with all its layers")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the training split")
    parser.add_argument("--unlabelled", type=Path, help="tokens file of texts without labels")
    parser.add_argument("--vectors", action="store_true", help="write the vectors that the model's head reads, too")
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="teacher.safetensors")
    run_step(parser, main)
