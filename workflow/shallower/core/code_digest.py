"""Which files a script's behaviour depends on, and a digest of their code.

The workflow gives the digest to the script's rule as a parameter, so that an edit reruns exactly the steps that use the
edited code. Comments, docstrings and formatting are not code: they can change without rerunning anything.
"""

import ast
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from shallower.core.files import canonical_json, sha256_of

PACKAGE = "shallower"
# The folder of templates and style sheets, next to the package. Code names them by file name in plain strings, and
# templates name others in the same way.
TEMPLATES = "templates"
TEMPLATE_NAME = re.compile(r"[\w-]+\.(?:jinja|css)")


def code_files(script: Path, library: Path) -> list[Path]:
    """The script first, then every module and template that it uses, directly or through others, sorted.

    `library` is the folder that holds the package, and `templates`. Imports inside functions count as well.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        used = _used_by_module(file, library) if file.suffix == ".py" else _used_by_template(file, library)
        waiting += used - found
        found |= used
    return [script, *sorted(found)]


def code_digest(files: Iterable[Path], library: Path) -> str:
    """SHA-256, in hexadecimal digits, of files' names below `library` and their code.

    The code of a Python module is its syntax tree without docstrings; that of a template its content.
    """
    lines = (f"{file.relative_to(library).as_posix()} {_digest_of(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


@cache
def _used_by_module(file: Path, library: Path) -> frozenset[Path]:
    names: set[str] = set()
    templates: set[Path] = set()
    for node in ast.walk(_parse(file)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, file, library)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            templates |= _templates_in(node.value, library)
    ours = (name.split(".") for name in names if name.split(".")[0] == PACKAGE)
    # An import of a module runs the __init__ of every package above it.
    candidates = (library.joinpath(*parts[:depth]) for parts in ours for depth in range(1, len(parts) + 1))
    modules = (
        path for name in candidates for path in (name.with_suffix(".py"), name / "__init__.py") if path.is_file()
    )
    return frozenset({*modules, *templates})


def _absolute(node: ast.ImportFrom, file: Path, library: Path) -> str:
    """The dotted name of the module that names are imported from."""
    if not node.level:
        return node.module or ""
    package = file.relative_to(library).parts[: -node.level]
    return ".".join([*package, node.module] if node.module else package)


@cache
def _used_by_template(file: Path, library: Path) -> frozenset[Path]:
    return _templates_in(file.read_text(encoding="utf-8"), library)


def _templates_in(text: str, library: Path) -> frozenset[Path]:
    names = (library / TEMPLATES / name for name in TEMPLATE_NAME.findall(text))
    return frozenset(path for path in names if path.is_file())


def _digest_of(file: Path) -> str:
    content = sha256_of(file)
    return _syntax_digest(file, content) if file.suffix == ".py" else content


# Many scripts share modules, and parsing is slow. The content is part of the cache's key.
@cache
def _syntax_digest(file: Path, _content: str) -> str:
    return hashlib.sha256(canonical_json(_plain(_parse(file))).encode("utf-8")).hexdigest()


def _parse(file: Path) -> ast.Module:
    """The syntax tree of a module without its docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
    return tree


def _plain(node: Any) -> Any:
    """A syntax tree as lists and texts.

    Unlike `ast.dump`, it leaves out empty fields, so that fields that a later Python adds to the tree change nothing.
    """
    match node:
        case ast.AST():
            fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
            return [type(node).__name__, *([name, _plain(value)] for name, value in fields)]
        case list():
            return [_plain(part) for part in node]
        case _:
            return repr(node)
