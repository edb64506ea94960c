"""The benchmark of planning: its studies are sound, and its sums are right."""

import csv

import pandas as pd
import pytest

from measure_graph import JOBS_A_MODEL, Planning, as_table, draw, plan, planned_jobs, synthetic_study, write_csv
from shallower.core.errors import UserError
from shallower.study.resolve import resolve_study
from write_readme import graph_table


def planning(jobs: int, seconds: float, study: str = "synthetic") -> Planning:
    return Planning(study, jobs // 5, jobs, seconds, seconds - 0.1, seconds + 0.1, 200.0)


@pytest.mark.parametrize("jobs", [1_000, 5_000, 10_000])
def test_a_synthetic_study_is_sound_and_has_about_as_many_jobs_as_asked(jobs: int):
    study = resolve_study(synthetic_study(jobs))
    assert len(study.models) * JOBS_A_MODEL == pytest.approx(jobs, rel=0.2)


def test_the_number_of_jobs_is_read_from_what_snakemake_says():
    assert planned_jobs("Job stats:\njob      count\n-----  -------\nall          1\ntotal       12\n\n") == 12
    with pytest.raises(UserError, match="did not say"):
        planned_jobs("Nothing to be done (all requested files are present and up to date).\n")


@pytest.mark.parametrize(
    ("seconds", "growth", "of_jobs"),
    [
        (
            lambda jobs: 2 + 0.002 * jobs,
            "met: linear growth: a further job of the largest study costs 1.00 times",
            "met: at most 25 s",
        ),
        (
            lambda jobs: 4e-7 * jobs**2,
            "missed: linear growth: a further job of the largest study costs 2.00 times",
            "missed: at most 25 s",
        ),
    ],
)
def test_goals_distinguish_linear_from_quadratic_growth(tmp_path, seconds, growth, of_jobs):
    plannings = [planning(jobs, seconds(jobs)) for jobs in (10_000, 2500, 5000)] + [planning(20_000, 60, "paper")]
    write_csv(plannings, tmp_path / "graph.csv")
    table = graph_table(pd.read_csv(tmp_path / "graph.csv"))
    assert f"- {growth}" in table and f"- {of_jobs} for 10,000 jobs: " in table
    assert "- missed: at most 55 s for the paper's study: 60.0 s" in table
    assert "- met: fewer than 5.7 jobs a run: 5.0" in table
    assert "| paper | 4,000 | 20,000 | 60 (59.9 to 60.1) | 3 | 200 |" in table


def test_results_for_people_and_programs(tmp_path):
    plannings = [planning(1000, 4.0), planning(2000, 6.0), planning(500, 2.0, study="paper")]
    assert "4.00" in as_table(plannings).splitlines()[1]
    write_csv(plannings, tmp_path / "graph.csv")
    with (tmp_path / "graph.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds_per_thousand_jobs"]) for row in rows] == [4.0, 3.0, 4.0]
    draw(plannings, tmp_path / "graph.svg")
    assert "<svg" in (tmp_path / "graph.svg").read_text()


@pytest.mark.slow
def test_snakemake_plans_the_jobs_that_the_size_predicts():
    jobs, usage = plan(synthetic_study(1))
    # Other jobs: two tasks, the study, the plan of runs, the results, the tables, the report, the record, the target.
    assert jobs == JOBS_A_MODEL + 2 + 7
    assert usage.cpu_seconds > 0
    assert usage.peak_mb > 0
