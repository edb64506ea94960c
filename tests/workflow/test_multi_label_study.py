"""A study of texts with several labels through the real Snakefile: choices of layers, a teacher, exports, delivery."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score

import tiny
from shallower.delivery.check import check_folder

RUN = Path("results/tiny/bert/tiny")


def write_files(folder: Path) -> Path:
    """train.csv, validation.csv and test.csv, whose labels say whether a text is good and whether it is long."""
    tiny.make_task_files(folder, 90, 30)
    tiny.make_test_file(folder, 20)
    for split in ("train", "validation", "test"):
        path = folder / f"{split}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for row in rows:
                found = ["good"] * (row["label"] == "good") + ["long"] * (len(row["text"]) > 50)
                writer.writerow([row["text"], "|".join(found) or "[]"])
    return folder


@pytest.mark.slow
def test_a_study_from_files_to_delivered_models(finish, tmp_path_factory):
    files = write_files(tmp_path_factory.mktemp("files"))

    def change(study: dict[str, Any]) -> None:
        task = study["tasks"][0] | {"target": "multi-label", "labels": ["good", "long"]}
        task |= {f"{split}_file": str(files / f"{split}.csv") for split in ("train", "validation", "test")}
        study["tasks"] = [task | {"metrics": ["micro_f1", "macro_f1", "subset_accuracy"], "thresholds": "tuned"}]
        study["strategies"] += [{"name": name, "amounts": [1]} for name in ("greedy-score", "taylor", "subset-race")]
        study["calibration"] = {"examples": 20}
        study["train"] |= {"class_weights": "balanced", "epochs": 20, "learning_rate": 3.0e-3}
        study["refine"] = {"epochs": 1, "distill": {}}
        study["budget"], study["deliver"] = {"layers": 3}, {}

    project = finish("multi-label", change)
    folder = project.folder / RUN
    manifest = json.loads((folder / "baseline/seed1/manifest.json").read_text())
    labels = np.stack(pq.read_table(next(project.folder.glob("resources/tasks/*/train.parquet")))["label"].to_numpy())
    lacking, having = (labels == 0).sum(axis=0), labels.sum(axis=0)
    assert manifest["class_weights"] == pytest.approx(dict(zip(["good", "long"], lacking / having, strict=True)))
    # Of calibration examples, which no score is of.
    tuned = json.loads((folder / "baseline/seed1/thresholds.json").read_text())
    thresholds = [label["threshold"] for label in tuned["labels"]]
    table = pq.read_table(folder / "baseline/seed1/calibration/predictions.parquet")
    truth, logits = (np.stack(table[name].to_numpy()) for name in ("label", "logits"))
    for index in range(2):
        answers = 1 / (1 + np.exp(-logits[:, index].astype(float))) > thresholds[index]
        assert tuned["labels"][index]["f1"] == pytest.approx(f1_score(truth[:, index], answers, zero_division=0))
    for run in folder.glob("*/*/seed1/metrics.json"):
        record = json.loads(run.read_text())
        table = pq.read_table(run.with_name("predictions.parquet"))
        truth, logits = (np.stack(table[name].to_numpy()) for name in ("label", "logits"))
        answers = 1 / (1 + np.exp(-logits.astype(float))) > thresholds
        expected = f1_score(truth, answers, average="macro", zero_division=0)
        assert record["metrics"]["macro_f1"]["value"] == pytest.approx(expected)
        assert record["threshold"] == thresholds
    delivered = project.folder / "results/tiny/delivered/bert/tiny"
    assert json.loads((delivered / "config.json").read_text())["thresholds"] == thresholds
    assert [finding.problem for finding in check_folder(delivered) if finding.problem] == []
    report = (project.folder / "results/tiny/report.html").read_text(encoding="utf-8")
    assert "above their own threshold, tuned on 20 training examples" in report and "weights of classes" in report

    fixed = {key: value for key, value in project.read_study()["tasks"][0].items() if key != "thresholds"}
    project.write_study({**project.read_study(), "tasks": [fixed | {"threshold": 0.55}]})
    planned = project.planned()
    assert planned["evaluate"] and not {"finetune_baseline", "download_task"} & {*planned}
    # Two strategies choose layers by the score, which is another one now.
    assert (planned["refine"], planned["predict"]) == (2, 2)
