"""What a module's syntax tree says of its code, kept by the module's content: parsing the library takes a second.

The record lies in the folder in which the workflow runs. Each start of Snakemake reads it, and writes it if it had to
parse a module. It names the version of this code that wrote it; one by another version does not count.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json
from shallower.core.layout import SCRATCH

RECORD = Path(SCRATCH) / "parsed-code.json"
TEMPLATE_NAME = re.compile(r"[\w-]+\.(?:jinja|css)")


@dataclass(frozen=True)
class ParsedModule:
    """What counts of a module.

    Attributes:
        digest: SHA-256, in hexadecimal digits, of the syntax tree without docstrings.
        imports: dotted names of the modules in `import` statements.
        imports_from: of each `from` import the module, the number of leading dots, and the names.
        templates: names of templates and style sheets in the module's texts, docstrings aside.
    """

    digest: str
    imports: list[str]
    imports_from: list[tuple[str, int, list[str]]]
    templates: list[str]


# By content, as scripts share modules.
_asked: dict[str, ParsedModule] = {}


def parsed_module(file: Path) -> ParsedModule:
    """What the code of a module says, parsed now or from the record."""
    found = file.stat()
    content = _content(file, found.st_size, found.st_mtime_ns)
    if content not in _asked:
        _asked[content] = _recorded().get(content) or _parse(file)
    return _asked[content]


@cache
def _content(file: Path, size: int, mtime_ns: int) -> str:
    """The SHA-256 of a file as it is now, read once: scripts share modules."""
    return sha256_of(file)


@cache
def _recorded() -> dict[str, ParsedModule]:
    with suppress(UserError, KeyError, TypeError, AttributeError):  # no record, or none that this code wrote
        record = read_json(RECORD)
        if record["parser"] == sha256_of(Path(__file__)):
            return {content: ParsedModule(**module) for content, module in record["modules"].items()}
    return {}


def keep_parsed() -> None:
    """Write the record, where this process had to parse a module. Modules that it did not ask for leave the record."""
    if _asked.keys() - _recorded().keys():
        modules = {content: asdict(module) for content, module in _asked.items()}
        with suppress(OSError):  # a folder that cannot be written to: the next start parses again
            write_json(RECORD, {"parser": sha256_of(Path(__file__)), "modules": modules})


def _parse(file: Path) -> ParsedModule:
    nodes: list[ast.AST] = []
    tree = _plain(ast.parse(file.read_text(encoding="utf-8"), filename=str(file)), nodes)
    return ParsedModule(
        digest=hashlib.sha256(json.dumps(tree, ensure_ascii=False).encode("utf-8")).hexdigest(),
        imports=sorted({alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}),
        imports_from=[
            (node.module or "", node.level, [alias.name for alias in node.names])
            for node in nodes
            if isinstance(node, ast.ImportFrom)
        ],
        templates=sorted(set(_template_names(nodes))),
    )


def _template_names(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from TEMPLATE_NAME.findall(node.value)


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
