"""Measure what a model costs at each depth: parameters, bytes, time of a forward pass.

In: a model's config.json. Out: cost.json with one entry a depth, from one layer to all.
"""

import argparse
from pathlib import Path

from shallower.analysis.latency import measure_costs
from shallower.core.cli import add_compute_arguments, json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.provenance import versions
from shallower.engine.devices import choose_compute
from shallower.models.checksums import verified_file


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.config)
    compute = choose_compute(arguments.device, "fp32", arguments.threads)
    depths = measure_costs(
        read_json(arguments.config),
        arguments.batch_sizes,
        arguments.sequence_length,
        arguments.repeats,
        compute,
    )
    cost = {
        "model": arguments.model,
        "device": compute.device,
        "threads": compute.threads,
        "sequence_length": arguments.sequence_length,
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
    parser.add_argument("--sequence-length", type=int, required=True, help="tokens of each sequence")
    parser.add_argument("--repeats", type=int, required=True)
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="cost.json")
    run_step(parser, main)
