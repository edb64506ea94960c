"""A study of tagged words through the real Snakefile: chosen layers, a teacher, test sentences, delivered taggers."""

import csv
import json
import re
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from seqeval.metrics import f1_score
from transformers import AutoModelForTokenClassification

import tagged_words
from project import Project
from shallower.delivery.check import check_folder

pytestmark = pytest.mark.slow

MODEL = "results/tiny/bert/entities"
RUN = f"{MODEL}/finetuned/top-1/seed1"
OF_SUBSETS = ("subset-readout", "subset-loss", "subset-race", "greedy-score")


@pytest.fixture(scope="module")
def finished(finish, tmp_path_factory: pytest.TempPathFactory) -> Project:
    files = tmp_path_factory.mktemp("tagged")
    tagged_words.write_conll(files / "test.conll", tagged_words.make_sentences(20, 3))

    def change(study: dict[str, Any]) -> None:
        task = tagged_words.make_task_files(files) | {"test_file": str(files / "test.conll"), "train_examples": 60}
        study["tasks"], study["calibration"] = [task], {"examples": 15}
        study["train"] |= {"epochs": 8, "learning_rate": 3.0e-3, "batch_size": 8, "max_length": 10}
        study["refine"] = {"epochs": 2, "distill": {}}
        # With what top keeps these are all sets of three layers.
        study["strategies"] = [
            {"name": "keep", "amounts": [[0, 1, 3], [0, 2, 3], [1, 2, 3]]},
            *({"name": name, "amounts": [1]} for name in ("top", "contribution-rank", "taylor", *OF_SUBSETS)),
        ]
        study["oracle"] = True
        study["measure"] |= {"texts": 4, "batch_sizes": [1]}
        study["budget"], study["deliver"] = {"layers": 3}, {"vocabularies": ["full", "trimmed"]}

    return finish("tagging", change)


def sentences(table: Any) -> list[list[list[str]]]:
    """True and found tags of each sentence, by predictions."""
    tags, ends = np.array(tagged_words.TAGS), np.flatnonzero(np.diff(table["group"].to_numpy())) + 1
    found = np.stack(table["logits"].to_numpy()).argmax(axis=1)
    return [[each.tolist() for each in np.split(tags[side], ends)] for side in (table["label"].to_numpy(), found)]


def test_scores_are_those_of_seqeval_with_a_row_for_each_word(finished: Project):
    for split, count, seed in (("", 30, 2), ("test/", 20, 3)):
        table = pq.read_table(finished.folder / RUN / f"{split}predictions.parquet")
        true, found = sentences(table)
        assert true == [tags for _, tags in tagged_words.make_sentences(count, seed)]
        record = json.loads((finished.folder / RUN / f"{split}metrics.json").read_text())
        assert record["metrics"]["entity_f1"]["value"] == pytest.approx(f1_score(true, found))
        assert (record["num_examples"], record["num_groups"]) == (table.num_rows, count)


def test_strategies_by_subsets_choose_and_are_judged(finished: Project):
    with (finished.folder / "results/tiny/results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["strategy"] for row in rows} >= {"keep", "top", "contribution-rank", "taylor", *OF_SUBSETS}
    (scores,) = finished.folder.glob("results/tiny/**/scores/subsets/*.json")
    record = json.loads(scores.read_text())
    assert (record["vector"], record["is_complete"], len(record["kept_layers"])) == ("word", True, 15)
    for strategy, measure in (("subset-readout", "readout_loss"), ("subset-loss", "loss")):
        found = dict(zip(record["kept_layers"], record[measure], strict=True))
        best = min((label for label in found if len(label.split()) == 3), key=lambda label: found[label])
        layers = json.loads((finished.folder / MODEL / f"finetuned/{strategy}-1/seed1/layers.json").read_text())
        assert " ".join(map(str, layers["kept_layers"])) == best
    regrets = (finished.folder / "results/tiny/oracle/strategies.csv").read_text(encoding="utf-8")
    assert all(name in regrets for name in OF_SUBSETS)


def test_the_report_counts_words_and_sentences(finished: Project):
    report = (finished.folder / "results/tiny/report.html").read_text(encoding="utf-8")
    report = re.sub(r"\s+", " ", report)
    words = sum(len(words) for words, _ in tagged_words.make_sentences(30, 2))
    assert f"{words} words in 30 sentences" in report
    assert "samples of the validation sentences, with all their rows" in report
    assert f"{words} validation words" in report
    assert "texts in parts" in report


def test_the_delivered_tagger_answers(finished: Project):
    folder = finished.folder / "results/tiny/delivered/bert/entities"
    assert [finding.problem for finding in check_folder(folder)] == [""] * 4
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: token-classification" in card
    assert "type: entity_f1" in card
    model = AutoModelForTokenClassification.from_pretrained(folder)
    assert list(model.config.id2label.values()) == tagged_words.TAGS
    with (finished.folder / "results/tiny/variants.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    forms = {(row["runtime"], row["vocabulary"]) for row in rows}
    assert forms == {(runtime, size) for runtime in ("torch", "onnx", "onnx-int8") for size in ("full", "trimmed")}
    exported = [row for row in rows if row["runtime"] == "onnx"]
    assert all(float(row["logit_difference"]) < 1e-4 for row in exported)


def test_the_delivered_model_is_checked_without_torch(finished: Project, monkeypatch):
    from shallower.delivery import check

    installed = check._is_installed
    monkeypatch.setattr(check, "_is_installed", lambda package: package != "torch" and installed(package))
    findings = list(check_folder(finished.folder / "results/tiny/delivered/bert/entities"))
    assert [finding.problem for finding in findings] == [""] * len(findings)
