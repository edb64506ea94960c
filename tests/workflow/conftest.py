"""A copy of the project with a tiny study inside, run through the real Snakefile."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiny

ROOT = Path(__file__).parents[2]
PIPELINE = ("Snakefile", "workflow", "profiles", "envs")


class Project:
    """A folder with the pipeline's code and one study, in which snakemake runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed = ""  # by the run that finished it

    @classmethod
    def create(cls, folder: Path, study: dict[str, Any]) -> "Project":
        """Copy the code into a new folder and write the study."""
        folder.mkdir(parents=True)
        ignore = shutil.ignore_patterns("__pycache__")
        for name in PIPELINE:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignore)
            else:
                shutil.copy2(source, folder / name)
        project = cls(folder)
        project.write_study(study)
        return project

    def copy(self, folder: Path) -> "Project":
        """The same project elsewhere, with times of modification and Snakemake's memory."""
        shutil.copytree(self.folder, folder)
        return Project(folder)

    def write_study(self, study: dict[str, Any]) -> None:
        text = yaml.safe_dump(study, sort_keys=False)
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")

    def read_study(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))

    def snakemake(
        self, *arguments: str, cores: int = 2, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run snakemake in the project; standard error is part of the output."""
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", str(cores), *arguments],
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=800,
        )

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run the study and return what was printed; the test fails when a job failed."""
        finished = self.snakemake(*arguments, environment=environment)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def planned(self, *arguments: str) -> Counter[str]:
        """How many jobs of each rule a run would start now, without the target rule."""
        finished = self.snakemake("--dry-run", "--quiet", "host", *arguments)
        assert finished.returncode == 0, finished.stdout
        rules = re.findall(r"^(?:local)?rule (\w+):$", finished.stdout, flags=re.MULTILINE)
        return Counter(rule for rule in rules if rule != "all")


def tiny_study(folder: Path, families: tuple[str, ...] = ("bert",), **task_options: bool) -> dict[str, Any]:
    """A study of tiny models and a tiny task, whose files are made in `folder`; paths are relative to it."""
    for family in families:
        tiny.make_model(folder / "models" / family, family)
    task = tiny.make_task_files(folder / "data", rows_train=64, rows_validation=32, **task_options)
    return {
        "study": "tiny",
        "models": [{"name": family, "source": "local", "directory": f"models/{family}"} for family in families],
        "tasks": [task | {"train_file": "data/train.csv", "validation_file": "data/validation.csv"}],
        "origins": [{"name": "finetuned"}],
        "strategies": [{"name": "top", "amounts": [1]}],
        "seeds": [1],
        "train": {"epochs": 1, "batch_size": 16, "learning_rate": 1.0e-3, "max_length": 32},
        "evaluate": {"bootstrap_samples": 100},
        "measure": {"repeats": 3, "sequence_length": 8},
    }


@pytest.fixture
def make_project(tmp_path: Path):
    """Make a project of a tiny study; keyword arguments are those of `tiny_study`."""

    def make(change=lambda study: None, **options: Any) -> Project:
        inputs = tmp_path / "inputs"
        study = tiny_study(inputs, **options)
        change(study)
        # A blank in the path: nothing may break on it.
        project = Project.create(tmp_path / "a project", study)
        for name in ("models", "data"):
            shutil.move(inputs / name, project.folder / name)
        return project

    return make


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished tiny study with every origin and the reproduction; copy it before changing anything."""
    folder = tmp_path_factory.mktemp("finished")
    study = tiny_study(folder / "inputs")
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
    return finish(folder, study)


@pytest.fixture(scope="session")
def finished_families(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished tiny study of three models; copy it before changing anything."""
    folder = tmp_path_factory.mktemp("families")
    return finish(folder, tiny_study(folder / "inputs", families=("bert", "xlnet", "distilbert"), pair=True))


@pytest.fixture(scope="session")
def finished_tasks(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished tiny study of two tasks, one with two seeds, that keeps no models; copy it before changing it."""
    folder = tmp_path_factory.mktemp("tasks")
    study = tiny_study(folder / "inputs", regression=True)
    study["tasks"].append(study["tasks"][0] | {"name": "second", "seeds": [1]})
    study["seeds"] = [1, 2]
    study["origins"] = [{"name": "pretrained"}]
    study["strategies"] = [
        {"name": "contribution", "amounts": [0.999], "tasks": ["tiny"]},
        {"name": "custom", "amounts": [[1, 2]]},
    ]
    study["keep_models"] = False
    return finish(folder, study)


def finish(folder: Path, study: dict[str, Any]) -> Project:
    """Run a study, whose models and data are in the folder's `inputs`, to its end."""
    # A blank in the path: nothing may break on it.
    project = Project.create(folder / "a project", study)
    for name in ("models", "data"):
        shutil.move(folder / "inputs" / name, project.folder / name)
    project.printed = project.run()
    return project
