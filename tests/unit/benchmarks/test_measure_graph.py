"""The benchmark of planning: its studies are sound, and its sums are right."""

import csv

import pytest

from measure_graph import JOBS_A_MODEL, Planning, as_table, draw, growth, plan, planned_jobs, synthetic_study, write_csv
from shallower.study.resolve import resolve_study


def planning(jobs: int, seconds: float, study: str = "synthetic") -> Planning:
    return Planning(study, jobs, seconds, seconds - 0.1, seconds + 0.1, 200.0)


@pytest.mark.parametrize("jobs", [1_000, 5_000, 10_000])
def test_a_synthetic_study_is_sound_and_has_about_as_many_jobs_as_asked(jobs: int):
    study = resolve_study(synthetic_study(jobs))
    assert len(study.models) * JOBS_A_MODEL == pytest.approx(jobs, rel=0.2)


def test_the_number_of_jobs_is_read_from_what_snakemake_says():
    assert planned_jobs("Job stats:\njob      count\n-----  -------\nall          1\ntotal       12\n\n") == 12
    with pytest.raises(ValueError, match="did not say"):
        planned_jobs("Nothing to be done (all requested files are present and up to date).\n")


def test_growth_distinguishes_linear_from_quadratic():
    assert growth([planning(n, 2 + 0.002 * n) for n in (1000, 2000, 4000)]) == pytest.approx(1)
    assert growth([planning(n, 1e-6 * n * n) for n in (4000, 1000, 2000)]) == pytest.approx(2)


def test_results_for_people_and_programs(tmp_path):
    plannings = [planning(1000, 4.0), planning(2000, 6.0), planning(500, 2.0, study="paper")]
    assert "4.00" in as_table(plannings).splitlines()[1]
    write_csv(plannings, tmp_path / "graph.csv")
    with (tmp_path / "graph.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds_per_thousand_jobs"]) for row in rows] == [4.0, 3.0, 4.0]
    draw(plannings, tmp_path / "graph.svg")
    assert "<svg" in (tmp_path / "graph.svg").read_text()


def test_snakemake_plans_the_jobs_that_the_size_predicts():
    jobs, seconds, megabytes = plan(synthetic_study(1))
    # Other jobs: two tasks, the study, the plan of runs, the results, the tables, the report, the record, the target.
    assert jobs == JOBS_A_MODEL + 2 + 7
    assert seconds > 0
    assert megabytes > 0
