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
from shallower.core.runs import BASELINE, NO_AMOUNT, NO_STRATEGY
from shallower.evaluation.estimates import Scores
from shallower.study.resolve import resolve_study
from task_parts import UNLABELLED, divided, write_files
from write_readme import teachers_tables


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
        "augmented": plain | {"augment": {"copies": 3, "mask": 0.1, "segment": 0.25}},
    }
    assert {way for way, study in studies.items() if study.unlabelled_key("tiny")} == {UNLABELLED}
    assert len({study.task_key("tiny") for study in studies.values()}) == 1


BASELINE_ARM = (BASELINE, NO_STRATEGY, NO_AMOUNT)


def scores_of(values: dict[str, float]) -> Scores:
    """The full model and one arm with two seeds on each task; the same examples make all scores higher or lower."""
    rows, resamples = [], {}
    noise = np.random.default_rng(0).normal(0, 0.05, 400)
    for task, value in values.items():
        for seed in (1, 2):
            name = f"{task}-{seed}"
            arms = [("finetuned", "top", "2", value), (*BASELINE_ARM, 0.9)]
            for origin, strategy, amount, score in arms:
                axes = {"model": "m", "origin": origin, "strategy": strategy, "amount": amount, "task": task}
                directory = f"{name}-{strategy}"
                rows.append({**axes, "seed": seed, "value": score, "directory": directory})
                resamples[directory] = score + noise
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
    assert table["full_score"].to_list() == pytest.approx([90] * len(table))
    assert table["seeds"].to_list() == [2] * len(table)


def test_readme_has_scores_by_way_and_gains_in_bold_where_they_hold():
    rows = []
    for task, gain in (("a", 2.0), (ALL_TASKS, 1.0)):
        for (way, rival), p_value in zip((("teacher", "labels"), (UNLABELLED, "labels")), (0.001, 0.2), strict=True):
            more = gain if way == "teacher" else gain / 2
            found = {"score": 70 + more, "rival_score": 70, "difference": more, "low": more - 1, "high": more + 1}
            names = {"model": "m", "strategy": "top", "amount": 2, "way": way, "rival": rival, "task": task}
            rows.append({**names, **found, "full_score": 80, "p_holm": p_value})
    where = dict.fromkeys(("machine", "compute_device", "torch", "transformers", "python", "commit", "date"), "x")
    settings = {"rows": 1000, "unlabelled": 3000, "seeds": 3, "refine_epochs": 1, "epochs": 3, "batch_size": 16}
    text = teachers_tables(pd.DataFrame(rows).assign(**where, **settings, learning_rate=1e-4))
    lines = text.splitlines()
    assert "| top, 2 | full model | 80.0 | 80.0 |" in lines
    assert "| top, 2 | labels | 70.0 | 70.0 |" in lines
    assert "| top, 2 | unlabelled | 71.0 | 70.5 |" in lines
    assert "| top, 2 | teacher over labels | **+2.0 (+1.0 to +3.0)** | **+1.0 (+0.0 to +2.0)** |" in lines
    assert "| top, 2 | unlabelled over labels | +1.0 (+0.0 to +2.0) | +0.5 (-0.5 to +1.5) |" in lines
