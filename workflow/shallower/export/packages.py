"""Packages that only exports need, imported where they are used: without one of them a step says how to get it."""

import importlib
from typing import Any

from shallower.core.errors import UserError


def required(name: str) -> Any:
    """Import a module. Raises UserError when it, or a package that it needs, is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or name).partition(".")[0]
        raise UserError(
            f"the Python package {package} is not installed, which the runtimes onnx and onnx-int8 need; install it "
            "(requirements.lock has its version), or leave these runtimes out of the study"
        ) from None
