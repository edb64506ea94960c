"""Errors name what is wrong and a remedy."""

from pathlib import Path

from shallower.core.errors import StudyErrors, corrupt_file_error, snakemake_command


def test_all_problems_of_a_study_are_in_one_message():
    assert str(StudyErrors(["a", "b"])) == "2 problems in the study:\n  - a\n  - b"


def test_a_corrupt_file_of_the_workflow_is_recreated_alone():
    ours = str(corrupt_file_error(Path("resources/a b/config.json"), "damaged"))
    assert ours.startswith("resources/a b/config.json: damaged; ")
    assert "snakemake --cores all --force 'resources/a b/config.json'" in ours
    other = str(corrupt_file_error("/models/mine/config.json", "damaged"))
    assert other == "/models/mine/config.json: damaged; download it again"


def test_a_remedy_can_be_pasted():
    command = snakemake_command("--forcerun", Path("results/a b/runs.csv"))
    assert command == "snakemake --cores all --forcerun 'results/a b/runs.csv' (and your --configfile)"
