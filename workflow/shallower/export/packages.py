"""Packages that only exports need, imported where they are used: without one of them a step says how to get it."""

import importlib
import importlib.util
from typing import Any

from shallower.core.errors import UserError

PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def check_installed() -> None:
    """Raise UserError, naming the first, where one of `PACKAGES` is not installed; none is imported."""
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise _not_installed(package)


def required(name: str) -> Any:
    """Import a module. Raises UserError when it, or a package that it needs, is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or name).partition(".")[0]
        raise _not_installed(package) from None


def _not_installed(package: str) -> UserError:
    return UserError(
        f"the Python package {package} is not installed, which the runtimes onnx and onnx-int8 need; install it "
        "(requirements.lock has its version), or leave these runtimes out of the study: deliver.runtimes"
    )
