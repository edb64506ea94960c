"""Layers are dropped from a checkpoint: a shallower model from the tensors and the configuration of a deeper one.

Tensors of dropped layers are left out of the weight file and the other layers renumbered; every kept tensor stays the
same, byte for byte. No model is built, so no layer can be initialised at random by mistake.
"""

from collections.abc import Sequence
from pathlib import Path

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.models.families import family_of
from shallower.models.folder import CONFIG, DROPPED_FROM, MANIFEST, WEIGHTS
from shallower.models.weight_files import copy_tensors, header, weight_files


def drop_layers(source: str | Path, kept_layers: Sequence[int], target: str | Path) -> None:
    """Write the model with only `kept_layers` of another one: model.safetensors, config.json and manifest.json.

    `kept_layers` are 0-based and ascending. `source` is the folder of a checkpoint, its weights in one file or in
    shards; `target` is another folder. Where layers share their weights, only their number changes. The manifest holds
    the SHA-256 of the new files and of the weights that they were made from.
    (Sajjad et al., §3; their code deletes the layers of a model in memory.)

    Raises UserError when the architecture is not supported, when a layer to keep does not exist, and when the weights
    are incomplete or do not have the number of layers in config.json.
    """
    source, target = Path(source), Path(target)
    if source.resolve() == target.resolve():
        raise UserError(f"{target}: the shallower model would replace the one it is made of; name another folder")
    config = read_json(source / CONFIG)
    files = weight_files(source)
    tensors = [name for file in files for name in header(file)]
    try:
        family = family_of(config)
        family.check_layers(family.num_layers(config), tensors)
        shortened = family.shortened_config(config, kept_layers)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error

    new_place = {layer: place for place, layer in enumerate(kept_layers)}

    def rename(tensor: str) -> str | None:
        layer = family.layer_of(tensor)
        if layer is None:
            return tensor
        return family.moved_to(tensor, new_place[layer]) if layer in new_place else None

    write_json(target / CONFIG, shortened)
    copy_tensors(files, target / WEIGHTS, rename)
    # Without the kept layers: models that share their layers' weights are the same for all choices, and trained once.
    manifest = {
        DROPPED_FROM: [sha256_of(file) for file in files],
        "sha256": {name: sha256_of(target / name) for name in (WEIGHTS, CONFIG)},
    }
    write_json(target / MANIFEST, manifest)
