"""The documentation names what there is: files, headings, rules and packages. Its commands have tests of their own."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from test_packages import ALLOWED

from documented import PAGES, PRESENT, ROOT, code_of, commands_in, name_of, unexplained_columns
from shallower.planning import missing
from shallower.reporting import results

# Names that readers replace by their own.
EXAMPLES = {"studies/mine.yaml", "..."}
FOLDERS = "workflow|tests|docs|studies|benchmarks|profiles|envs|results/(?:example|oracle|twelve-layers(?:-seeds)?)"


def commands(page: Path, program: str) -> Iterator[tuple[str, ...]]:
    """The arguments of each command of a program."""
    found = commands_in(page.read_text(encoding="utf-8"), name_of(page))
    return (command.arguments for command in found if command.program == program)


@cache
def targets() -> frozenset[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE))


def headings(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_readme_names_the_targets_of_a_first_day():
    named = {argument for found in commands(ROOT / "README.md", "make") for argument in found}
    assert {"run", "test", "plan", "lint", "help", "verify", "paper-smoke", "run-slurm"} <= named


@pytest.mark.parametrize("page", PRESENT, ids=name_of)
def test_studies_in_commands_exist(page: Path):
    named = set()
    for program in ("make", "snakemake"):
        for arguments in commands(page, program):
            named |= {argument.removeprefix("STUDY=") for argument in arguments if argument.startswith("STUDY=")}
            named |= {after for before, after in pairwise(arguments) if before == "--configfile"}
    assert [name for name in sorted(named - EXAMPLES) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue  # another site, or mail
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and anchor not in headings(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PRESENT, ids=name_of)
def test_paths_in_code_exist(page: Path):
    paths = {path for code in code_of(page) for path in re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./*{{}}-]*", code)}
    missing = [path for path in sorted(paths - EXAMPLES) if "{" not in path and not list(ROOT.glob(path.rstrip("/.")))]
    assert missing == []


def test_columns_of_tables_are_explained():
    """Those of other tables: where these are tested."""
    assert unexplained_columns(results.COLUMNS, "results.csv") == []
    assert unexplained_columns(missing.COLUMNS, "missing.csv") == []
    assert unexplained_columns(["speedup_batch1"], "missing.csv") == ["speedup_batch1"]


# --- CONTRIBUTING.md ---


def test_registries_are_where_contributors_are_sent():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"an entry of `(\w+)` in `([\w/.]+)`", text)
    assert len(named) >= 5
    library = ROOT / "workflow" / "shallower"
    missing = {
        name
        for name, path in named
        if not (library / path).is_file()
        or not re.search(rf"^{name}\b.* = ", (library / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert missing == set()


# --- docs/architecture.md ---

ARCHITECTURE = ROOT / "docs" / "architecture.md"


def pictures() -> list[str]:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    return re.findall(r"^```mermaid\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def reachable(package: str) -> set[str]:
    """Packages that a package imports, directly or through others."""
    direct = set(ALLOWED[package].split())
    return direct.union(*map(reachable, direct))


def test_picture_of_packages_is_the_table():
    packages, _ = pictures()
    drawn = sorted(re.findall(r"^  (\w+) --> (\w+)$", packages, flags=re.MULTILINE))
    # Arrows that do not follow from others.
    expected = sorted(
        (package, below)
        for package, allowed in ALLOWED.items()
        for below in allowed.split()
        if not any(below in reachable(other) for other in allowed.split())
    )
    assert drawn == expected


def test_every_package_is_described():
    described = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(described) == sorted(ALLOWED)


def test_picture_of_the_data_has_every_rule_in_its_file():
    _, data = pictures()
    drawn = {
        file: set(names.split())
        for file, names in re.findall(
            r'^  subgraph \w+\["([\w.]+)"\]\n(.*?)^  end$', data, flags=re.MULTILINE | re.DOTALL
        )
    }
    rules = {
        file.name: set(
            re.findall(r"^(?:rule|checkpoint|use rule \w+ as) (\w+)(?::| with:)$", file.read_text(), flags=re.MULTILINE)
        )
        for file in (ROOT / "workflow" / "rules").glob("*.smk")
    }
    assert drawn == {file: names for file, names in rules.items() if names}
    boxes = set().union(*drawn.values())
    ends = re.findall(r'(\w+)(?: -- "[^"]*")? --> ?|--> (\w+)', data)
    assert {name for pair in ends for name in pair if name} <= boxes


# --- docs/glossary.md ---


def test_glossary_is_sorted():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split("Words to avoid")[0]
    terms = re.findall(r"^\| ([^|]+) \|", text, flags=re.MULTILINE)
    keys = [re.sub(r"[^a-z ]", "", term.lower()) for term in terms if term not in ("term", "---")]
    assert len(keys) > 30
    assert keys == sorted(keys)


# --- hosted CI and pre-commit ---


def test_ci_runs_targets_that_exist():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    commands = [step["run"].split() for job in jobs.values() for step in job["steps"] if "run" in step]
    assert {command[0] for command in commands} == {"make"}
    named = {command[1] for command in commands if not command[1].startswith("$")}
    assert {"lint", "test", "run", "verify"} <= named
    assert named | set(jobs["slow"]["strategy"]["matrix"]["target"]) <= targets()


def test_ci_tries_the_oldest_python_that_is_supported():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    oldest = jobs["check"]["strategy"]["matrix"]["python"][0]
    assert f"py{oldest.replace('.', '')}" == project["tool"]["ruff"]["target-version"]
    assert oldest == project["tool"]["mypy"]["python_version"]


def test_pre_commit_has_the_locked_versions():
    lock = set((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    pins = {pin for hook in hooks for pin in hook["additional_dependencies"] if not pin.startswith("pre-commit-hooks")}
    assert len(pins) == 2
    assert pins <= lock
