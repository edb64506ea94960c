"""Drop layers from a checkpoint: writes model.safetensors, config.json and manifest.json of the pruned model.

All layers of layers.json at once or, with --stage K, only the K-th of its "order", from a model that lacks the K-1
layers before it already.
"""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import read_json
from shallower.core.layers import Layers
from shallower.models.checksums import verified
from shallower.models.families import family_of
from shallower.models.folder import CONFIG
from shallower.surgery.drop_layers import drop_layers


def main(arguments: argparse.Namespace) -> None:
    verified(arguments.model_dir)
    layers = Layers.read(arguments.layers)
    config = read_json(arguments.model_dir / CONFIG)
    before = arguments.stage - 1 if arguments.stage else 0
    layers.check_depth(family_of(config).num_layers(config), layers.num_layers - before, arguments.model_dir)
    kept = layers.kept_at_stage(arguments.stage) if arguments.stage else layers.kept
    drop_layers(arguments.model_dir, kept, arguments.output_dir)


def stage_number(text: str) -> int:
    """Type of --stage, which counts from 1."""
    if (stage := int(text)) < 1:
        raise argparse.ArgumentTypeError("stages are counted from 1")
    return stage


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder of the model to drop from")
    parser.add_argument("--layers", type=Path, required=True, help="layers.json, which says the layers to keep")
    parser.add_argument("--stage", type=stage_number, help="drop only this layer of the order, counted from 1")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
