"""Projects with a tiny study, unfinished and finished."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from project import Project, make_tiny_project


@pytest.fixture
def make_project(tmp_path: Path):
    """Make a project of a tiny study; keyword arguments are those of `tiny_study`."""

    def make(change=lambda study: None, **options: Any) -> Project:
        return make_tiny_project(tmp_path, change, **options)

    return make


@pytest.fixture(scope="session")
def finish(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest):
    """Make a project of a tiny study and run it to its end, once for all processes that the tests are shared among."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if hasattr(request.config, "workerinput") else folder

    def make(name: str, change: Callable[[dict[str, Any]], object], **options: Any) -> Project:
        record = shared / f"{name}.json"
        with FileLock(shared / f"{name}.lock"):
            if not record.exists():
                project = make_tiny_project(tmp_path_factory.mktemp(name), change, **options)
                printed = project.run(environment=request.getfixturevalue("warm_steps"))
                record.write_text(json.dumps([str(project.folder), printed]), encoding="utf-8")
        finished, printed = json.loads(record.read_text(encoding="utf-8"))
        return Project(Path(finished), printed)

    return make


@pytest.fixture(scope="session")
def finished_project(finish) -> Project:
    """A finished tiny study with every origin and the reproduction; copy it before changing anything."""

    def change(study: dict[str, Any]) -> None:
        study["reproduction"] = True
        study["models"][0]["counterpart"] = "BERT"
        study["tasks"][0]["counterpart"] = "SST-2"
        study["probe"] = {"train_examples": 48}
        study["origins"] = [
            {"name": "pretrained"},
            {"name": "finetuned"},
            {"name": "finetuned-frozen"},
            {"name": "gradual", "stage": {"epochs": 1}},
        ]
        study["strategies"] = [
            {"name": "top", "amounts": [1], "origins": ["finetuned", "finetuned-frozen"]},
            {"name": "bottom", "amounts": [2], "origins": ["finetuned"]},
            {"name": "top", "amounts": [2], "origins": ["gradual"]},
            {"name": "parameter-variance", "amounts": [1], "origins": ["pretrained"]},
        ]

    return finish("finished", change)


@pytest.fixture(scope="session")
def finished_judged(finish) -> Project:
    """A finished tiny study of all subsets of three of four layers, by which strategies are judged; copy it."""

    def change(study: dict[str, Any]) -> None:
        study["tasks"][0]["train_examples"] = 48
        study["calibration"] = {"examples": 12}
        study["strategies"] = [
            {"name": "keep", "amounts": [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]},
            {"name": "top", "amounts": [1]},
            {"name": "subset-race", "amounts": [1]},
        ]
        study["race"] = {"shortlist": 2, "epochs": 1}
        study["oracle"] = True
        # Enough for models to differ in their scores.
        study["train"] |= {"epochs": 8, "learning_rate": 3.0e-3}

    return finish("judged", change)


@pytest.fixture(scope="session")
def finished_families(finish) -> Project:
    """A finished tiny study of three models with teachers and texts without labels; copy it before changing it."""
    families = ("bert", "xlnet", "distilbert")

    def change(study: dict[str, Any]) -> None:
        study["refine"] = {"distill": {}}
        study["tasks"][0]["unlabelled_file"] = "data/unlabelled.csv"

    return finish("families", change, families=families, pair=True)


@pytest.fixture(scope="session")
def finished_test(finish) -> Project:
    """A finished tiny study of a task with test examples, delivered models and texts made for a teacher; copy it."""

    def change(study: dict[str, Any]) -> None:
        study["tasks"][0]["test_file"] = "data/test.csv"
        study["tasks"][0]["train_examples"] = 48
        study["calibration"] = {"examples": 12}
        study["budget"] = {"layers": 3}
        study["deliver"] = {"vocabularies": ["full", "trimmed"]}
        study["measure"] |= {"texts": 4, "batch_sizes": [1, 2]}
        study["refine"] = {"distill": {"augment": {"copies": 2}}}

    return finish("test", change)


@pytest.fixture(scope="session")
def finished_tasks(finish) -> Project:
    """A finished tiny study of two tasks, one with two seeds, that keeps no models; copy it before changing it."""

    def change(study: dict[str, Any]) -> None:
        study["tasks"][0]["train_examples"] = 48
        study["calibration"] = {"examples": 12}
        study["tasks"].append(study["tasks"][0] | {"name": "second", "seeds": [1]})
        study["seeds"] = [1, 2]
        study["origins"] = [{"name": "pretrained"}]
        study["strategies"] = [
            {"name": "contribution", "amounts": [0.999], "tasks": ["tiny"]},
            {"name": "custom", "amounts": [[1, 2]]},
            {"name": "subset-readout", "amounts": [1], "tasks": ["second"]},
        ]
        study["keep_models"] = False
        study["budget"] = {"score_kept": 95, "megabytes": 1}

    return finish("tasks", change, regression=True)
