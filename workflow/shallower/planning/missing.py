"""What of a study is missing after jobs have failed, and why, so that everything else can still be shown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from shallower.core import layout
from shallower.core.files import csv_text, read_json, write_json
from shallower.core.runs import ARM_COLUMNS, Run

# What tables and figures need of a run.
SCORED = ("predictions.parquet", "metrics.json", "resamples.npy")
RUN_FILES = ("manifest.json", "layers.json", *SCORED, *(f"{layout.TEST}/{name}" for name in SCORED))
AXES = (*ARM_COLUMNS, "seed")
COLUMNS = (*AXES, "missing", "file", "rule", "log", "message")
# Files that are shown besides runs, and what each belongs to.
ANALYSES = {
    "speed": (f"{layout.MODEL_RESULTS}/cost.json", ("model",)),
    "variants": (f"{layout.VARIANTS}/evaluated.json", ("model", "task")),
    "variants on test examples": (f"{layout.VARIANTS}/test-evaluated.json", ("model", "task")),
    "cost of variants": (f"{layout.VARIANTS}/serving.json", ("model", "task")),
    "judged strategies": (f"{layout.ORACLE}/oracle.html", ()),
    "probes": (f"{layout.BASELINE_RUN}/probes.parquet", ("model", "task", "seed")),
    "similarity": (f"{layout.BASELINE_RUN}/similarity.json", ("model", "task", "seed")),
    "contribution scores": (
        layout.LAYER_SCORES.replace("{method}", "contribution").replace("{scored}", "pretrained"),
        ("model", "task"),
    ),
}
# Longest part of a log's line that is shown.
MESSAGE_LENGTH = 300


@dataclass(frozen=True)
class Cause:
    """Why a file was not made: the rule of the job that failed and its log, both "" when the job was never started."""

    rule: str = ""
    log: str = ""


def write_unmade(path: str | Path, unmade: Mapping[str, Cause]) -> None:
    """Write the files that were not made, with their causes, as JSON."""
    write_json(path, {file: astuple(cause) for file, cause in unmade.items()})


def read_unmade(path: str | Path) -> dict[str, Cause]:
    """Read what `write_unmade` wrote. Raises UserError when the file is missing or damaged."""
    return {file: Cause(*cause) for file, cause in read_json(path).items()}


def missing_runs(runs: Iterable[Run], unmade: Mapping[str, Cause]) -> dict[Run, Cause]:
    """The runs that lack a file, or whose baseline of the same seed does, so that they cannot be compared with it."""
    found = {}
    for run in runs:
        folders = (run.directory, layout.BASELINE_RUN.format(**vars(run)))
        causes = [unmade[file] for folder in folders for name in RUN_FILES if (file := f"{folder}/{name}") in unmade]
        if causes:
            found[run] = next((cause for cause in causes if cause.rule), causes[0])
    return found


def missing_as_csv(runs: Sequence[Run], unmade: Mapping[str, Cause]) -> str:
    """missing.csv, with `missing_rows`."""
    return csv_text(COLUMNS, missing_rows(runs, unmade))


def missing_rows(runs: Sequence[Run], unmade: Mapping[str, Cause]) -> list[list[Any]]:
    """A row for each run and analysis that is missing, with the last line of the log of the failed job.

    Its columns are `COLUMNS`. An analysis has no origin, strategy and amount, and a model's speed no task.
    """
    missing = missing_runs(runs, unmade)
    rows = [_row(run, "run", run.directory, cause, AXES) for run, cause in missing.items()]
    seen = set()
    for run in runs:
        for name, (pattern, axes) in ANALYSES.items():
            file = pattern.format(**vars(run))
            if run.is_baseline and file in unmade and file not in seen and not ("seed" in axes and run in missing):
                seen.add(file)
                rows.append(_row(run, name, file, unmade[file], axes))
    return rows


def _row(run: Run, name: str, file: str, cause: Cause, axes: Sequence[str]) -> list[Any]:
    message = last_line(cause.log) if cause.log else ""
    return [*(getattr(run, axis) if axis in axes else "" for axis in AXES), name, file, cause.rule, cause.log, message]


def last_line(log: str | Path) -> str:
    """The line of a log that says why a job failed: the last one that starts with "error:", or the last one.

    At most `MESSAGE_LENGTH` characters of it; "" when the log is missing or empty.
    """
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "")[
        :MESSAGE_LENGTH
    ]
