"""Measure what a model costs at each depth: parameters, bytes, time of a forward pass.

In: a model's config.json; the tokens of a task, where the time is that of its texts. Out: cost.json with one entry a
depth, from one layer to all.
"""

import argparse
from pathlib import Path

from shallower.analysis.latency import batches_of_texts, measure_costs, random_batches
from shallower.core.cli import add_compute_arguments, json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.provenance import versions
from shallower.engine.devices import choose_compute
from shallower.engine.tokens import read_tokens
from shallower.models.checksums import verified_file


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.config)
    compute = choose_compute(arguments.device, "fp32", arguments.threads)
    config = read_json(arguments.config)
    if arguments.tokens:
        batches = batches_of_texts(read_tokens(arguments.tokens), arguments.batch_sizes, arguments.texts)
    else:
        batches = random_batches(config, arguments.batch_sizes, arguments.sequence_length)
    depths = measure_costs(config, batches, arguments.repeats, compute)
    cost = {
        "model": arguments.model,
        "device": compute.device,
        "threads": compute.threads,
        # What was measured: random sequences of this length, or texts of this task.
        "sequence_length": None if arguments.tokens else arguments.sequence_length,
        "task": arguments.task,
        "repeats": arguments.repeats,
        "processor": compute.processor,
        "versions": versions(("torch", "transformers")),
        "depths": depths,
    }
    write_json(arguments.output, cost)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="config.json of the full model")
    parser.add_argument("--model", required=True, help="name of the model in the study")
    parser.add_argument("--batch-sizes", type=json_argument, required=True, help="JSON list, such as [1, 32]")
    parser.add_argument("--sequence-length", type=int, required=True, help="tokens of each random sequence")
    parser.add_argument("--tokens", type=Path, help="tokens of a task, whose texts are measured instead")
    parser.add_argument("--task", help="name of this task in the study")
    parser.add_argument("--texts", type=int, help="of these in a pass, at least a batch")
    parser.add_argument("--repeats", type=int, required=True)
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="cost.json")
    run_step(parser, main)
