"""The GLUE files, which are not part of the project: their folder is named by an environment variable."""

import os
from pathlib import Path

import pytest

VARIABLE = "SHALLOWER_GLUE"


def glue_folder() -> Path:
    """The folder with one sub-folder of parquet files for each GLUE task; skips the test where none is named."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"set {VARIABLE} to a folder with the GLUE files to run this test")
    return Path(folder)
