"""The files of a model's folder; without torch."""

import shutil
from pathlib import Path

from shallower.core.errors import UserError
from shallower.core.files import atomic_write, read_json

WEIGHTS = "model.safetensors"
# Of weights in several files: which file has which tensor.
WEIGHTS_INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
MANIFEST = "manifest.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")

# Entry in the manifest of a pruned model that is not fine-tuned yet.
DROPPED_FROM = "layers_dropped_from"


def dropped_from(model_dir: str | Path) -> list[str] | None:
    """SHA-256 of the weight files that layers were dropped from to make the weights in a folder; None for others."""
    manifest = Path(model_dir) / MANIFEST
    return read_json(manifest).get(DROPPED_FROM) if manifest.is_file() else None


def check_model(model_dir: str | Path) -> None:
    """Raise UserError when a folder lacks the weights or the configuration of a model."""
    for name in (CONFIG, WEIGHTS):
        if not (Path(model_dir) / name).is_file():
            raise UserError(f"{model_dir}: no {name}; a model folder needs {CONFIG} and {WEIGHTS}")


def copy_tokenizer(tokenizer_dir: str | Path, output_dir: str | Path) -> None:
    """Copy the files of a fast tokenizer from one folder to another."""
    for name in TOKENIZER_FILES:
        with atomic_write(Path(output_dir) / name) as part:
            shutil.copyfile(Path(tokenizer_dir) / name, part)


def weights_mismatch_error(model_dir: str | Path, faults: list[str]) -> UserError:
    """The error that the weights of a checkpoint do not match its config.json."""
    shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
    return UserError(
        f"{model_dir}: the weights do not fit config.json: {shown}; check the model's source or num_layers"
    )
