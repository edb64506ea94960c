"""Files on this machine that a study's models and tasks are made of, which rules have as inputs."""

from collections.abc import Mapping
from typing import Any

from shallower.sources.model_places import local_path
from shallower.sources.tasks import task_files


def local_model_files(definition: Mapping[str, Any]) -> list[str]:
    """Files of a model on this machine whose content its import depends on; none for other sources."""
    if definition["source"] != "local":
        return []
    directory = local_path(definition)
    # Tokenizers come as JSON, as word lists (vocab.txt, merges.txt) or as SentencePiece models.
    patterns = ("*.json", "*.safetensors", "*.txt", "*.model")
    names = (path for pattern in patterns for path in directory.glob(pattern))
    # No file that is needed has braces in its name, and Snakemake would look for the wildcard that they name.
    return sorted(str(path) for path in names if not {*"{}"} & {*path.name})


def local_task_files(definition: Mapping[str, Any]) -> list[str]:
    """Data files on this machine that a task is made of; none for other sources."""
    return [str(path) for paths in task_files(definition).values() for path in paths]
