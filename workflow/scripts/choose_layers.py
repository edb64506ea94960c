"""Choose the layers to drop: config.json and, for some strategies, layer scores in; layers.json out.

Its "order" is that in which layers are dropped one by one.
"""

import argparse
import logging
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.layers import Layers
from shallower.core.runs import NO_AMOUNT, NO_STRATEGY
from shallower.models.checksums import verified_file
from shallower.models.families import family_of
from shallower.surgery.strategies import STRATEGIES, amount_label, drop_order


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.config)
    config = read_json(arguments.config)
    family = family_of(config)
    stack = family.stack(config).protecting(arguments.protect)
    scores = read_json(arguments.scores) if arguments.scores else None
    if arguments.strategy == NO_STRATEGY:
        order, amount = [], NO_AMOUNT
    else:
        order = drop_order(arguments.strategy, stack, arguments.amount, scores)
        amount = amount_label(arguments.amount)
        if not order:
            logging.warning("%s-%s drops no layer of this model", arguments.strategy, amount)
    layers = Layers(stack.num_layers, tuple(order))
    if scores is not None and "cost" in scores:
        # Not the table of all subsets, nor the time that it took.
        kept = ("method", "metric", "vector", "winner", "num_examples", "model", "sha256")
        scores = {key: scores[key] for key in kept if key in scores}
    chosen_by = {"family": family.name, "strategy": arguments.strategy, "amount": amount, "scores": scores}
    write_json(arguments.output, layers.as_json() | chosen_by | stack.described())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="config.json of the model with all its layers")
    parser.add_argument("--strategy", choices=[NO_STRATEGY, *STRATEGIES], required=True)
    parser.add_argument(
        "--amount",
        type=json_argument,
        help="number of layers, threshold or list of layers (0-based), as JSON",
    )
    parser.add_argument("--protect", type=json_argument, default=[], help="layers to keep (0-based), as JSON")
    parser.add_argument("--scores", type=Path, help="scores of the layers, for strategies that go by them")
    parser.add_argument("--output", type=Path, required=True, help="layers.json")
    run_step(parser, main)
