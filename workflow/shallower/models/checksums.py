"""Files are checked against the SHA-256 recorded in their folder's manifest.json before they are used."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError, corrupt_file_error
from shallower.core.files import read_json, sha256_of
from shallower.models.folder import CONFIG, MANIFEST, WEIGHTS


def verified(folder: str | Path, names: Iterable[str] = (WEIGHTS, CONFIG)) -> dict[str, str]:
    """SHA-256 of files in a folder, by name, after a comparison with the recorded ones.

    Files without a recorded SHA-256 are accepted. Raises UserError, naming the file and a remedy, when one is missing
    or corrupt.
    """
    folder = Path(folder)
    recorded = _recorded(folder)
    found = {}
    for name in names:
        if not (folder / name).is_file():
            raise UserError(f"{folder}: no {name}; run again to create it")
        found[name] = sha256_of(folder / name)
        if found[name] != recorded.get(name, found[name]):
            raise corrupt_file_error(folder / name, "damaged: its SHA-256 is not the recorded one")
    return found


def verified_file(path: str | Path) -> str:
    """SHA-256 of one file, checked as by `verified`."""
    path = Path(path)
    return verified(path.parent, [path.name])[path.name]


def _recorded(folder: Path) -> dict[str, Any]:
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return {}
    content = read_json(manifest)
    if not isinstance(content, dict) or not isinstance(content.get("sha256"), dict):
        raise corrupt_file_error(manifest, "damaged: no SHA-256 of any file in it")
    return content["sha256"]
