"""What the processor time of a study goes to: training, search and prediction, or anything else.

The study (config.yaml, or --study) runs through snakemake in a clean copy of this repository, from nothing to its
report. Meanwhile each Python process of it writes what it is at (`sampler.py`), which takes some time, too. Prints a
table, and writes it to results/overhead.csv and README.md.
"""

import argparse
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from contest import BENCHMARKS, RESULTS, ROOT, machine
from shallower.core.cli import run_step
from shallower.core.errors import UserError
from study_copy import copy_repository, run_study
from write_readme import overhead_table, write_readme

MATHEMATICS = ("training", "search", "prediction")
# What a stack has a function of, in files named by the end of their paths: the first that it has is what it counts as.
PARTS: Mapping[str, tuple[str, ...]] = {
    "imports": ("importlib._bootstrap>:_find_and_load",),
    "Snakemake": ("/snakemake/",),
    "training": ("engine/training.py:advance",),
    "measuring speed": ("shallower/serving/", "analysis/latency.py"),
    "search": ("shallower/analysis/",),
    "prediction": ("engine/prediction.py", "export/onnx_prediction.py"),
    "exports": ("shallower/export/",),
    "scores and intervals": ("shallower/evaluation/",),
    "tables, figures, report": ("shallower/reporting/",),
}
OTHERS = "other parts of steps: reading, tokenizing, writing"
UNSEEN = "shells, starts of interpreters"
# Samples are of another clock than the processor time of the whole.
MOST_SEEN = 1.02


def part_of(stack: str) -> str:
    """What a stack, as the sampler writes it, counts as."""
    return next((part for part, names in PARTS.items() if any(name in stack for name in names)), OTHERS)


def read_samples(folder: Path) -> Counter[str]:
    """Processor seconds of each part."""
    seconds: Counter[str] = Counter()
    for file in folder.iterdir():
        for line in file.read_text(encoding="utf-8").splitlines():
            spent, _, stack = line.partition("\t")
            seconds[part_of(stack)] += float(spent)
    return seconds


def table(seconds: Mapping[str, float], cpu_seconds: float) -> pd.DataFrame:
    """A row for each part, its share of all processor seconds in per cent: mathematics first, with its sum, and all.

    Raises UserError where samples have more seconds than there were.
    """
    seen = sum(seconds.values())
    if seen > MOST_SEEN * cpu_seconds:
        raise UserError(f"samples have {seen:.0f} s of the {cpu_seconds:.0f} s that the study took: some count twice")
    parts = pd.Series({**seconds, UNSEEN: max(0.0, cpu_seconds - seen)}).sort_values(ascending=False)
    is_mathematics = parts.index.isin(MATHEMATICS)
    rows = [*parts[is_mathematics].items(), ("mathematics", parts[is_mathematics].sum())]
    rows += [*parts[~is_mathematics].items(), ("all", parts.sum())]
    found = pd.DataFrame(rows, columns=["part", "cpu_seconds"])
    return found.assign(per_cent=100 * found["cpu_seconds"] / parts.sum())


def measure(study: Path, cores: int, folder: Path) -> pd.DataFrame:
    """Run a study in a copy of the repository, and tell what its processor time went to."""
    copy, samples = copy_repository(folder / "copy"), folder / "samples"
    samples.mkdir()
    shutil.copyfile(study, copy / "measured.yaml")
    shutil.copyfile(BENCHMARKS / "sampler.py", copy / "workflow" / "sitecustomize.py")
    environment = {"SHALLOWER_SAMPLES": str(samples), "PYTHONPATH": str(copy / "workflow")}
    usage = run_study(copy, "measured.yaml", cores, environment=environment)
    found = table(read_samples(samples), usage.cpu_seconds)
    where = {"study": study.stem, "cores": cores, "wall_seconds": round(usage.wall_seconds), **machine("cpu")}
    return found.assign(**where)


def main(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="shallower-", dir=arguments.work_dir) as folder:
        found = measure(arguments.study.resolve(), arguments.cores, Path(folder).resolve())
    arguments.results.mkdir(parents=True, exist_ok=True)
    found.to_csv(arguments.results / "overhead.csv", index=False, float_format="%.4g")
    write_readme(arguments.results)
    print(overhead_table(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=ROOT / "config.yaml")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--work-dir", type=Path, help="folder for the copy of the repository (default: a temporary one)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
