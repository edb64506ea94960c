"""The finished runs that the repository ships, as they stand there."""

from pathlib import Path

import pytest

from shallower.integrity.verify import verify

PUBLISHED = sorted(file.parent for file in (Path(__file__).parents[3] / "results").glob("*/SHA256SUMS"))
MAX_FILES = 60
MAX_BYTES = 6_000_000


def test_there_are_some():
    assert {"example", "oracle", "twelve-layers", "twelve-layers-seeds"} == {folder.name for folder in PUBLISHED}


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_every_file_has_the_checksum_that_the_record_states(folder: Path):
    assert verify(folder) == sum(1 for file in folder.rglob("*") if file.is_file()) - 1  # all but the list itself


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_it_is_small_enough_for_a_repository(folder: Path):
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) <= MAX_FILES
    assert sum(file.stat().st_size for file in files) <= MAX_BYTES
