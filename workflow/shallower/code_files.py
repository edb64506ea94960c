"""Which files a script's behaviour depends on, found by reading its import statements.

The workflow gives their digest to the script's rule, so that an edit reruns exactly the steps whose code it is.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from shallower.files import sha256_of

PACKAGE = "shallower"


def code_files(script: Path, library: Path) -> list[Path]:
    """The script first, then every library module that it imports, directly or through others, sorted.

    `library` is the folder that holds the package. Imports inside functions count as well.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for module in _imported_modules(waiting.pop(), library):
            if module not in found:
                found.add(module)
                waiting.append(module)
    return [script, *sorted(found)]


def code_digest(files: Iterable[Path], library: Path) -> str:
    """SHA-256 of files' names below `library` and of their contents, as hexadecimal digits."""
    lines = (f"{file.relative_to(library).as_posix()} {sha256_of(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


@cache
def _imported_modules(file: Path, library: Path) -> frozenset[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    ours = (name.split(".") for name in names if name.split(".")[0] == PACKAGE)
    # An import of a module runs the __init__ of every package above it.
    candidates = (library.joinpath(*parts[:depth]) for parts in ours for depth in range(1, len(parts) + 1))
    modules = (
        path for name in candidates for path in (name.with_suffix(".py"), name / "__init__.py") if path.is_file()
    )
    return frozenset(modules)
