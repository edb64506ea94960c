"""Every command of the documentation is tried: each has a rule for how, and one without a rule fails.

- `snakemake`: as a dry-run in a tiny project that has the studies that pages name.
- `make`: its target expands with the documented variables, and the snakemake commands in it are tried as well.
- `python`, `pytest` and options of benchmarks: files and options exist, scripts print their help.
- The shell's own and other people's programs: in `ELSEWHERE`, each with what tries it or why nothing does.
"""

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from dry_runs import Job, dry_run_pool, planned_jobs
from rerun_cases import WITH_CONDA, conda_stand_in

import paper_smoke
from documented import ROOT, Command, commands_in, documented_commands
from project import Project, make_tiny_project

COMMANDS = documented_commands()
WORKERS = 2
MAKE = ("make", "--dry-run", "--assume-old=.venv/.ready")
# What a reader puts in the place of these.
PLACEHOLDERS = {"...": "studies/mine.yaml", "FOLDER": "results/mine"}
# Options with which snakemake plans no jobs.
WITHOUT_JOBS = {"--unlock", "--touch", "--containerize", "--conda-create-envs-only"}
# Commands that are not tried here, and what is known about them.
ELSEWHERE = {
    "git checkout": "tests/workflow/rerun_cases.py clones a project and changes its times",
    "git lfs pull": "a remedy for files of Git LFS, which the project does not use",
    "pip install pre-commit": "needs the network; tests/unit/test_docs.py compares the hooks with requirements.lock",
    "pre-commit install": "the same",
    "python -I": "an option, with which tests/unit/sources/test_pickled_weights.py runs the converter",
    "scontrol requeue": "tests/cluster/test_cluster.py",
    'squeue --me --format="%i %j %T"': "tests/cluster/test_cluster.py",
    "snakemake --gpus=a100:1": "an option of sbatch; tests/cluster/test_cluster.py asks for GPUs",
    "snakemake --configfile": "names the option only",
    "snakemake --sdm apptainer": "the page says that the project has no image for it",
    "snakedeploy pin-conda-envs envs/*.yaml": "a program of Snakemake's authors that asks conda's channels",
    "snakemake --lint": "make lint",
}


# --- the tiny project ---


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all that commands of the documentation name."""
    folder = tmp_path_factory.mktemp("documented")
    project = make_tiny_project(folder, lambda study: None)
    study = project.read_study()
    for path, name in (("studies/mine.yaml", "mine"), (".smoke/study.yaml", "paper-smoke")):
        write_study(project.folder / path, study | {"study": name})
    (project.folder / "studies/mine.json").write_text(json.dumps(study | {"study": "mine"}))
    (project.folder / "studies/quoted.yaml").write_text(
        yaml.safe_dump(study | {"study": "mine"}).replace("study: mine", 'study: "mine"')
    )
    for name in ("paper", "glue-minilm"):
        write_study(project.folder / "studies" / f"{name}.yaml", reduced(ROOT / "studies" / f"{name}.yaml"))
    embedding = yaml.safe_load((ROOT / "studies/embedding.yaml").read_text())
    task = {key: value for key, value in embedding["tasks"][0].items() if not key.endswith("_examples")}
    write_study(project.folder / "studies/embedding.yaml", embedding | {"tasks": [task]})
    for subset in ("sst2", "stsb"):
        paper_smoke.make_glue_files(project.folder / "my/glue" / subset, subset)
    pq.write_table(pa.table({"text": ["One text. Another one.", "A third."]}), project.folder / "my/texts.parquet")
    (project.folder / ".venv").symlink_to(sys.prefix)
    conda_stand_in(project)
    results = project.folder / "results/mine"
    results.mkdir(parents=True)
    (results / "results.csv").write_bytes(b"value")
    (results / "SHA256SUMS").write_text(f"{hashlib.sha256(b'value').hexdigest()}  results.csv\n")
    return project


def write_study(path: Path, study: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(study, sort_keys=False))


def reduced(path: Path) -> dict[str, Any]:
    """A study of the repository with one small task and one seed, so that planning it takes seconds."""
    study = yaml.safe_load(path.read_text())
    measure = study.get("measure", {}) | {"task": None}
    return study | {"tasks": [{"name": "sst2", "source": "glue", "subset": "sst2"}], "seeds": [1], "measure": measure}


# --- snakemake ---

DryRun = Callable[[tuple[str, ...]], "Future[list[Job]]"]


@pytest.fixture(scope="module")
def dry_run(request: pytest.FixtureRequest, project: Project) -> Iterator[DryRun]:
    """Function that plans with a command's arguments in the background; those of this session's tests are under way."""
    with dry_run_pool(WORKERS) as pool, ThreadPoolExecutor(WORKERS) as threads:
        environment = WITH_CONDA | {"HF_HUB_OFFLINE": "1"}
        under_way: dict[tuple[str, ...], Future[list[Job]]] = {}

        def plan(arguments: tuple[str, ...]) -> list[Job]:
            return pool.apply(planned_jobs, (str(project.folder), ["--cores", "2", *arguments], environment))

        def start(arguments: tuple[str, ...]) -> "Future[list[Job]]":
            arguments = without_cores(arguments)
            if arguments not in under_way:
                under_way[arguments] = threads.submit(plan, arguments)
            return under_way[arguments]

        for item in request.session.items:
            if getattr(item, "function", None) is test_a_documented_command:
                for command in snakemake_commands(item.callspec.params["command"]):
                    start(command.arguments)
        yield start


def without_cores(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments of snakemake without the number of cores, and without -n, which a dry-run has anyway."""
    kept = re.sub(r"(^|\0)--cores\0[^\0]+|(^|\0)(-n|--dry-run)(?=\0|$)", "", "\0".join(arguments)).strip("\0")
    return tuple(PLACEHOLDERS.get(word, word) for word in kept.split("\0") if word)


