"""Weights stored in bfloat16: half the space on disk.

The dtype in config.json is float32, so that plain from_pretrained gives a float32 model with the rounded values: that
of the predictions. (With "bfloat16" there, transformers gives XLNet layers of two dtypes, which fail.)
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from shallower.core.errors import UserError
from shallower.core.files import atomic_write, read_json, write_json
from shallower.models.folder import CONFIG, WEIGHTS


def round_weights(model_dir: str | Path) -> None:
    """Round the float32 tensors of a folder's model.safetensors to bfloat16, in place; others do not change.

    Raises UserError, and changes nothing, when a tensor has a value that is not finite.
    """
    path = Path(model_dir) / WEIGHTS
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if tensor.dtype == torch.float32:
            if not tensor.isfinite().all():
                raise UserError(f"{path}: {name} has values that are not finite; lower the learning rate")
            tensors[name] = tensor.bfloat16()
    with atomic_write(path) as part:
        save_file(tensors, part, metadata={"format": "pt"})
    config = path.with_name(CONFIG)
    write_json(config, read_json(config) | {"dtype": "float32"})
