"""The syntax of a study's file: readable, YAML or JSON, every key once, nothing to execute.

YAML readers silently keep the last of repeated keys, so that half of a study could be ignored.

    python -m shallower.study.file FILE           reports what is wrong with a file, before Snakemake reads it
    python -m shallower.study.file --name FILE    prints the name of the study
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from shallower.core.errors import UserError

# Far beyond any study; aliases (*name) can make a short file a huge one.
MAX_VALUES = 200_000
MAX_DEPTH = 50

# With this key Snakemake runs Python code in the file.
TEMPLATE_KEY = "__use_yte__"
PYTHON_TAG = "tag:yaml.org,2002:python/"

# A name that can be a folder's.
NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"


def check_study_file(path: str | Path) -> None:
    """Raise UserError, with the line and a remedy, unless a file is one valid mapping in YAML or JSON."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: file not found; name a study with --configfile") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}: line {line} is not UTF-8; convert the file to UTF-8") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); name a file that holds a study") from None
    try:
        if not _is_json(path, text):
            _check_yaml(path, text)
    except RecursionError:
        raise UserError(f"{path}: nested too deeply to be a study; see config.yaml for one") from None


def _is_json(path: str | Path, text: str) -> bool:
    """Whether a text is JSON, which Snakemake tries first. Raises UserError for a repeated key."""

    def mapping(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key, value in pairs:
            if key in content:
                raise UserError(f"{path}: the key {key!r} is there twice in one mapping; remove one of them")
            content[key] = value
        return content

    try:
        content = json.loads(text, object_pairs_hook=mapping)
    except ValueError:
        return False
    if not isinstance(content, dict):
        raise _not_a_mapping(path)
    return True


def _check_yaml(path: str | Path, text: str) -> None:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise UserError(f"{path}: {place}not YAML ({said}); correct this line or the one before it") from None
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())}); remove such characters") from None
    if root is None:
        raise UserError(f"{path}: the file is empty; write a study, as config.yaml is one")
    if not isinstance(root, yaml.MappingNode):
        raise _not_a_mapping(path)
    count = 0
    waiting: list[tuple[yaml.Node, int]] = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            raise UserError(
                f"{path}: {_line(node)}: nested too deeply or too large to be a study; check the aliases (*name)"
            )
        if node.tag.startswith(PYTHON_TAG):
            raise UserError(f"{path}: {_line(node)}: Python objects are not read; write a plain value")
        if isinstance(node, yaml.MappingNode):
            _check_keys(path, node)
            waiting += [(value, depth + 1) for pair in node.value for value in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(value, depth + 1) for value in node.value]
        else:
            _check_value(path, node)


def _check_keys(path: str | Path, node: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise UserError(f"{path}: {_line(key)}: a key is a list or a mapping; write a name")
        if key.value == TEMPLATE_KEY:
            raise UserError(f"{path}: {_line(key)}: {TEMPLATE_KEY} would run code in the file; remove it")
        line = key.start_mark.line + 1
        if (first := lines.get((key.tag, key.value))) is not None:
            raise UserError(
                f"{path}: line {line}: the key {key.value!r} is in line {first} already; remove or merge one of them"
            )
        lines[key.tag, key.value] = line


def _check_value(path: str | Path, node: yaml.Node) -> None:
    """Refuse what looks like a number or a date but is not one, such as 2026-13-45."""
    try:
        yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{path}: {_line(node)}: {node.value[:80]!r} cannot be read ({said}); correct it") from None


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _not_a_mapping(path: str | Path) -> UserError:
    return UserError(f"{path}: does not hold keys and values at its top level (study: ..., models: ...); correct it")


def read_study(path: str | Path) -> dict[str, Any]:
    """The content of a study's file. Raises UserError as `check_study_file` does."""
    check_study_file(path)
    # JSON first, as Snakemake does: YAML does not read all of it.
    text = Path(path).read_bytes().decode("utf-8-sig")
    content: dict[str, Any] = json.loads(text) if _is_json(path, text) else yaml.safe_load(text)
    return content


def study_name(path: str | Path) -> str:
    """The name of the study in a file. Raises UserError as `check_study_file` does, and when there is no valid name."""
    name = read_study(path).get("study")
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise UserError(f"{path}: study: {name!r} is not a name; write letters, digits, '.', '_' and '-'")
    return name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Check the syntax of a study's file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--name", action="store_true", help="print the name of the study")
    arguments = parser.parse_args()
    try:
        if arguments.name:
            print(study_name(arguments.file))
        else:
            check_study_file(arguments.file)
    except UserError as error:
        sys.exit(f"error: {error}")
