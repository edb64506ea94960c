"""Files on this machine that a study's models and tasks are made of, which rules have as inputs."""

from collections.abc import Mapping
from typing import Any

from shallower.sources.model_sources import model_source
from shallower.sources.tasks import task_files
from shallower.sources.unlabelled import unlabelled_files


def local_model_files(definition: Mapping[str, Any]) -> list[str]:
    """Files of a model on this machine whose content its import depends on; none for other sources."""
    return model_source(definition).own_files(definition)


def local_task_files(definition: Mapping[str, Any]) -> list[str]:
    """Data files on this machine that a task is made of; none for other sources."""
    return [str(path) for paths in task_files(definition).values() for path in paths]


def local_unlabelled_files(definition: Mapping[str, Any]) -> list[str]:
    """Files on this machine of a task's texts without labels."""
    return [str(path) for path in unlabelled_files(definition)]
