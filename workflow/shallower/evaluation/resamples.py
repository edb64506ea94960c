"""The primary score of a run on resampled validation examples, from which all intervals are computed.

The rows of a resample are the same in every run of a task (see `shallower.evaluation.bootstrap`), so that the
differences of two runs' resampled scores are those of a paired bootstrap.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.files import write_bytes
from shallower.core.parquet import write_parquet

FILE = "resamples.npy"


def write_resamples(path: str | Path, values: NDArray[Any]) -> None:
    """Write the resampled scores [samples] of a run."""
    content = io.BytesIO()
    np.save(content, values.astype(np.float32), allow_pickle=False)
    write_bytes(path, content.getvalue())


def read_resamples(path: str | Path) -> NDArray[np.float32]:
    """Read the resampled scores of a run. Raises UserError when the file is missing or damaged."""
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not an array ({error}); delete the file and run again") from None


def collect_resamples(directories: Sequence[str], path: str | Path) -> None:
    """Gather the resampled scores of runs in a parquet file: one row a run, with its directory and its values."""
    values = [read_resamples(Path(directory, FILE)) for directory in directories]
    table = pa.table({"directory": list(directories), "values": pa.array(values, pa.list_(pa.float32()))})
    write_parquet(path, table)


def read_collected(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Resampled scores [samples] by the run's directory. Raises UserError when the file is missing or damaged."""
    try:
        table = parquet.read_table(path, columns=["directory", "values"])
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a table ({error}); delete the file and run again") from None
    values = table["values"].combine_chunks()
    width = len(values.flatten()) // max(1, len(values))
    matrix = values.flatten().to_numpy().astype(np.float64).reshape(len(values), width)
    return dict(zip(table["directory"].to_pylist(), matrix, strict=True))
