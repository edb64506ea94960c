"""How long the workflow takes to start with large files of labelled texts: the first time, again, and within a job.

    make benchmark-large-files ARGUMENTS="--rows 1000 1000000 --repeats 5"

A study of one model and files of so many texts is planned by `snakemake -n`: once with files that it has not seen, then
in turns as a user does it and as a cluster's job does (`--mode remote`). Times are wall seconds. Prints a table and
writes it to results/large_files.csv and README.md.
"""

import argparse
import csv
import statistics
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from contest import RESULTS, machine
from measure_graph import dry_run, make_project, synthetic_study
from shallower.core.cli import run_step
from write_readme import AGAIN, FIRST, IN_A_JOB, large_files_table, write_readme

WORDS = ("a", "story", "that", "is", "told", "with", "more", "care", "than", "most", "and", "no", "end")


def write_texts(file: Path, rows: int) -> None:
    """Texts of a dozen words, each another one, with two labels in turns."""
    with file.open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["text", "label"])
        for row in range(rows):
            place = row % len(WORDS)
            writer.writerow([f"{' '.join((*WORDS[place:], *WORDS[:place]))} {row}", ("bad", "good")[row % 2]])


def large_study() -> dict[str, Any]:
    """The smallest study of files of texts."""
    task = {"name": "texts", "source": "files", "train_file": "train.csv", "validation_file": "validation.csv"}
    columns = {
        "target": "classification",
        "text": ["text"],
        "label": "label",
        "labels": ["bad", "good"],
        "metrics": ["accuracy"],
    }
    return synthetic_study(1) | {"tasks": [task | columns], "seeds": [1]}


def measure(rows: int, repeats: int) -> list[dict[str, Any]]:
    """Median, lowest and highest wall seconds of each kind of start."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(large_study(), folder)
        write_texts(folder / "train.csv", rows)
        write_texts(folder / "validation.csv", 1000)
        seconds = {FIRST: [dry_run(folder)[1].wall_seconds], AGAIN: [], IN_A_JOB: []}
        for _ in range(repeats):
            seconds[AGAIN].append(dry_run(folder)[1].wall_seconds)
            seconds[IN_A_JOB].append(dry_run(folder, "--mode", "remote")[1].wall_seconds)
        megabytes = (folder / "train.csv").stat().st_size / 1e6
    return [
        {
            "rows": rows,
            "megabytes": megabytes,
            "start": start,
            "starts": len(taken),
            "seconds": statistics.median(taken),
            "lowest": min(taken),
            "highest": max(taken),
        }
        for start, taken in seconds.items()
    ]


def main(arguments: argparse.Namespace) -> None:
    rows = [row for size in sorted(arguments.rows) for row in measure(size, arguments.repeats)]
    found = pd.DataFrame(rows).assign(**machine("cpu"))
    arguments.results.mkdir(parents=True, exist_ok=True)
    found.to_csv(arguments.results / "large_files.csv", index=False, float_format="%.4g")
    write_readme(arguments.results)
    print(large_files_table(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 1_000_000], help="rows of the training file")
    parser.add_argument("--repeats", type=int, default=5, help="how often it is started again")
    parser.add_argument("--results", type=Path, default=RESULTS)
    run_step(parser, main)
