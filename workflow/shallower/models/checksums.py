"""Files are what they were when they were made: compared with the SHA-256 on record, before work is spent on them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import read_json, sha256_of
from shallower.models.folder import CONFIG, WEIGHTS
from shallower.models.weight_files import check_seal

MANIFEST = "manifest.json"


def verified(folder: str | Path, names: Iterable[str] = (WEIGHTS, CONFIG)) -> dict[str, str]:
    """SHA-256 of files in a folder, by name, once they agree with what is on record.

    The record is the folder's manifest.json or, where layers were just dropped, in the weights themselves. A file that
    nothing is on record of passes. Raises UserError, naming the file and the cure, when one is missing or damaged.
    """
    folder = Path(folder)
    recorded = _recorded(folder)
    found = {}
    for name in names:
        if not (folder / name).is_file():
            raise UserError(f"{folder}: no {name}; run again, which makes it anew")
        found[name] = sha256_of(folder / name)
        if found[name] != recorded.get(name, found[name]):
            raise corrupt_file_error(folder / name, "damaged: its SHA-256 is not the one recorded when it was made")
    return found


def _recorded(folder: Path) -> dict[str, Any]:
    manifest = folder / MANIFEST
    if manifest.is_file():
        content = read_json(manifest)
        if not isinstance(content, dict) or not isinstance(content.get("sha256"), dict):
            raise corrupt_file_error(manifest, "damaged: no SHA-256 of any file in it")
        return content["sha256"]
    return check_seal(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else {}
