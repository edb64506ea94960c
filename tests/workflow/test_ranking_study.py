"""A ranking through the real Snakefile: chosen layers, a teacher, test queries, delivered models."""

import csv
import json
import re
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import ndcg_score
from transformers import AutoConfig

import tiny
from project import Project, make_tiny_project
from shallower.delivery.check import check_folder

pytestmark = pytest.mark.slow

RUN = "results/tiny/bert/tiny/finetuned/top-1/seed1"


def as_ranking(study: dict[str, Any]) -> None:
    (task,) = study["tasks"]
    del task["labels"]
    task |= {
        "text": ["query", "text"],
        "label": "relevance",
        "target": "ranking",
        "metrics": ["ndcg_at_10", "mrr_at_10"],
        "test_file": "data/test.csv",
        "train_examples": 60,
    }
    study["calibration"] = {"examples": 40}
    study["refine"] = {"distill": {"augment": {"copies": 1}}}
    names = ("contribution-rank", "subset-readout", "subset-race", "subset-loss", "taylor")
    study["strategies"] += [{"name": name, "amounts": [1]} for name in names]
    study["measure"] |= {"texts": 4, "batch_sizes": [1]}
    study["budget"], study["deliver"] = {"layers": 3}, {"vocabularies": ["full"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("ranking")
    project = make_tiny_project(folder, as_ranking)
    tiny.make_ranking_files(project.folder / "data", 30, 12, highest=2)
    tiny.make_ranking_files(folder / "other", 1, 8, highest=2)
    text = (folder / "other" / "validation.csv").read_text(encoding="utf-8")
    (project.folder / "data/test.csv").write_text(text.replace("validation", "held out"), encoding="utf-8")
    project.run()
    return project


def test_scores_are_those_of_scikit_learn_by_query(finished: Project):
    for split in ("", "test/"):
        table = pq.read_table(finished.folder / RUN / f"{split}predictions.parquet").to_pandas()
        table["score"] = table["logits"].str[0]
        scores = [
            ndcg_score([rows["label"]], [rows["score"]], k=10) for _, rows in table.groupby("group") if len(rows) > 1
        ]
        record = json.loads((finished.folder / RUN / f"{split}metrics.json").read_text())
        assert record["num_groups"] == len(scores) == (8 if split else 12)
        found = record["metrics"]["ndcg_at_10"]
        assert found["value"] == pytest.approx(np.mean(scores))
        assert found["low"] <= found["value"] <= found["high"]
        assert 0 < found["chance"] < 1


def test_the_report_says_what_was_drawn(finished: Project):
    report = re.sub(r"\s+", " ", (finished.folder / "results/tiny/report.html").read_text(encoding="utf-8"))
    assert "48 pairs in 12 queries" in report
    assert "samples of the validation queries, with all their rows" in report
    assert "nDCG@10" in report


def test_results_have_both_metrics(finished: Project):
    with (finished.folder / "results/tiny/results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["metric"] for row in rows} == {"ndcg_at_10", "mrr_at_10"}
    assert {row["strategy"] for row in rows} >= {"top", "subset-race", "subset-readout", "subset-loss", "taylor"}


def test_the_delivered_model_ranks(finished: Project):
    folder = finished.folder / "results/tiny/delivered/bert/tiny"
    assert [finding.problem for finding in check_folder(folder)] == [""] * 4
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-ranking" in card
    assert "nDCG&#64;10" in card
    assert "48 validation pairs in 12 queries" in card
    assert AutoConfig.from_pretrained(folder).num_labels == 1
