"""A family that cannot be exported to ONNX is refused by name, before anything is trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from project import tiny_study
from shallower.core.errors import UserError
from shallower.models.families import FAMILIES
from shallower.sources.models import fetch_model
from shallower.study.resolve import resolve_study

REFUSED = "models of the family bert cannot be exported to ONNX: it is too new; leave out the ONNX runtimes"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A study of a model on this machine whose family cannot be exported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(FAMILIES, "bert", replace(FAMILIES["bert"], no_onnx="it is too new"))
    return tiny_study(tmp_path) | {"budget": {"layers": 3}}


@pytest.mark.parametrize("deliver", [{}, {"runtimes": ["torch", "onnx-int8"]}])
def test_a_model_on_this_machine_is_refused_with_the_study(study, deliver):
    with pytest.raises(UserError) as caught:
        resolve_study(study | {"deliver": deliver})
    message = str(caught.value)
    assert f"models[0] (bert): {REFUSED}" in message
    assert "or choose a model of one of these families: roberta, " in message


def test_without_exports_it_is_taken(study):
    assert not resolve_study(study).exports_onnx
    assert not resolve_study(study | {"deliver": {"runtimes": ["torch"]}}).exports_onnx


def test_another_model_is_refused_when_it_is_fetched(study, tmp_path):
    definition = resolve_study(study).model_definition("bert")
    with pytest.raises(UserError, match=f"model bert: {REFUSED}"):
        fetch_model(definition, tmp_path / "out", to_export=True)
    assert not any((tmp_path / "out").iterdir())
    fetch_model(definition, tmp_path / "out")
