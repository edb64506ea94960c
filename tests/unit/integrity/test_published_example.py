"""The finished run that the repository ships, as it stands there."""

from pathlib import Path

from shallower.integrity.verify import verify

EXAMPLE = Path(__file__).parents[3] / "results" / "example"
MAX_FILES = 60
MAX_BYTES = 4_000_000


def test_every_file_has_the_checksum_that_the_record_states():
    assert verify(EXAMPLE) == sum(1 for file in EXAMPLE.rglob("*") if file.is_file()) - 1  # all but the list itself


def test_it_is_small_enough_for_a_repository():
    files = [file for file in EXAMPLE.rglob("*") if file.is_file()]
    assert len(files) <= MAX_FILES
    assert sum(file.stat().st_size for file in files) <= MAX_BYTES
