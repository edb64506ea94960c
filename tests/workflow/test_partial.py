"""Jobs that fail leave everything else standing: tables, figures and report are made of the runs that there are."""

import csv

import pytest

import tiny
from project import Project, make_tiny_project
from shallower.core.files import sha256_of

pytestmark = pytest.mark.slow

FAILING = "models/distilbert"
RESULTS = "results/tiny"


def rows(project: Project, name: str) -> list[dict[str, str]]:
    with open(project.folder / RESULTS / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def models(project: Project, name: str) -> set[str]:
    return {row["model"] for row in rows(project, name)}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A study of two models, one of which cannot be trained, that was run to its end."""

    def change(study) -> None:
        study["reproduction"] = True
        study["models"][0]["counterpart"] = "BERT"
        study["tasks"][0]["counterpart"] = "SST-2"
        study["probe"] = {"train_examples": 48}

    project = make_tiny_project(tmp_path_factory.mktemp("partial"), change, families=("bert", "distilbert"))
    tiny.set_initializer_range(project.folder / FAILING, tiny.UNTRAINABLE)
    finished = project.snakemake()
    project.printed, project.returncode = finished.stdout, finished.returncode
    return project


def test_the_run_fails_all_the_same(project):
    assert project.returncode == 1
    assert "Traceback" not in project.printed


def test_what_there_is_is_shown(project):
    folder = project.folder / RESULTS
    assert models(project, "results.csv") == models(project, "tables/summary.csv") == {"bert"}
    assert (folder / "figures/bert/tiny/score-by-layers.png").exists()
    assert not (folder / "figures/distilbert").exists()
    assert (folder / "paper/table-2.html").exists() and (folder / "paper/observations.html").exists()
    assert not (folder / "SHA256SUMS").exists()


def test_what_is_missing_is_said_with_its_cause(project):
    missing = rows(project, "missing.csv")
    assert {(row["model"], row["missing"]) for row in missing} >= {("distilbert", "run")}
    runs = [row for row in missing if row["missing"] == "run"]
    assert [(row["origin"], row["strategy"], row["amount"], row["seed"]) for row in runs] == [
        ("baseline", "none", "0", "1"),
        ("finetuned", "top", "1", "1"),
    ]
    assert {row["rule"] for row in runs} == {"finetune_baseline"}
    assert all(row["message"].startswith("error: ") and "at step 1 of" in row["message"] for row in runs), runs
    assert all((project.folder / row["log"]).is_file() for row in runs)
    report = (project.folder / RESULTS / "report.html").read_text(encoding="utf-8")
    assert "This study is not complete" in report and runs[0]["log"] in report


def test_the_status_says_what_failed(project):
    status = project.status()
    assert "of 4 runs 2 trained, 2 scored" in status
    assert "Nothing runs" in status
    assert status.count("Failed:\n  logs/finetune/tiny/distilbert/tiny/baseline/seed1.log: error: ") == 1


def test_the_same_command_again_trains_nothing_again_and_shows_the_same(project):
    folder = project.folder / RESULTS
    models = {path: path.stat().st_mtime_ns for path in folder.rglob("*/seed1/*")}
    contents = {path: sha256_of(path) for path in folder.rglob("*") if path.is_file()}
    assert project.snakemake().returncode == 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*/seed1/*")} == models
    assert {path: sha256_of(path) for path in folder.rglob("*") if path.is_file()} == contents


def test_what_was_missing_is_made_and_shown_when_it_can_be(project):
    tiny.set_initializer_range(project.folder / FAILING, 0.02)
    project.run()
    assert models(project, "results.csv") == models(project, "tables/summary.csv") == {"bert", "distilbert"}
    assert rows(project, "missing.csv") == []
    assert "not complete" not in (project.folder / RESULTS / "report.html").read_text(encoding="utf-8")
    assert (project.folder / RESULTS / "SHA256SUMS").exists()
    assert not project.planned()
    assert "The study is complete" in project.status() and "Failed" not in project.status()
