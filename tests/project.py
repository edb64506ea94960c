"""A copy of the project with a tiny study inside, run through the real Snakefile."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

import tiny

ROOT = Path(__file__).parents[1]
PIPELINE = ("Snakefile", "workflow", "profiles", "envs")


class Project:
    """A folder with the pipeline's code and one study, in which snakemake runs."""

    def __init__(self, folder: Path, printed: str = "") -> None:
        """`printed` is what the run that finished it printed."""
        self.folder = folder
        self.printed = printed

    @classmethod
    def create(cls, folder: Path, study: dict[str, Any]) -> "Project":
        """Copy the code into a new folder and write the study."""
        folder.mkdir(parents=True)
        for name in PIPELINE:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name)
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
        self, *arguments: str, cores: int = 2, environment: Mapping[str, str] | None = None, seconds: float = 1500
    ) -> subprocess.CompletedProcess[str]:
        """Run snakemake in the project; standard error is part of the output."""
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", str(cores), *arguments],
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run the study and return what was printed; the test fails when a job failed."""
        finished = self.snakemake(*arguments, environment=environment)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def status(self, study: str = "tiny") -> str:
        """What `make status` shows."""
        shown = subprocess.run(
            [sys.executable, "workflow/scripts/show_status.py", "--results-dir", f"results/{study}"],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": "workflow"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert shown.returncode == 0, shown.stdout
        return shown.stdout

    def planned(self, *arguments: str) -> Counter[str]:
        """How many jobs of each rule a run would start now, without the target rule."""
        finished = self.snakemake("--dry-run", "--quiet", "host", *arguments)
        assert finished.returncode == 0, finished.stdout
        rules = re.findall(r"^ *(?:local)?rule (\w+):$", finished.stdout, flags=re.MULTILINE)
        return Counter(rule for rule in rules if rule != "all")


def hear_interrupts() -> None:
    """For a new process: hear Ctrl-C and hang-up, to which one that is started in the background is deaf."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def tiny_study(folder: Path, families: tuple[str, ...] = ("bert",), **task_options: bool) -> dict[str, Any]:
    """A study of tiny models and a tiny task, whose files are made in `folder`; paths are relative to it."""
    for family in families:
        tiny.make_model(folder / "models" / family, family)
    task = tiny.make_task_files(folder / "data", rows_train=64, rows_validation=32, **task_options)
    tiny.make_unlabelled_file(folder / "data", rows=24, **task_options)
    tiny.make_test_file(folder / "data", rows=23, **task_options)
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


def make_tiny_project(folder: Path, change: Callable[[dict[str, Any]], object], **options: Any) -> Project:
    """A project below `folder` with a tiny study that `change` has changed; options are those of `tiny_study`."""
    study = tiny_study(folder / "inputs", **options)
    change(study)
    # A blank in the path: nothing may break on it.
    project = Project.create(folder / "a project", study)
    for name in ("models", "data"):
        shutil.move(folder / "inputs" / name, project.folder / name)
    return project


def assert_same_results(project: Project, reference: Project) -> None:
    """Both projects, run on the same machine, have the same predictions to the last bit, and the same scores."""
    runs = [
        path.parent.relative_to(reference.folder) for path in reference.folder.glob("results/**/predictions.parquet")
    ]
    assert runs
    for run in runs:
        ours, theirs = (pq.read_table(one.folder / run / "predictions.parquet") for one in (project, reference))
        assert ours.equals(theirs), run
    assert _scores(project) == _scores(reference)


def _scores(project: Project) -> list[dict[str, str]]:
    (file,) = project.folder.glob("results/*/results.csv")
    with file.open(newline="", encoding="utf-8") as rows:
        return [{key: value for key, value in row.items() if key != "train_seconds"} for row in csv.DictReader(rows)]
