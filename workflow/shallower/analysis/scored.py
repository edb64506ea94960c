"""What a file of scores says of how the scores were made."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shallower.core.files import sha256_of
from shallower.core.provenance import versions
from shallower.models.folder import WEIGHTS


def scored(
    model_dir: Path,
    digests: Mapping[str, str],
    tokens: Sequence[Path],
    num_examples: int,
    files: Sequence[str] = (WEIGHTS,),
) -> dict[str, Any]:
    """The model that was scored, the examples, the SHA-256 of what was read, and the versions of the libraries.

    Args:
        model_dir: the model's folder.
        digests: SHA-256 of its files, by name.
        tokens: files of the tokens that were read.
        num_examples: how many examples the scores are of.
        files: names of the model's files that the scores depend on.
    """
    read = {name: digests[name] for name in files} | {path.name: sha256_of(path) for path in tokens}
    return {"model": str(model_dir), "sha256": read, "num_examples": num_examples, "versions": versions()}
