"""One model of the paper's study cannot be trained: every table and figure of the paper stands for the others.

The study is that of tests/paper_smoke.py, with one task, and as few models and arms as fill every table and figure.
"""

import csv
from typing import Any

import pytest

import paper_smoke
import tiny
from project import Project
from shallower.core.files import read_json
from shallower.paper.items import FIGURES, ITEMS

# Some minutes on two idle cores; much longer on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2000)]

RESULTS = "results/paper-smoke"
FAILING = "roberta"
OTHERS = {"bert", "albert", "distilbert"}
TASK = "sst2"


def arm(name: str, amounts: list[int], model: str, origin: str = "pretrained") -> dict[str, Any]:
    return {"name": name, "amounts": amounts, "models": [model], "origins": [origin]}


STRATEGIES = [
    arm("top", [2, 6], "bert"),
    arm("top", [6], "roberta"),
    arm("top", [6], "albert"),
    arm("top", [3], "distilbert"),
    arm("bottom", [6], "bert"),
    arm("top", [6], "bert", "finetuned"),
    arm("top", [2], "bert", "gradual"),
]
# The models that have numbers in each table and figure. Scores of contributions are of pre-trained models, so that the
# one that cannot be trained has them too.
SHOWN = {
    "table-2": OTHERS - {"albert"},
    "figure-2": {"bert", "albert"},
    "preprint-figure-3": {"distilbert"},
    "table-3": OTHERS,
    "table-4": OTHERS,
    "table-5": {"albert"},
    "table-6": OTHERS,
    "table-7": OTHERS,
    "gradual": {"bert"},
    "contribution": OTHERS | {FAILING},
    "figure-3": OTHERS,
    "preprint-figure-5": OTHERS,
}


def reduced(study: dict[str, Any]) -> dict[str, Any]:
    """The study with one task and the models and arms that are needed."""
    return study | {
        "models": [model for model in study["models"] if model["name"] in OTHERS | {FAILING}],
        "tasks": [task for task in study["tasks"] if task["name"] == TASK],
        "strategies": STRATEGIES,
        "measure": study["measure"] | {"task": TASK},
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study, run to the end of all that can be made."""
    folder = tmp_path_factory.mktemp("paper")
    inputs = folder / "inputs"
    project = Project.create(folder / "a project", reduced(paper_smoke.smoke_study(inputs, None)))
    tiny.set_initializer_range(inputs / "models" / FAILING, tiny.UNTRAINABLE)
    finished = project.snakemake("--keep-going", seconds=1800)
    project.printed, project.status = finished.stdout, finished.returncode
    return project


def rows(project: Project, name: str) -> list[dict[str, str]]:
    with open(project.folder / RESULTS / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shown(project: Project, item: str) -> set[str]:
    """Models that have numbers of ours in a table or figure."""
    return {row["model"] for row in rows(project, f"paper/{item}.csv") if row["ours"]}


def test_the_command_fails(project: Project) -> None:
    assert project.status == 1
    assert "Traceback" not in project.printed


def test_every_table_and_figure_is_listed_here() -> None:
    assert set(SHOWN) == set(ITEMS)


@pytest.mark.parametrize("item", SHOWN)
def test_every_table_and_figure_stands_for_the_other_models(project: Project, item: str) -> None:
    assert shown(project, item) == SHOWN[item]
    paper = project.folder / RESULTS / "paper"
    forms = ("png", "svg") if item in FIGURES else ("html",)
    assert all((paper / f"{item}.{form}").stat().st_size > 1000 for form in forms)


def test_observations_and_orders_of_parameters_are_judged(project: Project) -> None:
    observations = rows(project, "paper/observations.csv")
    compared = {row["model"] for row in observations if row["comparison"]}
    assert "bert" in compared and FAILING not in compared
    # Of the weights as they were downloaded.
    assert {row["model"] for row in rows(project, "paper/parameter-orders.csv")} >= {"bert", FAILING}
    assert read_json(project.folder / RESULTS / "paper/section.json")["body"]


def test_the_studys_own_tables_and_figures_stand(project: Project) -> None:
    assert {row["model"] for row in rows(project, "results.csv")} == OTHERS
    assert {row["model"] for row in rows(project, "tables/summary.csv")} == OTHERS
    figures = (project.folder / RESULTS / "figures").rglob("score-by-layers.svg")
    assert {path.parent.parent.name for path in figures} == OTHERS


def test_the_missing_runs_are_named_and_no_others(project: Project) -> None:
    runs = [row for row in rows(project, "missing.csv") if row["missing"] == "run"]
    assert {(row["model"], row["task"], row["origin"], row["strategy"], row["rule"]) for row in runs} == {
        (FAILING, TASK, "baseline", "none", "finetune_baseline"),
        (FAILING, TASK, "pretrained", "top", "refine"),
    }
    assert all("at step 1 of" in row["message"] for row in runs), runs
    report = (project.folder / RESULTS / "report.html").read_text(encoding="utf-8")
    assert "This study is not complete" in report
    assert all((project.folder / row["log"]).is_file() and row["log"] in report for row in runs)
