"""Surgery on a checkpoint: a shallower model from the tensors and the configuration of a deeper one.

Layers are left out and the remaining ones renumbered in the weight file itself; embeddings, pooler, head and
every kept tensor stay as they are, byte for byte. No model is built, so none of its layers can be initialised
anew by mistake.
"""

from collections.abc import Sequence
from pathlib import Path

from shallower.core.errors import UserError
from shallower.core.files import canonical_json, read_json, sha256_of, write_json
from shallower.models.families import family_of
from shallower.models.folder import DROPPED_FROM
from shallower.models.weight_files import WEIGHTS_FILE, copy_tensors, header, weight_files


def drop_layers(source: str | Path, kept_layers: Sequence[int], target: str | Path) -> None:
    """Write the model that has only `kept_layers` of another one, as model.safetensors and config.json.

    `kept_layers` are 0-based and ascending. `source` is a checkpoint's folder, its weights in one file or in
    shards; `target` is another folder, whose files are sealed: damage to them will be noticed. Where layers share their
    weights, only their number changes. The new weights' metadata say which ones they are made of.
    (Sajjad et al., §3; their code deletes the layers of a model in memory.)

    Raises UserError when the architecture is not supported, when a layer to keep does not exist, and when the
    weights are not whole or not of the number of layers that config.json states.
    """
    source, target = Path(source), Path(target)
    if source.resolve() == target.resolve():
        raise UserError(f"{target}: the shallower model would replace the one it is made of; name another folder")
    config = read_json(source / "config.json")
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

    # Not which layers: where they share their weights, models are the same whichever goes, and are trained once.
    notes = {DROPPED_FROM: canonical_json([sha256_of(file) for file in files])}
    write_json(target / "config.json", shortened)
    copy_tensors(files, target / WEIGHTS_FILE, rename, notes, seal={"config.json": sha256_of(target / "config.json")})
