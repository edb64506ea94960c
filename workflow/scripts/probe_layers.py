"""Fit a linear model to the [CLS] token at every depth of a fine-tuned model, and let each one predict.

In: a model folder, tokens files, task.json. Out: probes.parquet with one row a depth and validation example.
"""

import argparse
from functools import partial
from pathlib import Path

from shallower.analysis.hidden_states import in_order, load_encoder
from shallower.analysis.probes import choose_examples, fit_probes, probe_answers, write_probes
from shallower.core.cli import add_compute_arguments, run_step
from shallower.core.files import read_json
from shallower.engine.devices import choose_compute
from shallower.engine.tokens import read_tokens
from shallower.models.checksums import verified, verified_file


def main(arguments: argparse.Namespace) -> None:
    compute = choose_compute(arguments.device, "fp32", arguments.threads)
    verified_file(arguments.task)
    verified(arguments.model_dir)
    target = read_json(arguments.task)["target"]
    train, validation = read_tokens(arguments.train_tokens), read_tokens(arguments.validation_tokens)
    model = load_encoder(arguments.model_dir)
    chosen = choose_examples(len(train.labels), arguments.train_examples)
    probes = fit_probes(in_order(model, train, compute, lambda vectors: vectors, chosen), train.labels[chosen], target)
    # Answers batch by batch: the vectors of all validation examples need not fit into memory.
    write_probes(arguments.output, validation, in_order(model, validation, compute, partial(probe_answers, probes)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder of the fine-tuned model")
    parser.add_argument("--train-tokens", type=Path, required=True)
    parser.add_argument("--validation-tokens", type=Path, required=True)
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--train-examples", type=int, required=True, help="most training examples to learn from")
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="probes.parquet")
    run_step(parser, main)
