"""The library's packages and the imports that are allowed between them."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "workflow" / "shallower"

# What each package may import; a package stands above all that it names.
ALLOWED = {
    "core": "",
    "task_kinds": "core",
    "models": "core",
    "surgery": "core models",
    "serving": "core models",
    "evaluation": "core task_kinds",
    "sources": "core models task_kinds",
    "steps": "core models serving surgery",
    "study": "core models surgery sources steps evaluation task_kinds",
    "engine": "core models evaluation task_kinds",
    "delivery": "core task_kinds models sources evaluation engine",
    "analysis": "core models surgery evaluation engine task_kinds",
    "export": "core models engine",
    "planning": "core models sources steps study surgery",
    "proposals": "core models planning sources steps study task_kinds",
    "reporting": "core evaluation surgery task_kinds",
    "paper": "core models surgery sources evaluation analysis reporting",
    "oracle": "core models surgery evaluation reporting",
    "integrity": "core delivery models study surgery",
}
FILES = sorted(LIBRARY.rglob("*.py"))


def package_of(file: Path) -> str:
    return file.relative_to(LIBRARY).parts[0]


@cache
def imports(file: Path) -> set[str]:
    """Dotted names below `shallower` that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative imports are not used"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name.removeprefix("shallower.") for name in names if name.startswith("shallower.")}


def arrows() -> dict[str, set[str]]:
    """The packages that each package imports."""
    found: dict[str, set[str]] = {package: set() for package in ALLOWED}
    for file in FILES:
        if file.parent != LIBRARY:
            found[package_of(file)] |= {name.split(".")[0] for name in imports(file)} - {package_of(file)}
    return found


def test_packages_import_only_what_stands_below_them():
    assert {package: " ".join(sorted(found)) for package, found in arrows().items()} == {
        package: " ".join(sorted(allowed.split())) for package, allowed in ALLOWED.items()
    }


def test_every_package_stands_above_what_it_imports():
    floors: dict[str, int] = {}
    for package, allowed in ALLOWED.items():
        # A KeyError names a package that is listed below one that imports it.
        floors[package] = max((floors[below] + 1 for below in allowed.split()), default=0)
    assert set(floors) == {path.name for path in LIBRARY.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_modules_do_not_import_each_other_in_circles():
    modules = {".".join(file.relative_to(LIBRARY).with_suffix("").parts): file for file in FILES}
    uses = {name: _with_parents(imports(file)) & set(modules) for name, file in modules.items()}
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' -> '.join([*path, name])}"
        if name not in finished:
            for used in uses[name]:
                visit(used, (*path, name))
            finished.add(name)

    for name in modules:
        visit(name, ())


def _with_parents(names: set[str]) -> set[str]:
    """Dotted names and those that they begin with: a name may be of something inside a module."""
    return {".".join(parts[:end]) for name in names for parts in [name.split(".")] for end in range(1, len(parts) + 1)}


@pytest.mark.parametrize("file", [file for file in FILES if file.name == "__init__.py"], ids=str)
def test_packages_have_no_code_of_their_own(file: Path):
    body = ast.parse(file.read_text(encoding="utf-8")).body
    assert [node for node in body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))] == []


def test_the_library_does_not_import_snakemake():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert "import snakemake" not in text and "from snakemake" not in text, file
