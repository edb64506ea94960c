"""Drop layers from a checkpoint: writes the shallower model's model.safetensors and config.json.

All layers that layers.json says at once or, with --stage K, only the K-th of its "order", from a model that the
K-1 before it are gone from already.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shallower.core.cli import run_step
from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import read_json
from shallower.models.checksums import verified
from shallower.models.families import family_of
from shallower.surgery.drop_layers import drop_layers


def main(arguments: argparse.Namespace) -> None:
    verified(arguments.model_dir)
    layers = read_layers(arguments.layers)
    config = read_json(arguments.model_dir / "config.json")
    num_layers = family_of(config).num_layers(config)
    gone = arguments.stage - 1 if arguments.stage else 0
    if num_layers != layers["num_layers"] - gone:
        before = f" once {gone} are gone" if gone else ""
        raise UserError(
            f"{arguments.layers} is for a model of {layers['num_layers'] - gone} layers{before}, the one in "
            f"{arguments.model_dir} has {num_layers}; choose the layers for this model"
        )
    kept = layers["kept_layers"] if arguments.stage is None else kept_at_stage(layers, arguments.stage)
    drop_layers(arguments.model_dir, kept, arguments.output_dir)


def read_layers(path: Path) -> dict[str, Any]:
    """The content of a layers.json, whose lists must agree with each other."""
    layers = read_json(path)
    try:
        kept, dropped = layers["kept_layers"], layers["dropped_layers"]
        agree = sorted([*kept, *dropped]) == list(range(layers["num_layers"])) and sorted(layers["order"]) == dropped
    except (KeyError, TypeError):
        agree = False
    if not agree:
        raise corrupt_file_error(path, "damaged: it does not say of every layer whether it is kept or dropped")
    return layers


def kept_at_stage(layers: Mapping[str, Any], stage: int) -> list[int]:
    """Layers to keep of a model that lacks the first `stage` - 1 layers of "order", counted as in that model."""
    order = layers.get("order", [])
    if stage > len(order):
        raise UserError(f"the 'order' of layers.json has {len(order)} layers, not {stage}; choose the layers again")
    present = [layer for layer in range(layers["num_layers"]) if layer not in order[: stage - 1]]
    return [place for place, layer in enumerate(present) if layer != order[stage - 1]]


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
