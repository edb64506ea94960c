"""Packages that only exports need."""

import importlib.util

import pytest

from shallower.core.errors import UserError
from shallower.export.packages import PACKAGES, check_installed, required


def test_what_the_project_installs_is_enough():
    check_installed()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_missing_package_is_named_before_anything_is_computed(package, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(UserError, match=f"package {package} is not installed.*deliver.runtimes"):
        check_installed()


def test_a_step_names_what_it_lacks():
    with pytest.raises(
        UserError, match="package not_there is not installed, which the runtimes onnx and onnx-int8 need"
    ):
        required("not_there.module")
