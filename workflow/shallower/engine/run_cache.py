"""Identical runs are trained once: the first one records its result, later ones copy it.

Runs are identical when their keys are equal: everything that a result depends on, as JSON. Strategies often agree on
what to drop (of 6 layers, `top` and `even-alternate` both drop the uppermost first).
"""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import atomic_write, read_json, sha256_of, write_json
from shallower.models.folder import CONFIG, WEIGHTS

logger = logging.getLogger(__name__)

# The files to copy from a finished run. The tokenizer is copied from the model; the manifest is in the record.
RESULT_FILES = (WEIGHTS, CONFIG, "training.jsonl")


class FinishedRun:
    """The record of the last finished run with a key: its folder, the SHA-256 of its files and its manifest.

    `file` is the JSON file of the record. Only a process that holds the lock of the key may use it.
    """

    def __init__(self, file: str | Path, key: Any) -> None:
        self.file = Path(file)
        self.key = key

    def write(self, folder: str | Path, manifest: Mapping[str, Any]) -> None:
        """Record that the run in `folder` is complete."""
        sha256 = {name: sha256_of(Path(folder) / name) for name in RESULT_FILES}
        record = {"key": self.key, "folder": str(folder), "sha256": sha256, "manifest": dict(manifest)}
        write_json(self.file, record)

    def copy_to(self, folder: str | Path) -> dict[str, Any] | None:
        """Copy the files of the recorded run into a folder and return their manifest; None without a usable record.

        The manifest is that of the training, with the training's folder as `trained_as`, unless that is this folder, as
        when a training finished after Snakemake was killed. A record is not used when it is of another key, or when
        its files are missing or have changed.
        Raises OSError when the copies cannot be written, which is no reason to train.
        """
        folder = Path(folder)
        if (record := self._usable_record()) is None:
            return None
        source = Path(record["folder"])
        if source.resolve() != folder.resolve():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for name in RESULT_FILES:
                    _copy_verified(source / name, folder / name, record["sha256"][name])
            except (UserError, OSError):
                # The recorded run may be deleted meanwhile, as models are that are not kept.
                if self._usable_record() is None:
                    return None
                raise
        manifest = {"trained_as": record["folder"], **record["manifest"]}
        # Also where a run is made again from its own copy.
        if Path(manifest["trained_as"]).resolve() == folder.resolve():
            del manifest["trained_as"]
        return manifest

    def _usable_record(self) -> Mapping[str, Any] | None:
        """The record, if it is of this key and the files that it is of are as they were."""
        if not self.file.exists():
            return None
        try:
            record = read_json(self.file)
            if record["key"] != self.key:
                return None
            for name in RESULT_FILES:
                _verify(Path(record["folder"]) / name, record["sha256"][name])
            return {"folder": record["folder"], "sha256": record["sha256"], "manifest": dict(record["manifest"])}
        except (UserError, OSError, KeyError, TypeError) as error:
            logger.info("the record %s cannot be used (%s); training", self.file, error)
            return None


def _copy_verified(source: Path, target: Path, sha256: str) -> None:
    """Copy a file. Raises UserError, and leaves no copy, when its SHA-256 is not the expected one."""
    with atomic_write(target) as part:
        shutil.copyfile(source, part)
        _verify(part, sha256, source)


def _verify(file: Path, sha256: str, source: Path | None = None) -> None:
    if sha256_of(file) != sha256:
        raise UserError(f"{source or file} has changed since it was recorded; run again")
