"""Strategies judged in a tiny study, through the real Snakefile."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from documented import unexplained_columns
from project import Project

RUNS = "results/tiny/bert/tiny/finetuned"
ORACLE = "results/tiny/oracle"


@pytest.fixture(scope="module")
def tables(finished_judged: Project) -> dict[str, list[dict[str, str]]]:
    found = {}
    for path in (finished_judged.folder / ORACLE).glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as rows:
            found[path.stem] = list(csv.DictReader(rows))
    return found


def test_the_pick_of_a_strategy_is_the_run_of_the_same_layers(finished_judged: Project):
    """What allows looking picks up: a strategy's own run and that of `keep` give the same predictions, bit by bit."""
    own, kept = (
        pq.read_table(finished_judged.folder / RUNS / arm / "seed1/predictions.parquet")
        for arm in ("top-1", "keep-0.1.2")
    )
    assert own.equals(kept)
    other = pq.read_table(finished_judged.folder / RUNS / "keep-1.2.3/seed1/predictions.parquet")
    assert not own.equals(other)


def test_apparent_regrets_are_differences_of_scores_in_results(finished_judged: Project, tables):
    with (finished_judged.folder / "results/tiny/results.csv").open(newline="", encoding="utf-8") as rows:
        results = [row for row in csv.DictReader(rows) if row["primary"] == "True" and row["strategy"] == "keep"]
    scores = {row["kept_layers"]: 100 * float(row["value"]) for row in results}
    assert len(scores) == 4 and len(set(scores.values())) > 1
    regrets = {row["strategy"]: row for row in tables["regret"]}
    for name, kept in {"top": "0 1 2", "bottom": "1 2 3", "even-alternate": "0 1 2", "odd-alternate": "0 1 3"}.items():
        assert regrets[name]["kept_layers"] == kept
        assert float(regrets[name]["apparent_regret"]) == pytest.approx(max(scores.values()) - scores[kept])
    # Nothing was run for these, whose scores the study made for the judging.
    assert {"taylor", "subset-readout", "subset-loss", "greedy-score", "angular-distance", "magnitude"} <= set(regrets)
    assert "symmetric" not in regrets


def test_what_a_race_kept_is_one_of_the_two_that_the_readout_ranks_highest(finished_judged: Project, tables):
    scores = json.loads(
        next(finished_judged.folder.glob("results/tiny/bert/tiny/scores/subsets/**/*.json")).read_text()
    )
    losses = {
        layers: loss
        for layers, loss in zip(scores["kept_layers"], scores["readout_loss"], strict=True)
        if len(layers.split()) == 3
    }
    (raced,) = (row for row in tables["regret"] if row["strategy"] == "subset-race")
    assert raced["kept_layers"] in sorted(losses, key=losses.get)[:2]
    assert float(raced["refinings"]) == 2 / 8  # two for one of eight epochs
    (trials,) = finished_judged.folder.glob("results/tiny/**/race.csv")
    with trials.open(newline="", encoding="utf-8") as rows:
        assert unexplained_columns(next(csv.reader(rows)), "race.csv") == []


def test_only_complete_sizes_are_judged(tables):
    judged = {row["num_kept"]: (row["refined"], row["num_subsets"], row["judged"]) for row in tables["coverage"]}
    assert judged == {"1": ("0", "4", "False"), "2": ("0", "6", "False"), "3": ("4", "4", "True")}
    assert {row["num_kept"] for row in tables["regret"]} == {"3"}


def test_page_and_report_show_them(finished_judged: Project):
    page = (finished_judged.folder / ORACLE / "oracle.html").read_text(encoding="utf-8")
    report = (finished_judged.folder / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "Which rule picks the layers to keep?" in page
    assert 'id="oracle"' in report and "Strategies judged" in report
    sums = (finished_judged.folder / "results/tiny/SHA256SUMS").read_text(encoding="utf-8")
    assert "oracle/oracle.html" in sums and "oracle/regret.csv" in sums
