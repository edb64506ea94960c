"""Reruns are exact: one change at a time in a finished study, and the jobs that it must start."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
from dry_runs import Job, dry_run_pool, planned_jobs
from rerun_cases import CASES, IDLE, NOTHING, SCRIPTS, Case, in_turn
from write_reruns import PAGE, page

from project import ROOT, Project
from shallower.core.code_digest import code_digest, code_files

WORKERS = 2
STUDIES = {
    "origins": "finished_project",
    "families": "finished_families",
    "tasks": "finished_tasks",
    "judged": "finished_judged",
    "test": "finished_test",
}
LIBRARY = ROOT / "workflow"
MODULES = sorted(path.relative_to(LIBRARY).as_posix() for path in (LIBRARY / "shallower").rglob("*.py"))
# Cases that run snakemake before the dry-run.
SEVERAL_RUNS = {
    "a conda environment, with --sdm conda",
    "--sdm conda for the first time",
    "a clone without .snakemake, then snakemake --touch",
}
# Run by make, as no step of a study.
NO_STEPS = {
    "verify_study",
    "publish_study",
    "check_hub",
    "check_delivered",
    "upload_delivered",
    "propose_study",
    "show_status",
}


def is_slow(name: str) -> bool:
    """Whether a row is left to `make test-reruns`: of several runs, or one of some hundred edits of a script."""
    return name in SEVERAL_RUNS or name.startswith("script ")


@pytest.fixture(scope="module")
def dry_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """Function that changes a copy of a case's finished study and finds the jobs, both in the background."""
    with dry_run_pool(WORKERS) as pool, ThreadPoolExecutor(WORKERS) as threads:

        def plan(case: Case, finished: Project) -> list[Job]:
            folder = tmp_path_factory.mktemp("case")
            project = finished.copy(folder / "project")
            case.change(project)
            jobs = pool.apply(planned_jobs, (str(project.folder), list(case.arguments), dict(case.environment)))
            shutil.rmtree(folder)
            return jobs

        yield lambda case: threads.submit(plan, case, request.getfixturevalue(STUDIES[case.study]))


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, dry_run) -> dict[str, Future]:
    """The jobs of each case that this session tests; all dry-runs are under way at once.

    Changes of rows that start nothing are made in one dry-run, and one by one only where that starts something.
    """
    test = test_a_change_reruns_what_depends_on_it
    items = (item for item in request.session.items if getattr(item, "function", None) is test)
    names = [item.callspec.params["name"] for item in items]
    idle = [name for name in names if name in IDLE]
    together = dry_run(Case(in_turn(*(CASES[name].change for name in idle)), NOTHING)) if idle else None
    found = {name: dry_run(CASES[name]) for name in names if name not in idle}
    if together and not together.exception() and not together.result():
        return found | dict.fromkeys(idle, together)
    return found | {name: dry_run(CASES[name]) for name in idle}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if is_slow(name) else []) for name in CASES]
)
def test_a_change_reruns_what_depends_on_it(name: str, outcomes):
    assert Counter(rule for rule, _ in outcomes[name].result()) == CASES[name].jobs


def test_every_script_is_in_the_matrix():
    assert set(SCRIPTS) | NO_STEPS == {path.stem for path in (LIBRARY / "scripts").glob("*.py")}


@pytest.fixture(scope="module")
def importing_scripts() -> dict[str, set[str]]:
    """For each module the scripts that import it, by the standard library's ModuleFinder, which reads bytecode."""
    importing: dict[str, set[str]] = {module: set() for module in MODULES}
    for script in SCRIPTS:
        finder = ModuleFinder(path=[str(LIBRARY)])
        finder.run_script(str(LIBRARY / f"scripts/{script}.py"))
        for name in finder.modules:
            if name.split(".")[0] == "shallower":
                importing[Path(finder.modules[name].__file__).relative_to(LIBRARY).as_posix()].add(script)
    return importing


def test_each_step_depends_on_the_modules_that_it_imports(importing_scripts):
    for script in SCRIPTS:
        files = code_files(LIBRARY / f"scripts/{script}.py", LIBRARY)[1:]
        modules = {file.relative_to(LIBRARY).as_posix() for file in files if file.suffix == ".py"}
        assert modules == {module for module in MODULES if script in importing_scripts[module]}


class EditedLibrary:
    """A copy of the library, of which modules are edited in turn."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(LIBRARY, folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.folder = folder
        # An edit that imports nothing changes nothing of these.
        self.files = {script: code_files(folder / f"scripts/{script}.py", folder) for script in SCRIPTS}
        self.before = self.digests()

    def digests(self) -> dict[str, str]:
        return {script: code_digest(files, self.folder) for script, files in self.files.items()}


@pytest.fixture(scope="module")
def edited_library(tmp_path_factory: pytest.TempPathFactory) -> EditedLibrary:
    return EditedLibrary(tmp_path_factory.mktemp("edited") / "workflow")


@pytest.mark.parametrize("name", MODULES)
def test_an_edited_module_changes_the_code_of_the_steps_that_import_it(
    name: str, edited_library: EditedLibrary, importing_scripts
):
    """That a step whose code has changed runs again, with all that depends on it, is in the matrix for each script."""
    module = edited_library.folder / name
    code = module.read_text(encoding="utf-8")
    module.write_text(f"{code}\nEDITED = True\n", encoding="utf-8")
    after = edited_library.digests()
    module.write_text(code, encoding="utf-8")
    changed = {script for script in SCRIPTS if edited_library.before[script] != after[script]}
    assert changed == importing_scripts[name]


def test_the_page_of_the_matrix_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run 'make docs'"
