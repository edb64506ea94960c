"""Small files, read and written in one way everywhere."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from shallower.errors import UserError, damaged


def read_json(path: str | Path) -> Any:
    """Parse a JSON file.

    Raises UserError, naming the file, when it is missing, cannot be read or is not JSON (which has no NaN).
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"not valid JSON ({error})") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON with sorted keys, so that equal content gives equal bytes. NaN is refused."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_whole(path, (text + "\n").encode("utf-8"))


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file so that a reader never sees a half of it: to a neighbour, then rename."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        neighbour.write_bytes(content)
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(content: Any) -> str:
    """One line of JSON with sorted keys: the same for equal content, whatever the order of keys."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def fingerprint(content: Any) -> str:
    """Eight hexadecimal digits that tell one JSON-like definition from another."""
    return hashlib.sha256(canonical_json(content).encode("utf-8")).hexdigest()[:8]
