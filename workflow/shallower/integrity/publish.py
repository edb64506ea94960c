"""Publish a finished study: what people read, without models and the files of single runs."""

import shutil
from pathlib import Path, PurePosixPath

from shallower.core import layout
from shallower.core.errors import UserError
from shallower.core.files import atomic_write, read_json
from shallower.integrity.record import RECORD, SUMS, write_sums
from shallower.integrity.verify import read_sums, verify


def publish_study(results_dir: str | Path, target: str | Path) -> list[str]:
    """Copy the tables, figures, report and record of a verified study into a new folder, and return their names.

    Figures are copied as PNG; as SVG they are in the report, as are the parts that it is made of.

    The folder gets its own SHA256SUMS, so that it can be verified as it is shipped: the record still says how every
    run was made. Raises UserError when the study does not verify, or when the folder holds anything already.
    """
    results_dir, target = Path(results_dir), Path(target)
    if target.exists() and any(target.iterdir()):
        raise UserError(f"{target}: the folder is not empty; name a new one, or delete it first")
    verify(results_dir)
    # The files of runs are in folders named after models; delivered models are uploaded by themselves.
    models = {*read_json(results_dir / RECORD)["models"], PurePosixPath(layout.DELIVERED).parts[2]}
    names = [
        name
        for name in read_sums(results_dir / SUMS)
        if PurePosixPath(name).parts[0] not in models and not _is_in_report(PurePosixPath(name))
    ]
    for name in names:
        with atomic_write(target / name) as part:
            shutil.copyfile(results_dir / name, part)
    write_sums(target, names)
    return names


def _is_in_report(name: PurePosixPath) -> bool:
    return name.suffix == ".svg" or name.name in ("section.json", "score-by-variant.json")
