"""Drop layers from a checkpoint: writes the shallower model's model.safetensors and config.json."""

import argparse
from pathlib import Path

from shallower.errors import UserError
from shallower.families import family_of
from shallower.files import read_json
from shallower.step import run_step
from shallower.surgery import drop_layers


def main(arguments: argparse.Namespace) -> None:
    layers = read_json(arguments.layers)
    config = read_json(arguments.model_dir / "config.json")
    num_layers = family_of(config).num_layers(config)
    if layers["num_layers"] != num_layers:
        raise UserError(
            f"{arguments.layers} is for a model of {layers['num_layers']} layers, the one in "
            f"{arguments.model_dir} has {num_layers}; choose the layers for this model"
        )
    drop_layers(arguments.model_dir, layers["kept_layers"], arguments.output_dir)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder of the model with all its layers")
    parser.add_argument("--layers", type=Path, required=True, help="layers.json, which says the layers to keep")
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)
