"""Malformed inputs through the real snakemake: one message, an exit code, no traceback, and nothing computed."""

import copy
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bad_inputs import FETCHED, PLANNED, Case, make_base
from project import Project

# What a failed run may leave: the study, the lists of runs and of what is missing, and the other inputs.
ALLOWED = re.compile(r"results/tiny/(study\.json|runs\.csv|missing\.csv)|resources/tasks/.*")

# One of each kind; `make test-inputs` tries them all.
SAMPLE = ("repeated key", "cut parquet", "pickled weights")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("base")
    return folder, make_base(folder)


def faults(case: Case, base: tuple[Path, dict[str, Any]], folder: Path) -> list[str]:
    """What is not as it should be when snakemake runs the spoilt study."""
    project = Project.create(folder, study := copy.deepcopy(base[1]))
    shutil.copytree(base[0], folder, dirs_exist_ok=True)
    text = case.spoil(folder, study)
    if text is None:
        project.write_study(study)
    else:
        (folder / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    finished = project.snakemake(cores=1)

    found = []
    if finished.returncode == 0:
        found.append("exit code 0")
    if "Traceback" in finished.stdout:
        found.append("a traceback")
    # Snakemake shows the step's command after its message.
    messages = [part for part in case.message_parts if finished.stdout.count(part) != 1]
    if messages:
        found.append(f"not reported, or not once: {messages}")
    made = [path for name in ("results", "resources") for path in (folder / name).rglob("*") if path.is_file()]
    left = [str(path.relative_to(folder)) for path in made]
    if surplus := [name for name in left if case in PLANNED or not ALLOWED.fullmatch(name)]:
        found.append(f"left {surplus}")
    if (folder / "pwned").exists():
        found.append("code of an input was run")
    if found:
        found.append(finished.stdout)
    else:
        shutil.rmtree(folder)
    return [f"{case.name}: {fault}" for fault in found]


def faults_of(cases: list[Case], base: tuple[Path, dict[str, Any]], tmp_path: Path) -> list[str]:
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda numbered: faults(numbered[1], base, tmp_path / f"case {numbered[0]}"), enumerate(cases))
        return [fault for each in found for fault in each]


def test_some_bad_inputs(base, tmp_path):
    cases = [case for case in PLANNED if case.name in SAMPLE]
    assert len(cases) == len(SAMPLE)
    assert not (found := faults_of([*cases, FETCHED[0]], base, tmp_path)), "\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(4))
def test_every_bad_input(base, tmp_path, part):
    cases = [*PLANNED, *FETCHED][part::4]
    assert not (found := faults_of(cases, base, tmp_path)), "\n".join(found)
