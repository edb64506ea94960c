"""Which files a script's behaviour depends on, and a digest of their code.

The workflow gives the digest to the script's rule as a parameter, so that an edit reruns exactly the steps that use the
edited code. Comments, docstrings and formatting are not code: they can change without rerunning anything.
"""

import ast
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Module:
    """The digest of a module's code, and the names and texts in it that say which files it uses."""

    digest: str
    imports: tuple[ast.Import, ...]
    imports_from: tuple[ast.ImportFrom, ...]
    texts: tuple[str, ...]


@cache
def _used_by_module(file: Path, library: Path) -> frozenset[Path]:
    module = _module(file, sha256_of(file))
    names = {alias.name for node in module.imports for alias in node.names}
    for node in module.imports_from:
        name = _absolute(node, file, library)
        names.update([name, *(f"{name}.{alias.name}" for alias in node.names)])
    ours = (name.split(".") for name in names if name.split(".")[0] == PACKAGE)
    # An import of a module runs the __init__ of every package above it.
    candidates = {library.joinpath(*parts[:depth]) for parts in ours for depth in range(1, len(parts) + 1)}
    modules = (
        path for name in candidates for path in (name.with_suffix(".py"), name / "__init__.py") if path.is_file()
    )
    return frozenset(modules).union(*(_templates_in(text, library) for text in module.texts))


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
    return _module(file, content).digest if file.suffix == ".py" else content


# Many scripts share modules, and parsing is slow. The content is part of the cache's key.
@cache
def _module(file: Path, _content: str) -> _Module:
    nodes: list[ast.AST] = []
    tree = _plain(ast.parse(file.read_text(encoding="utf-8"), filename=str(file)), nodes)
    return _Module(
        hashlib.sha256(canonical_json(tree).encode("utf-8")).hexdigest(),
        tuple(node for node in nodes if isinstance(node, ast.Import)),
        tuple(node for node in nodes if isinstance(node, ast.ImportFrom)),
        tuple(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)),
    )


def _plain(node: Any, nodes: list[ast.AST]) -> Any:
    """A syntax tree without docstrings as lists and texts; each of its nodes is added to `nodes`.

    Unlike `ast.dump`, it leaves out empty fields, so that fields that a later Python adds to the tree change nothing,
    and whether a name is read or written, which its place in the tree says.
    """
    if isinstance(node, ast.AST):
        nodes.append(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
        plain: list[Any] = [type(node).__name__]
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name != "ctx":
                plain.append([name, _plain(value, nodes)])
        return plain
    if isinstance(node, list):
        return [_plain(part, nodes) for part in node]
    return repr(node)
