"""A tiny model, and delivered folders of it."""

from pathlib import Path

import pytest

from delivered_models import Material, prepare
from shallower.delivery import check


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return prepare(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="session")
def delivered_folder(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delivered folder, not to be changed."""
    return material.make(tmp_path_factory.mktemp("delivered") / "minilm" / "mrpc")


@pytest.fixture(scope="session")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of a regression on pairs of texts."""
    folder = tmp_path_factory.mktemp("pairs")
    return prepare(folder, has_pair=True, regression=True).make(folder / "minilm" / "stsb")


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form for PyTorch is left out, as where torch is not installed."""
    installed = check._is_installed
    monkeypatch.setattr(check, "_is_installed", lambda package: package != "torch" and installed(package))
