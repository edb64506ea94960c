"""The keys of a study: their descriptions and defaults, and the names that they share with the rest of the library."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from shallower.engine.training import TrainSettings
from shallower.paper.names import PAPER_MODELS, SEVEN
from shallower.sources.model_sources import MODEL_SOURCES
from shallower.sources.task_sources import TASK_SOURCES
from shallower.study import names
from shallower.study.schema import SCHEMA_FILE, locate, schema, schema_text
from shallower.study.settings import Training


def keys(rule: Any, path: str = "study") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key below a rule of the schema, with its own rule."""
    if isinstance(rule, dict):
        for name, inner in rule.get("properties", {}).items():
            yield f"{path}.{name}", inner
        for name, inner in rule.items():
            yield from keys(inner, f"{path}.{name}")
    elif isinstance(rule, list):
        for inner in rule:
            yield from keys(inner, path)


def test_the_schema_is_generated_from_the_settings():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run `make docs`"


def test_every_key_is_described():
    described = {path: rule.get("description", "") for path, rule in keys(schema())}
    assert len(described) > 100
    assert [path for path, text in described.items() if len(text) < 10] == []


def test_the_schema_states_the_limits_that_are_checked():
    assert schema()["$defs"]["Evaluate"]["properties"]["confidence"] == {
        "description": "Level of the bootstrap intervals.",
        "default": 0.95,
        "minimum": 0.5,
        "maximum": 0.999,
        "type": "number",
    }
    assert schema()["$defs"]["Report"]["properties"]["tolerances"]["items"] == {
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 100,
        "type": "number",
    }
    assert schema()["$defs"]["HubModel"]["properties"]["revision"]["pattern"] == "^[0-9a-f]{40}$"
    assert schema()["$defs"]["Strategy"]["properties"]["models"]["uniqueItems"]
    assert all(rule["additionalProperties"] is False for rule in [schema(), *schema()["$defs"].values()])


@pytest.mark.parametrize(("axis", "registry"), [("models", MODEL_SOURCES), ("tasks", TASK_SOURCES)])
def test_a_study_can_name_every_registered_source(axis: str, registry: dict[str, Any]):
    variants = schema()["properties"][axis]["items"]["oneOf"]
    settings = [schema()["$defs"][variant["$ref"].rpartition("/")[2]] for variant in variants]
    assert {rule["properties"]["source"]["const"] for rule in settings} == set(registry)


def test_optional_keys_have_no_default_that_could_not_be_written():
    rules = dict(keys(schema()))
    assert "default" not in rules["study.$defs.GlueTask.counterpart"]
    assert "default" not in rules["study.refine"]  # whose keys are by default those of train
    assert rules["study.glue_directory"]["default"] is None


@pytest.mark.parametrize(
    ("place", "path", "rule"),
    [
        (("train", "epochs"), ("train", "epochs"), {"minimum": 0}),
        (("models", 0, "hub", "revision"), ("models", 0, "revision"), {"type": "string"}),
        (("tasks", 3, "glue", "metrics", 1), ("tasks", 3, "metrics", 1), {"enum": list(names.METRIC_NAMES)}),
        (("tasks", 3, "files", "files"), ("tasks", 3, "files"), {}),  # an unknown key of the variant's name
        (("strategies", 0, "amounts", 2, "layers", 1), ("strategies", 0, "amounts", 2, 1), {}),
        ((), (), {"title": "A study"}),
    ],
)
def test_places_in_a_study_are_those_of_pydantic_without_variants(place, path, rule):
    found, found_rule = locate(place)
    assert found == path
    assert rule.items() <= found_rule.items()


def test_defaults_of_training_are_those_of_the_engine():
    assert Training().model_dump(exclude={"max_length", "class_weights"}) == asdict(TrainSettings())


def test_names_are_those_of_the_registries():
    assert tuple(PAPER_MODELS) == names.PAPER_MODELS
    assert sorted(names.PAPER_TASKS) == sorted(SEVEN)
