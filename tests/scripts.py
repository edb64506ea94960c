"""Scripts of the workflow as modules, to be called by tests without a process of their own."""

import importlib.util
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parents[1] / "workflow" / "scripts"


def load_script(name: str) -> ModuleType:
    """A script as a module; it is not run."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def run_script(name: str, **arguments: Any) -> None:
    """What a script does with these arguments."""
    load_script(name).main(Namespace(**arguments))
