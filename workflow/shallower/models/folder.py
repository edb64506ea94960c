"""Folders that hold a model: which files are needed, read as plain files without torch."""

import json
import shutil
from pathlib import Path

from safetensors import safe_open

from shallower.core.errors import UserError
from shallower.core.files import replacing

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")

# Entry in the metadata of weights that were made by dropping layers: a JSON list, the SHA-256 of the files with them.
DROPPED_FROM = "dropped_from"


def dropped_from(weights: str | Path) -> list[str] | None:
    """SHA-256 of the files that a safetensors file was made of by dropping layers; None for others."""
    with safe_open(weights, framework="numpy") as file:
        metadata = file.metadata() or {}
    return json.loads(metadata[DROPPED_FROM]) if DROPPED_FROM in metadata else None


def check_model(model_dir: str | Path) -> None:
    """Raise UserError when a folder lacks a model's files."""
    for name in (CONFIG, WEIGHTS):
        if not (Path(model_dir) / name).is_file():
            raise UserError(f"{model_dir}: no {name}; a model folder needs {CONFIG} and {WEIGHTS}")


def copy_tokenizer(tokenizer_dir: str | Path, output_dir: str | Path) -> None:
    """Copy a fast tokenizer's files from one folder to another."""
    for name in TOKENIZER_FILES:
        with replacing(Path(output_dir) / name) as part:
            shutil.copyfile(Path(tokenizer_dir) / name, part)


def weights_mismatch_error(model_dir: str | Path, faults: list[str]) -> UserError:
    """The error that a checkpoint's weights are not those that its config.json speaks of."""
    shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
    return UserError(
        f"{model_dir}: the weights do not fit config.json: {shown}; check the model's source or num_layers"
    )
