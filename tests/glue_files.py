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


def glue_file(subset: str, split: str) -> Path:
    """A file of that folder; skips the test where the folder has only other parts of GLUE."""
    path = glue_folder() / subset / f"{split}.parquet"
    if path.parents[1].is_dir() and not path.exists():
        pytest.skip(f"{path} is not there; the folder has a part of GLUE")
    return path
