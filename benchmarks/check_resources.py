"""Compare what a study declares with what it used: memory of each step, and space on disk.

In a folder with a finished study: python benchmarks/check_resources.py --configfile config.yaml
While a study runs, for its largest space on disk: python benchmarks/check_resources.py -- snakemake --cores all

Reads the last lines of the logs. Steps must have started by themselves, as on a cluster: run with SHALLOWER_STEPS= (the
command given here is). Steps that only copied an identical run are left out.
"""

import argparse
import csv
import os
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from shallower.core import environment
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.models.size import ModelSize
from shallower.planning.plan import plan_study
from shallower.planning.sizes import job_of, model_size, tokenizing_job
from shallower.steps.table import STEPS
from shallower.study.resolve import resolve_study
from shallower.study.study import Study

# How the log of a step ends.
USED = re.compile(r"peak memory ([0-9]+) MB\n\Z")
FOLDERS = ("resources", "results", "logs", ".scratch", ".snakemake")
SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class Use:
    """Memory that one job of a step declared and used at its peak, in MB (10^6 bytes)."""

    step: str
    job: str
    declared: float
    used: float


def memory_uses(study: Study, folder: Path) -> list[Use]:
    """Declared and used memory of the study's jobs, from the logs in a folder; not of copies of identical runs."""
    found = []
    for file in sorted((folder / "logs").glob("**/*.log")):
        step, *place, name = file.relative_to(folder / "logs").parts
        job = "/".join([*place, name.removesuffix(".log")])
        used = USED.search(file.read_text(encoding="utf-8"))
        if used is None or _is_copy(folder / "results" / job):
            continue
        declared = _declared(study, folder, step, job)
        if declared is not None:
            found.append(Use(step, job, declared, float(used[1])))
    return found


def disk_bytes(folder: Path) -> int:
    """Space that the files of a study take on disk: downloads, results, checkpoints, logs and Snakemake's notes."""
    return sum(size for name in FOLDERS for size in _sizes(folder / name))


def peak_while(command: Sequence[str], folder: Path) -> int:
    """Run a command in a folder and return the largest space on disk meanwhile, looked at every second.

    Raises UserError when the command fails.
    """
    process = subprocess.Popen(command, cwd=folder, env=os.environ | {environment.STEPS: ""})
    peak = disk_bytes(folder)
    while process.poll() is None:
        time.sleep(SAMPLE_SECONDS)
        peak = max(peak, disk_bytes(folder))
    if process.returncode:
        raise UserError(f"{' '.join(command)} ended with {process.returncode}; see its messages above")
    return peak


def memory_table(uses: Sequence[Use]) -> list[dict[str, str | int | float]]:
    """One row a step: jobs, memory declared and used, and the least and largest ratio of the two."""
    steps = defaultdict(list)
    for use in uses:
        steps[use.step].append(use)
    return [
        {
            "step": step,
            "jobs": len(group),
            "declared_mb": round(statistics.median(use.declared for use in group)),
            "used_mb": round(statistics.median(use.used for use in group)),
            "most_used_mb": round(max(use.used for use in group)),
            "least_ratio": round(min(use.declared / use.used for use in group), 2),
            "largest_ratio": round(max(use.declared / use.used for use in group), 2),
        }
        for step, group in steps.items()
    ]


def _declared(study: Study, folder: Path, step: str, job: str) -> float | None:
    """MB that the step declares; None for one without a formula or of another study."""
    if step == "tokenize_task":
        task = job.split("/")[1]
        file, length = folder / "resources" / "tasks" / task / "task.json", job.rpartition("length")[2]
        return STEPS[step].mem_mb(tokenizing_job(file, int(length))) if file.is_file() else None
    parts = job.split("/")
    if step not in STEPS or STEPS[step].memory is None or parts[0] != study.name or parts[1] not in study.models:
        return None
    model, task, arm = [*parts[1:4], None, None][:3]
    if task is not None and task not in study.tasks:
        return None
    size = model_size(study, model, folder / "resources")
    if step in ("finetune", "predict"):
        size = _size_of_run(folder / "results" / job, size)
    origins = [origin["name"] for origin in study.config["origins"]]
    return STEPS[step].mem_mb(job_of(study, size, task, arm if arm in origins else None))


def _size_of_run(run: Path, whole: ModelSize) -> ModelSize:
    """Size of the model that a job worked on: that of its result, or of a stage on the way there."""
    if run.name == "frozen":
        return whole
    if stage := re.fullmatch(r"stage(\d+)", run.name):
        return replace(whole, num_layers=whole.num_layers - int(stage[1]))
    return ModelSize.of(read_json(run / "config.json"))


def _is_copy(run: Path) -> bool:
    manifest = run / "manifest.json"
    return manifest.is_file() and "trained_as" in read_json(manifest)


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        try:
            state = path.lstat()
        except FileNotFoundError:
            continue  # deleted since it was listed
        yield 512 * state.st_blocks


def main(arguments: argparse.Namespace) -> None:
    folder = arguments.folder
    study = resolve_study(yaml.safe_load((folder / arguments.configfile).read_text(encoding="utf-8")))
    expected = plan_study(study, folder / "resources")
    peak = peak_while(arguments.command, folder) if arguments.command else None
    rows = memory_table(memory_uses(study, folder))
    if not rows:
        raise UserError(f"{folder / 'logs'}: no logs of the study {study.name}; run it first")
    for row in [dict(zip(rows[0], rows[0], strict=True)), *rows]:
        print("  ".join(f"{value:>14}" for value in row.values()))
    found = disk_bytes(folder)
    left = expected.peak_bytes - expected.work_bytes
    print(f"\ndisk: {found / 1e6:,.0f} MB found, {left / 1e6:,.0f} MB expected, ratio {left / found:.2f}")
    if peak is not None:
        ratio = expected.peak_bytes / peak
        print(f"peak: {peak / 1e6:,.0f} MB found, {expected.peak_bytes / 1e6:,.0f} MB expected, ratio {ratio:.2f}")
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        with arguments.output.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the study was run")
    parser.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="the study, within the folder")
    parser.add_argument("--output", type=Path, help="CSV file for the table of memory")
    parser.add_argument("command", nargs="*", help="what to run meanwhile, after --")
    try:
        main(parser.parse_args())
    except UserError as error:
        sys.exit(f"error: {error}")
