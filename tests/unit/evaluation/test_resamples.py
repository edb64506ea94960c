"""Resampled scores on disk."""

import numpy as np
import pytest

from shallower.core.errors import UserError
from shallower.evaluation.resamples import collect_resamples, read_collected, read_resamples, write_resamples


def test_resamples_come_back_by_directory(tmp_path):
    values = {f"{tmp_path}/run{run}": np.linspace(run, run + 0.5, 7) for run in range(3)}
    for directory, scores in values.items():
        write_resamples(f"{directory}/resamples.npy", scores)
    collect_resamples(list(values), tmp_path / "resamples.parquet")
    found = read_collected(tmp_path / "resamples.parquet")
    assert list(found) == list(values)
    for directory, scores in values.items():
        np.testing.assert_allclose(found[directory], scores, atol=1e-6)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"resamples.npy: file not found"):
        read_resamples(tmp_path / "resamples.npy")
    (tmp_path / "resamples.npy").write_bytes(b"no array")
    with pytest.raises(UserError, match=r"resamples.npy: not an array"):
        read_resamples(tmp_path / "resamples.npy")
    (tmp_path / "resamples.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match=r"resamples.parquet: not a table"):
        read_collected(tmp_path / "resamples.parquet")
