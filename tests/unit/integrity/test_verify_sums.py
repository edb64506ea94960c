"""What `verify` says of a study without a record, with a remedy that can be pasted."""

from pathlib import Path

import pytest

from shallower.core.errors import UserError
from shallower.integrity.verify import verify


@pytest.mark.parametrize("sums", ["", "no sum"])
def test_a_study_without_a_record(tmp_path: Path, sums: str):
    (tmp_path / "SHA256SUMS").write_text(sums)
    with pytest.raises(UserError, match=r"snakemake --cores all --forcerun record_study \(and your --configfile\)"):
        verify(tmp_path)
