"""How long Snakemake plans: `snakemake -n` of made-up studies of many sizes, and of the paper's.

    make benchmark-graph ARGUMENTS="--jobs 1000 2500 5000 10000 --repeats 3"

The studies are written to a temporary folder; nothing is downloaded or trained. Times are processor seconds of the
planning process (user and system), so that other work on the machine counts little; memory is its peak. Prints a table
and writes graph.csv and graph.svg to benchmarks/results, and the table in README.md.
"""

import argparse
import csv
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib
import yaml

from contest import RESULTS, ROOT, Usage, machine, run_process
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.study.resolve import resolve_study
from write_readme import write_readme

PIPELINE = ("Snakefile", "workflow", "profiles", "envs")
TASKS = ("sst2", "mrpc")
AMOUNTS = tuple(range(1, 12))
SEEDS = (1, 2, 3)
# Of each run six jobs, of each baseline five, of each arm its comparison, of each task of a model tokens and figures;
# of each model its download and its cost.
JOBS_A_MODEL = len(TASKS) * (len(AMOUNTS) * (6 * len(SEEDS) + 1) + 5 * len(SEEDS) + 2) + 2


@dataclass(frozen=True)
class Planning:
    """One study's `snakemake -n`: its runs, jobs planned; medians over repeats, and the fastest and slowest of them."""

    study: str
    runs: int
    jobs: int
    seconds: float
    fastest: float
    slowest: float
    megabytes: float

    @property
    def seconds_per_thousand_jobs(self) -> float:
        """What another thousand jobs cost, start-up included."""
        return 1000 * self.seconds / self.jobs


def synthetic_study(jobs: int) -> dict[str, Any]:
    """A study of about so many jobs: models of twelve layers from the hub, two tasks, eleven depths, three seeds."""
    models = max(1, round(jobs / JOBS_A_MODEL))
    return {
        "study": "synthetic",
        "models": [
            {
                "name": f"model-{number}",
                "source": "hub",
                "repository": f"nobody/model-{number}",
                "revision": "0" * 40,
                "num_layers": 12,
            }
            for number in range(models)
        ],
        "tasks": [{"name": task, "source": "glue", "subset": task} for task in TASKS],
        "origins": [{"name": "pretrained"}],
        "strategies": [{"name": "top", "amounts": list(AMOUNTS)}],
        "seeds": list(SEEDS),
        "keep_models": False,
    }


def planned_jobs(output: str) -> int:
    """Number of jobs that `snakemake -n` says it would run. Raises UserError when its output does not say."""
    found = re.search(r"^total\s+(\d+)$", output, flags=re.MULTILINE)
    if found is None:
        raise UserError(f"snakemake did not say how many jobs there are:\n{output[-2000:]}")
    return int(found[1])


def make_project(study: Mapping[str, Any], folder: Path) -> None:
    """The pipeline and a study in an empty folder."""
    for part in PIPELINE:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / part)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(study), sort_keys=False), encoding="utf-8")


def dry_run(folder: Path, *options: str) -> tuple[str, Usage]:
    """Run `snakemake -n` in a project's folder: what it printed, and what it took.

    Raises UserError with the end of the output when snakemake fails.
    """
    log = folder / "output"
    log.unlink(missing_ok=True)
    usage = run_process([sys.executable, "-m", "snakemake", "--dry-run", *options], log, directory=folder)
    return log.read_text(encoding="utf-8"), usage


def plan(study: Mapping[str, Any]) -> tuple[int, Usage]:
    """Run `snakemake -n` once on a study in a new folder: number of jobs, and what it took."""
    with tempfile.TemporaryDirectory() as name:
        make_project(study, Path(name))
        output, usage = dry_run(Path(name))
    return planned_jobs(output), usage


def measure(name: str, study: Mapping[str, Any], repeats: int) -> Planning:
    """Plan a study several times."""
    jobs, usages = zip(*(plan(study) for _ in range(repeats)), strict=True)
    seconds = [usage.cpu_seconds for usage in usages]
    return Planning(
        study=name,
        runs=len(resolve_study(study).runs),
        jobs=jobs[0],
        seconds=round(statistics.median(seconds), 2),
        fastest=round(min(seconds), 2),
        slowest=round(max(seconds), 2),
        megabytes=round(statistics.median(usage.peak_mb for usage in usages)),
    )


def as_table(plannings: Sequence[Planning]) -> str:
    """A line for each study, for people."""
    lines = [f"{'study':<12}{'jobs':>8}{'seconds':>10}{'of 1,000 jobs':>16}{'MB':>8}"]
    for planning in plannings:
        lines.append(
            f"{planning.study:<12}{planning.jobs:>8,}{planning.seconds:>10.1f}"
            f"{planning.seconds_per_thousand_jobs:>16.2f}{planning.megabytes:>8,.0f}"
        )
    return "\n".join(lines)


def write_csv(plannings: Sequence[Planning], file: Path) -> None:
    """One row for each study."""
    with file.open("w", encoding="utf-8", newline="") as output:
        where = machine("cpu")
        rows = [
            asdict(planning) | {"seconds_per_thousand_jobs": round(planning.seconds_per_thousand_jobs, 3)} | where
            for planning in plannings
        ]
        writer = csv.DictWriter(output, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(plannings: Sequence[Planning], file: Path) -> None:
    """Seconds and memory against jobs."""
    matplotlib.use("Agg")
    from matplotlib import pyplot  # after the choice of the backend

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    synthetic = [planning for planning in plannings if planning.study == "synthetic"]
    others = [planning for planning in plannings if planning.study != "synthetic"]
    for axis, key, label in zip(axes, ("seconds", "megabytes"), ("processor seconds", "peak memory, MB"), strict=True):
        axis.plot([p.jobs for p in synthetic], [getattr(p, key) for p in synthetic], "o-", label="synthetic")
        for planning in others:
            axis.plot(planning.jobs, getattr(planning, key), "s", label=planning.study)
        axis.set(xlabel="jobs", ylabel=label, xlim=(0, None), ylim=(0, None))
        axis.legend(frameon=False)
    figure.suptitle("snakemake -n")
    figure.savefig(file)
    pyplot.close(figure)


def main(arguments: argparse.Namespace) -> None:
    """Measure, print, and write the results."""
    studies = [("synthetic", synthetic_study(jobs)) for jobs in sorted(arguments.jobs)]
    studies += [(file.stem, yaml.safe_load(file.read_text(encoding="utf-8"))) for file in arguments.study]
    plannings = []
    for name, study in studies:
        plannings.append(measure(name, study, arguments.repeats))
        print(as_table(plannings[-1:]).splitlines()[-1], flush=True)
    print(f"\n{as_table(plannings)}")
    arguments.results.mkdir(parents=True, exist_ok=True)
    write_csv(plannings, arguments.results / "graph.csv")
    draw(plannings, arguments.results / "graph.svg")
    write_readme(arguments.results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1000, 2500, 5000, 10_000], help="sizes to make up")
    parser.add_argument("--study", type=Path, nargs="*", default=[ROOT / "studies/paper.yaml"], help="studies to plan")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
