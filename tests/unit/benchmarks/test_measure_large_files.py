"""The benchmark of starts with large files: its study is sound, its starts take turns, and its goals are judged."""

import contextlib

import pandas as pd
import pytest

import measure_large_files
from contest import Usage
from measure_large_files import measure
from shallower.study.file import read_study
from shallower.study.resolve import resolve_study
from write_readme import large_files_table


def test_a_study_of_files_is_planned_first_and_then_in_turns(monkeypatch):
    started = []

    def dry_run(folder, *options):
        with contextlib.chdir(folder):
            resolve_study(read_study(folder / "config.yaml"))
        lines = (folder / "train.csv").read_text().splitlines()
        assert len({*lines}) == len(lines) == 31
        started.append(options)
        return "", Usage(0, len(started), 0, 0)

    monkeypatch.setattr(measure_large_files, "dry_run", dry_run)
    first, again, within = measure(30, repeats=3)
    job = ("--mode", "remote")
    assert started == [(), (), job, (), job, (), job]
    assert [row["rows"] for row in (first, again, within)] == [30, 30, 30]
    assert (first["seconds"], first["starts"]) == (1, 1)
    assert (again["lowest"], again["seconds"], again["highest"], again["starts"]) == (2, 4, 6, 3)
    assert (within["lowest"], within["seconds"], within["highest"]) == (3, 5, 7)


@pytest.mark.parametrize(
    ("again", "within", "verdicts"), [(2.9, 2.5, ["met", "met"]), (3.1, 3.5, ["missed", "missed"])]
)
def test_a_second_start_and_one_within_a_job_are_judged(again, within, verdicts):
    where = {"machine": "m", "compute_device": "cpu", "torch": "2", "transformers": "5", "python": "3"}
    seconds = {(1000, "first"): 2, (1000, "again"): 2, (1000, "within a job of a cluster"): 2}
    seconds |= {(10**6, "first"): 40, (10**6, "again"): again, (10**6, "within a job of a cluster"): within}
    rows = [
        {"rows": rows, "megabytes": 80.0, "start": start, "starts": 5, "seconds": taken, "lowest": 1, "highest": 50}
        for (rows, start), taken in seconds.items()
    ]
    table = large_files_table(pd.DataFrame(rows).assign(**where, commit="c", date="d"))
    assert "| 1,000,000 | 80 | first | 5 | 40.00 (1.00 to 50.00) |" in table
    assert [line.split(":")[0].removeprefix("- ") for line in table.splitlines()[-2:]] == verdicts
