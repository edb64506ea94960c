"""The JSON schema of a study, generated from its settings: for editors, for readers, and for wording problems.

python -m shallower.study.schema    writes workflow/schemas/study.schema.yaml
"""

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from shallower.core.files import write_text
from shallower.study.messages import KeyPath
from shallower.study.settings import StudySettings
from shallower.study.step_settings import Settings

SCHEMA_FILE = Path(__file__).parents[2] / "schemas" / "study.schema.yaml"
HEADING = "# Generated from workflow/shallower/study/settings.py by `make docs`; do not edit.\n"

# pydantic uses these for numbers that have further checks.
LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a study; not to be changed."""
    generated = StudySettings.model_json_schema()
    _describe(generated, StudySettings)
    for settings in _subclasses(Settings):
        _describe(generated["$defs"].get(settings.__name__, {}), settings)
    generated = _tidied(generated)
    definitions = generated.pop("$defs")
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A study"}
    return {**dialect, **generated, "$defs": definitions}


def _describe(rule: dict[str, Any], settings: type[Settings]) -> None:
    """Add the texts below the keys of a class and of its bases, which pydantic would read at every start."""
    for owner in reversed(settings.mro()):
        if issubclass(owner, Settings):
            for name, text in _texts_below(owner):
                if name in rule.get("properties", {}):
                    rule["properties"][name]["description"] = text


def _texts_below(settings: type[Settings]) -> Iterator[tuple[str, str]]:
    """Each key of a class, without its bases, that has a text below it, and this text."""
    (definition,) = ast.parse(inspect.getsource(settings)).body
    assert isinstance(definition, ast.ClassDef)
    for key, below in pairwise(definition.body):
        if isinstance(key, ast.AnnAssign) and isinstance(below, ast.Expr):
            yield ast.unparse(key.target), ast.literal_eval(below.value)


def _subclasses(settings: type[Settings]) -> Iterator[type[Settings]]:
    for subclass in settings.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _tidied(node: Any) -> Any:
    """The schema with standard names, descriptions on one line and in the first place, and no titles."""
    if isinstance(node, list):
        return [_tidied(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    rules = {LIMITS.get(key, key): _tidied(value) for key, value in node.items() if key not in ("title", "properties")}
    if "properties" in node:  # whose keys are names, such as "title"
        rules["properties"] = {name: _tidied(rule) for name, rule in node["properties"].items()}
    if "description" not in rules:
        return rules
    return {"description": " ".join(rules.pop("description").split()), **rules}


def schema_text() -> str:
    """The content of the schema's file."""
    return f"{HEADING}{yaml.safe_dump(schema(), sort_keys=False, allow_unicode=True, width=120)}"


def locate(place: Sequence[int | str]) -> tuple[KeyPath, Mapping[str, Any]]:
    """The path in a study of what pydantic found a problem with, and the rule of the schema for it.

    pydantic's own path also has the variant of an entry that it checked, such as "hub" in models, 0, hub, revision.
    """
    path: list[int | str] = []
    rule: Mapping[str, Any] = schema()
    for part in place:
        rule = _dereferenced(rule)
        if "oneOf" in rule:
            rule = {"$ref": rule["discriminator"]["mapping"][part]} if "discriminator" in rule else {}
        else:
            rule = rule.get("items", {}) if isinstance(part, int) else rule.get("properties", {}).get(part, {})
            path.append(part)
    return tuple(path), _dereferenced(rule)


def _dereferenced(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = rule.get("$ref")
    return schema()["$defs"][reference.removeprefix("#/$defs/")] if reference else rule


if __name__ == "__main__":
    write_text(SCHEMA_FILE, schema_text())
