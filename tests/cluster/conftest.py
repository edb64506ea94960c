"""Studies that run on a real SLURM: one node on this machine, started for the tests and ended after them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster_study import ClusterStudy
from one_node_slurm import OneNodeSlurm, missing_programs
from project import Project, make_tiny_project

# Long enough that a fault can hit the training of the baseline; every other training is short.
EPOCHS = 2000


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNodeSlurm]:
    """A SLURM without accounting."""
    yield from _started(tmp_path_factory, accounting=False)


@pytest.fixture(scope="session")
def slurm_with_accounting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNodeSlurm]:
    """A SLURM whose jobs are accounted for in a database, as on most clusters."""
    yield from _started(tmp_path_factory, accounting=True)


def _started(tmp_path_factory: pytest.TempPathFactory, accounting: bool) -> Iterator[OneNodeSlurm]:
    if missing := missing_programs(accounting):
        pytest.fail(f"not installed: {', '.join(missing)}; see docs/cluster.md for the packages")
    # Sockets must have short paths.
    with OneNodeSlurm(tmp_path_factory.mktemp("slurm"), accounting=accounting) as started:
        yield started


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study with a training of some length; its inputs are there, nothing is trained yet."""

    def change(study: dict) -> None:
        study["train"]["epochs"] = EPOCHS
        study["refine"] = {"epochs": 2}
        study["compute"] = {"checkpoint_seconds": 1}

    project = make_tiny_project(tmp_path_factory.mktemp("prepared"), change)
    project.run("--until", "tokenize_task", "measure_cost", "choose_layers", "choose_layers_of_baseline", "plan_runs")
    return project


@pytest.fixture(scope="session")
def undisturbed(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same study, run on this machine without SLURM and without faults."""
    project = prepared.copy(tmp_path_factory.mktemp("undisturbed") / "a project")
    project.run()
    return project


@pytest.fixture
def make_study(prepared: Project, tmp_path: Path) -> Iterator[Callable[[OneNodeSlurm], ClusterStudy]]:
    """Make a copy of the prepared study for a SLURM; a driver that a failed test leaves is ended."""
    made: list[ClusterStudy] = []

    def make(slurm: OneNodeSlurm) -> ClusterStudy:
        # A blank in the path: nothing may break on it.
        made.append(ClusterStudy(prepared.copy(tmp_path / "a project"), slurm))
        return made[-1]

    yield make
    for study in made:
        if study.driver is not None and study.driver.poll() is None:
            study.driver.kill()
            study.driver.wait()
        for number in study.jobs(state="RUNNING").split():
            study.slurm.succeeds("scancel", number)
