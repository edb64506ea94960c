"""Training checkpoints, from which a run resumes with the same result as without an interruption.

A checkpoint is a folder with `tensors.safetensors` and `state.json`, written atomically. `state.json` holds the key of
its run and the SHA-256 of the tensors, so that a checkpoint that is damaged or of another run is not used.
"""

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from shallower.core.errors import UserError
from shallower.core.files import naming_errors, read_json, sha256_of, write_json

logger = logging.getLogger(__name__)

TENSORS = "tensors.safetensors"
STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` optimizer steps: tensors by name, and other values as JSON."""

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


class CheckpointFolder:
    """The checkpoints of one run; only the newest is kept.

    `key` is everything that the result of the run depends on, as JSON.
    """

    def __init__(self, folder: str | Path, key: Any) -> None:
        self.folder = Path(folder)
        self.key = key

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint atomically, then remove the others."""
        target = self.folder / f"step-{checkpoint.step:09d}"
        part = self.folder / f".{target.name}.{os.getpid()}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            with naming_errors(self.folder):
                save_file(checkpoint.tensors, part / TENSORS)
                write_json(
                    part / STATE,
                    {
                        "key": self.key,
                        "step": checkpoint.step,
                        "sha256": sha256_of(part / TENSORS),
                        "state": checkpoint.state,
                    },
                )
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        for other in self.folder.iterdir():
            if other != target:
                # On network file systems a file that is still mapped cannot go.
                shutil.rmtree(other, ignore_errors=True)

    def load(self) -> Checkpoint | None:
        """The newest checkpoint that is intact and belongs to this run; None when there is none."""
        for folder in sorted(self.folder.glob("step-*"), reverse=True):
            try:
                return self._read(folder)
            except (UserError, OSError, KeyError, TypeError, ValueError) as error:
                logger.warning("ignoring the checkpoint %s: %s", folder, error)
        return None

    def remove(self) -> None:
        """Delete all checkpoints: the run is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, folder: Path) -> Checkpoint:
        content = read_json(folder / STATE)
        if content["key"] != self.key:
            raise ValueError("it belongs to a run with other inputs, settings or code")
        if sha256_of(folder / TENSORS) != content["sha256"]:
            raise ValueError("its tensors are damaged")
        return Checkpoint(content["step"], load_file(folder / TENSORS), content["state"])
