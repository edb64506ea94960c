"""Weights rounded to bfloat16 for keeping: half the space on disk, one file that loads as before.

config.json says float32, so that plain from_pretrained gives a model in float32 with the rounded values: exactly the
one that predictions were made with. (With "bfloat16" there transformers gives XLNet layers of two types, which fail.)
"""

import json
import os
from pathlib import Path

import numpy as np
from safetensors import safe_open

from shallower.errors import UserError
from shallower.files import read_json, write_json
from shallower.weights import WEIGHTS_FILE, header


def round_weights(model_dir: str | Path) -> None:
    """Round the float32 tensors of a folder's model.safetensors to bfloat16, in place; others stay as they are.

    Raises UserError, and leaves the weights as they are, when one is not finite.
    """
    model_dir = Path(model_dir)
    path = model_dir / WEIGHTS_FILE
    with safe_open(path, framework="np") as file:
        # Wide types first: every tensor is aligned for its type.
        tensors = header(path)
        names = sorted(tensors, key=lambda name: (tensors[name]["dtype"] == "F32", name))
        contents = [_rounded(path, name, file.get_tensor(name)) for name in names]
        description = {"__metadata__": file.metadata() or {"format": "pt"}}
    end = 0
    for name, content in zip(names, contents, strict=True):
        dtype = tensors[name]["dtype"]
        start, end = end, end + len(content)
        description[name] = {
            "dtype": "BF16" if dtype == "F32" else dtype,
            "shape": tensors[name]["shape"],
            "data_offsets": [start, end],
        }
    # The format: 8 bytes with the length of the JSON that follows, the JSON, the tensors' bytes.
    text = json.dumps(description, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as target:
            target.writelines([len(text).to_bytes(8, "little"), text, *contents])
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    write_json(model_dir / "config.json", read_json(model_dir / "config.json") | {"dtype": "float32"})


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """The bits of finite float32 values rounded to bfloat16, to the nearest and halves to even; uint16, same shape."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)


def _rounded(path: Path, name: str, values: np.ndarray) -> bytes:
    if values.dtype != np.float32:
        return values.tobytes()
    if not np.isfinite(values).all():
        raise UserError(f"{path}: {name} has values that are not finite; lower the learning rate")
    return to_bfloat16(values).tobytes()
