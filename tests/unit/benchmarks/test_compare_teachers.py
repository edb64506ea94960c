"""The comparison of what models learn from: the parts of the data, the studies, and the table."""

from argparse import Namespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import tiny
from compare_teachers import ALL_TASKS, MORE_EPOCHS, PAIRS, WAYS, comparisons, config_of
from shallower.core.errors import UserError
from shallower.evaluation.estimates import Scores
from shallower.study.resolve import resolve_study
from task_parts import UNLABELLED, divided, write_files


def test_rows_have_labels_or_serve_as_texts_without():
    table = pa.table({"text": [f"text {n}" for n in range(20)], "label": list(range(20))})
    parts = divided(table, {"train": 9, "validation": 3}, 5, "tiny")
    assert {name: len(part) for name, part in parts.items()} == {"train": 9, "validation": 3, UNLABELLED: 5}
    texts = [text for part in parts.values() for text in part["text"].to_pylist()]
    assert len({*texts}) == len(texts)
    assert parts[UNLABELLED].column_names == ["text"]
    assert len(divided(table, {"train": 12}, 100, "tiny")[UNLABELLED]) == 8
    with pytest.raises(UserError, match="tiny: has 20 training rows; ask for fewer than 20 with labels"):
        divided(table, {"train": 17, "validation": 3}, 5, "tiny")


@pytest.mark.parametrize("regression", [False, True])
def test_each_way_is_a_sound_study_that_differs_in_what_is_learnt(tmp_path, regression):
    definition = tiny.make_task_files(tmp_path / "data", 40, 10, pair=True, regression=regression)
    task = write_files(definition, 16, 100, tmp_path / "tiny")
    assert len(pq.read_table(task["train_file"])) == 16
    assert len(pq.read_table(tmp_path / "tiny/unlabelled-rows.parquet")) == 24
    model = tiny.make_model(tmp_path / "model", "bert")
    base = {"models": [{"name": "m", "source": "local", "directory": str(model)}], "train": {"epochs": 2}}
    arguments = Namespace(strategy="top", amounts=[1, 2], seeds=[1, 2, 3], refine_epochs=2, device="cpu")
    studies = {}
    for way in WAYS:
        written = yaml.safe_load(yaml.safe_dump(config_of(way, base, [task], arguments)))
        studies[way] = resolve_study(written)
    assert {len(study.runs) for study in studies.values()} == {9}
    epochs = {way: study.refine_settings("tiny", "finetuned")["epochs"] for way, study in studies.items()}
    # 16 rows with labels and 24 without: as many steps as 2.5 passes, which round to 2.
    assert epochs == {**dict.fromkeys(WAYS, 2), MORE_EPOCHS: 4}
    taught = {way: study.refine_settings("tiny", "finetuned").get("distill") for way, study in studies.items()}
    plain = {"weight": 0.5, "temperature": 2.0}
    assert taught == {
        "labels": None,
        MORE_EPOCHS: None,
        "teacher": plain,
        "vectors": plain | {"vectors": 1},
        "unlabelled": plain,
        "augmented": plain | {"augment": {"copies": 4, "mask": 0.1, "segment": 0.25}},
    }
    assert {way for way, study in studies.items() if study.unlabelled_key("tiny")} == {UNLABELLED}
    assert len({study.task_key("tiny") for study in studies.values()}) == 1


def scores_of(values: dict[str, float]) -> Scores:
    """One arm with two seeds on each task, with scores of 0 to 1 that the same examples make higher or lower."""
    rows, resamples = [], {}
    noise = np.random.default_rng(0).normal(0, 0.05, 400)
    for task, value in values.items():
        for seed in (1, 2):
            name = f"{task}-{seed}"
            axes = {"model": "m", "origin": "finetuned", "strategy": "top", "amount": "2"}
            rows.append({**axes, "task": task, "seed": seed, "value": value, "directory": name})
            resamples[name] = value + noise
    return Scores(pd.DataFrame(rows), resamples)


def test_ways_are_compared_on_the_same_examples():
    higher = {"labels": 0.0, MORE_EPOCHS: 0.02, "teacher": 0.01, "vectors": 0.01, UNLABELLED: 0.04, "augmented": 0.02}
    table = comparisons({way: scores_of({"a": 0.7 + more, "b": 0.6 + 2 * more}) for way, more in higher.items()})
    assert list(table["task"].unique()) == ["a", "b", ALL_TASKS]
    assert len(table) == 3 * len(PAIRS)
    rows = table.set_index(["way", "rival", "task"]).sort_index()
    found = rows.loc[(UNLABELLED, "teacher")]
    assert found.loc[["a", "b", ALL_TASKS], "difference"].to_list() == pytest.approx([3, 6, 4.5])
    # What the examples do to both cancels: an interval without width, though each score has one of ten points.
    assert found.loc["a", ["low", "high"]].to_list() == pytest.approx([3, 3])
    assert found.loc["a", "p_value"] == pytest.approx(0, abs=1e-9)
    assert rows.loc[("vectors", "teacher", "a"), "p_value"] == 1
    # Of 3 and 6: t = 4.5 / 1.5 = 3 with one degree of freedom, p = 1 - 2 atan(3) / pi.
    assert found.loc[ALL_TASKS, "p_value"] == pytest.approx(0.204833, rel=1e-4)
    assert (table["p_holm"] >= table["p_value"]).all()
