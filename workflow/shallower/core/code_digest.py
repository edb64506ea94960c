"""Which files a script's behaviour depends on, and a digest of their code.

The workflow gives the digest to the script's rule as a parameter, so that an edit reruns exactly the steps that use the
edited code. Comments, docstrings and formatting are not code: they can change without rerunning anything.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from shallower.core.files import sha256_of
from shallower.core.parsed_code import TEMPLATE_NAME, parsed_module

PACKAGE = "shallower"
# The folder of templates and style sheets, next to the package. Code names them by file name in plain strings, and
# templates name others in the same way.
TEMPLATES = "templates"


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
    module = parsed_module(file)
    names = set(module.imports)
    for imported, level, parts in module.imports_from:
        name = _absolute(imported, level, file, library)
        names.update([name, *(f"{name}.{part}" for part in parts)])
    ours = (_files_of_module(name, library) for name in names if name.split(".")[0] == PACKAGE)
    return frozenset().union(*ours) | _templates(module.templates, library)


@cache
def _files_of_module(name: str, library: Path) -> frozenset[Path]:
    """The files that an import of a dotted name runs: its module, and the __init__ of every package above it."""
    above, _, _ = name.rpartition(".")
    place = library.joinpath(*name.split("."))
    files = frozenset(path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())
    return files | _files_of_module(above, library) if above else files


def _absolute(imported: str, level: int, file: Path, library: Path) -> str:
    """The dotted name of the module that names are imported from."""
    if not level:
        return imported
    package = file.relative_to(library).parts[:-level]
    return ".".join([*package, imported] if imported else package)


@cache
def _used_by_template(file: Path, library: Path) -> frozenset[Path]:
    return _templates(TEMPLATE_NAME.findall(file.read_text(encoding="utf-8")), library)


def _templates(names: Iterable[str], library: Path) -> frozenset[Path]:
    return frozenset(path for name in names if (path := library / TEMPLATES / name).is_file())


def _digest_of(file: Path) -> str:
    return parsed_module(file).digest if file.suffix == ".py" else sha256_of(file)
