"""A small study that is sound."""

import copy
from typing import Any

import pytest

import tiny


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A sound study of a package model of six layers, a task from files and a GLUE task."""
    folder = tmp_path_factory.mktemp("data")
    task = tiny.make_task_files(folder, rows_train=8, rows_validation=8)
    return {
        "study": "s",
        "models": [
            {"name": "m", "source": "package", "package": "p", "version": "1.0", "path": "p/model", "num_layers": 6}
        ],
        "tasks": [
            task,
            {"name": "mrpc", "source": "glue", "subset": "mrpc", "train": {"epochs": 5}},
        ],
        "origins": [{"name": "pretrained"}, {"name": "finetuned", "refine": {"epochs": 1}}],
        "strategies": [{"name": "top", "amounts": [1, 2]}, {"name": "custom", "amounts": [[3, 5]]}],
        "seeds": [1, 2],
        "refine": {"learning_rate": 1.0e-5},
    }


@pytest.fixture
def study(base: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(base)