def snakemake_commands(command: Command) -> list[Command]:
    """The commands of snakemake that a documented command runs."""
    if command.text in ELSEWHERE:
        return []
    found = [command] if command.program == "snakemake" else steps(command) if command.program == "make" else []
    return [one for one in found if one.program == "snakemake" and one.text not in ELSEWHERE]


def check_snakemake(command: Command, project: Project, dry_run: DryRun) -> None:
    jobs = dry_run(command.arguments).result()
    if not WITHOUT_JOBS & set(command.arguments):
        assert jobs, command.text
        targets = [word for word in command.arguments if word.startswith("results/")]
        assert all(any(target in outputs for _, outputs in jobs) for target in targets)


# --- make ---


def steps(command: Command) -> list[Command]:
    """The commands of snakemake and Python in a make target, without what only a shell can tell."""
    lines = expanded(command).replace("\\\n", " ").splitlines()
    parts = [part.strip().removesuffix(')"') for line in lines for part in re.split(r"; |;$|&& ", line)]
    parts = [re.sub(r"^(\w+=\S* )+", "", part) for part in parts]
    return [
        Command.of(command.page, part)
        for part in parts
        if part.startswith("python ") or (part.startswith("snakemake ") and "$" not in part)
    ]


def expanded(command: Command) -> str:
    """What make would run for a documented command."""
    done = subprocess.run([*MAKE, *command.arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_make(command: Command, project: Project, dry_run: DryRun) -> None:
    output = expanded(command)
    assert output
    for name, value in (word.split("=", 1) for word in command.arguments if "=" in word):
        assert value in output, f"{name} is not used by {command.text}"
    for step in steps(command):
        if step.text not in ELSEWHERE:
            check = {"snakemake": check_snakemake, "python": check_python_step}[step.program]
            check(step, project, dry_run)


# --- python ---


def check_python(command: Command, project: Project, dry_run: DryRun) -> None:
    """The script knows the options, and prints its help."""
    check_python_step(command, project, dry_run)
    done = subprocess.run(
        [sys.executable, *command.arguments, "--help"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "workflow"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout


def check_python_step(command: Command, project: Project, dry_run: DryRun) -> None:
    """A file or module that exists, and options that its source names; pytest is given files that exist."""
    first, *rest = command.arguments
    if first == "-m" and rest[0] == "pytest":
        check_pytest(Command.of(command.page, shlex.join(rest)), project, dry_run)
        return
    path = ROOT / "workflow" / f"{rest[0].replace('.', '/')}.py" if first == "-m" else ROOT / first
    known = texts_in(path)
    own = rest[: rest.index("--")] if "--" in rest else rest
    for option in (word.partition("=")[0] for word in own if word.startswith("--")):
        assert option in known, f"{path.name} has no option {option}"


def texts_in(path: Path) -> set[str]:
    """All texts in a Python file, which its options are among, and in those beside it that it imports from."""
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    beside = [path.with_name(f"{node.module}.py") for node in nodes if isinstance(node, ast.ImportFrom)]
    return texts.union(*(texts_in(file) for file in beside if file.is_file()))


def check_pytest(command: Command, project: Project, dry_run: DryRun) -> None:
    """The named files and folders have tests."""
    for word in command.arguments:
        if word.startswith("tests/"):
            assert list(ROOT.glob(word if word.endswith(".py") else f"{word}/**/test_*.py")), f"{word} has no tests"


def check_benchmark(command: Command, project: Project, dry_run: DryRun) -> None:
    """One of the benchmarks has the options."""
    options = {word for word in command.arguments if word.startswith("--")}
    assert any(options <= texts_in(path) for path in (ROOT / "benchmarks").glob("*.py"))


# --- the shell, and other programs ---


def check_in_shell(command: Command, project: Project, dry_run: DryRun) -> None:
    subprocess.run(["bash", "-euc", command.text], cwd=project.folder, check=True)


def check_sums(command: Command, project: Project, dry_run: DryRun) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum on this machine")
    subprocess.run(command.words, cwd=project.folder / "results/mine", check=True)


def check_packages(command: Command, project: Project, dry_run: DryRun) -> None:
    """The packages are those that the cluster's tests name where a program is missing."""
    assert command.text in (ROOT / "tests/cluster/one_node_slurm.py").read_text()


RULES = {
    "snakemake": check_snakemake,
    "make": check_make,
    "python": check_python,
    "pytest": check_pytest,
    "benchmark": check_benchmark,
    "cd": check_in_shell,
    "source": check_in_shell,
    "sha256sum": check_sums,
    "apt-get": check_packages,
}


@pytest.mark.parametrize("command", [pytest.param(one, id=f"{one.page}: {one.text}") for one in COMMANDS])
def test_a_documented_command(command: Command, project: Project, dry_run: DryRun) -> None:
    if command.text not in ELSEWHERE:
        assert command.program in RULES, f"no rule says how to try: {command.text}"
        RULES[command.program](command, project, dry_run)


def test_what_is_tried_elsewhere_is_documented() -> None:
    texts = {command.text for command in COMMANDS} | {"snakemake --lint"}
    assert set(ELSEWHERE) <= texts


def test_commands_are_found_wherever_they_stand() -> None:
    page = """Run `make plan`, or, with a line's end in it, `snakemake --cores
all`; `make` and `top` are names, `--sdm conda` an option, `source: hub` a key.

| a table | `A=b make help` |

```
make run X="a b"    # a comment
cd there && ls -l \\
  deep
# nothing
```

```yaml
make: no command
```
"""
    assert [command.words for command in commands_in(page, "page.md")] == [
        ("make", "run", "X=a b"),
        ("cd", "there"),
        ("ls", "-l", "deep"),
        ("make", "plan"),
        ("snakemake", "--cores", "all"),
        ("snakemake", "--sdm", "conda"),
        ("make", "help"),
    ]


def test_a_target_after_a_configuration_file_is_no_target(project: Project, dry_run: DryRun) -> None:
    """The mistake that was documented: the dry-runs notice it."""
    with pytest.raises(RuntimeError, match=r"table-7\.html"):
        dry_run(("--configfile", "studies/paper.yaml", "results/paper/paper/table-7.html")).result()


@pytest.mark.parametrize("file", ["studies/mine.json", "studies/quoted.yaml"])
def test_a_study_may_be_json_or_have_its_name_in_quotes(file: str, project: Project, dry_run: DryRun) -> None:
    outputs = [outputs for _, outputs in dry_run(("--configfile", file)).result()]
    assert any("results/mine/report.html" in output for output in outputs)
