"""Rankings, from files of queries, texts and relevances to trained models: grouped by query all the way."""

import csv
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoTokenizer

import tiny
from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import read_json
from shallower.core.tables import write_table
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict
from shallower.engine.tokens import tokenize
from shallower.engine.training import TrainSettings, train
from shallower.evaluation.metrics import METRICS, chance_score, score
from shallower.sources.task_sources import TASK_SOURCES
from shallower.sources.tasks import check_task, fetch_calibration, fetch_task, fetch_test, local_data
from shallower.task_kinds.base import LabelColumn
from shallower.task_kinds.registry import task_kind

KIND = task_kind("ranking")
CPU = Compute("cpu", "fp32", 1)


@pytest.fixture
def definition(tmp_path):
    return tiny.make_ranking_files(tmp_path / "data", 12, 6)


def rewrite(path, change):
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *change(rows)])


def queries_of(table):
    return {group: set(rows["text"]) for group, rows in table.to_pandas().groupby("group")}


def fetched(definition, folder):
    fetch_task(definition, folder)
    return {split: pq.read_table(folder / f"{split}.parquet") for split in ("train", "validation")}


def test_rows_of_a_query_are_a_group(tmp_path, definition):
    rewrite(definition["train_file"], lambda rows: [[f" {rows[0][0].upper()}  ", *rows[0][1:]], *rows[1:]])
    tables = fetched(definition, tmp_path / "task")
    for split, count in (("train", 12), ("validation", 6)):
        found = queries_of(tables[split])
        assert len(found) == count
        assert all(len({" ".join(text.casefold().split()) for text in texts}) == 1 for texts in found.values())
        assert tables[split]["group"].to_pylist() != sorted(tables[split]["group"].to_pylist())
        assert {*found} <= {*tables[split]["id"].to_pylist()}
    manifest = read_json(tmp_path / "task" / "manifest.json")
    assert manifest["groups"] == {"queries": {"train": 12, "validation": 6}}
    assert manifest["reading"] == {"labels": "relevances from 0 to 1", "remarks": []}


def test_slices_are_of_whole_queries(tmp_path, definition):
    tables = fetched(definition | {"train_examples": 23, "validation_examples": 17}, tmp_path / "task")
    assert {split: len(table) for split, table in tables.items()} == {"train": 20, "validation": 16}
    fetch_calibration(definition | {"train_examples": 23}, 15, tmp_path / "calibration")
    calibration = pq.read_table(tmp_path / "calibration" / "calibration.parquet")
    assert len(calibration) == 12
    assert not {*calibration["text"].to_pylist()} & {*tables["train"]["text"].to_pylist()}
    for table in (*tables.values(), calibration):
        assert {table["group"].to_pylist().count(group) for group in queries_of(table)} == {4}
    (problem,) = check_task(definition | {"validation_examples": 7})
    assert "validation_examples: queries are taken with all their texts" in problem


def test_one_query_drawn_of_a_package_is_too_few_whatever_its_texts(tmp_path):
    rows = [(f"query {number // 10}", f"text {number}", number % 2) for number in range(100)]
    write_table(tmp_path / "data.csv", pd.DataFrame(rows, columns=["text", "text_pair", "label"]))
    definition = {
        "source": "package", "target": "ranking", "format": "csv", "text": ["text", "text_pair"], "label": "label",
    }  # fmt: skip
    source, paths = TASK_SOURCES["package"], {"data": [tmp_path / "data.csv"]}
    assert len(source.examples(definition | {"validation_examples": 20}, paths).tables["validation"]) == 20
    with pytest.raises(UserError, match=r"^validation_examples: queries are taken with all their texts, and 10 rows"):
        source.examples(definition | {"validation_examples": 10}, paths)


def test_queries_that_tell_nothing_are_left_out_of_what_is_scored(tmp_path, definition):
    first, second = (f"only {word} here" for word in ("good", "bad"))

    def spoil(rows):
        return [*rows, *([first, f"text {number}", 0] for number in range(3)), [second, "one", 1], [second, "two", 1]]

    for split in ("train", "validation"):
        rewrite(
            definition[f"{split}_file"], lambda rows, split=split: [[f"{r[0]} {split}", *r[1:]] for r in spoil(rows)]
        )
    tables = fetched(definition, tmp_path / "task")
    assert (len(tables["train"]), len(tables["validation"])) == (12 * 4 + 5, 6 * 4)
    (remark,) = read_json(tmp_path / "task" / "manifest.json")["reading"]["remarks"]
    assert remark.startswith("validation: 2 of 8 queries (5 rows) left out")
    assert remark.endswith("1 of them have no relevant text")


def test_splits_that_share_a_query_are_refused(tmp_path, definition):
    with open(definition["train_file"], encoding="utf-8", newline="") as file:
        shared = [*csv.reader(file)][1][0]
    rewrite(definition["validation_file"], lambda own: [*own, [shared.upper(), "a text", 1], [shared, "another", 0]])
    (problem,) = check_task(definition)
    assert f"the train and validation splits share the query {shared.casefold()!r}" in problem
    assert "divide a ranking by whole queries" in problem
    test = definition | {"validation_file": definition["train_file"], "train_file": definition["validation_file"]}
    assert check_task(test)


def test_test_queries_are_read_as_others(tmp_path, definition):
    tiny.make_ranking_files(tmp_path / "other", 3, 6)
    rewrite(tmp_path / "other" / "validation.csv", lambda rows: [[f"{row[0]} held out", *row[1:]] for row in rows])
    definition |= {"test_file": str(tmp_path / "other" / "validation.csv"), "test_examples": 9}
    fetch_test(definition, tmp_path / "test")
    assert len(queries_of(pq.read_table(tmp_path / "test" / "test.parquet"))) == 2
    assert read_json(tmp_path / "test" / "manifest.json")["groups"] == {"queries": {"test": 2}}
    assert local_data(definition).rows == {"train": 48, "validation": 24, "test": 8}


@pytest.mark.parametrize(
    ("values", "form", "read"),
    [
        ([0, 1, "1", " 0 "], "relevances from 0 to 1", [0, 1, 1, 0]),
        ([0.25, 0.5], "relevances from 0 to 1", [0.25, 0.5]),
        (["0", "4", 1.0, 2], "relevances from 0 to 4, divided by 4", [0, 1, 0.25, 0.5]),
    ],
)
def test_grades_are_brought_to_the_range_of_the_loss(values, form, read):
    reading = KIND.label_reading([LabelColumn("a", values), LabelColumn("b", [0])], None)
    assert reading.form == form
    assert [reading.of(LabelColumn("a", values))(value) for value in values] == read


@pytest.mark.parametrize(
    ("value", "problem"),
    [("yes", "is no relevance"), (-1, "is below 0"), (None, "is missing"), (float("inf"), "is no relevance")],
)
def test_what_is_no_relevance(value, problem):
    read = KIND.label_reading([LabelColumn("a", [value, 1])], None).of(LabelColumn("a", [value, 1]))
    with pytest.raises(ValueError, match=problem):
        read(value)


def test_the_losses_are_those_of_sentence_transformers():
    """BinaryCrossEntropyLoss and MSELoss of its CrossEncoder."""
    logits, labels = torch.randn(6, 1), torch.tensor([0, 1, 0.25, 1, 0, 0])
    expected = torch.nn.BCEWithLogitsLoss()(logits.view(-1), labels)
    torch.testing.assert_close(KIND.loss(logits, labels), expected)
    teacher = torch.randn(6, 1)
    torch.testing.assert_close(KIND.distillation_loss(logits, teacher, 3.0), torch.nn.MSELoss()(logits, teacher))


def test_a_cross_encoders_own_head_is_kept(tmp_path, definition):
    """Its one output, whatever its name: the first logits are the checkpoint's, by transformers."""
    from transformers import AutoModelForSequenceClassification

    source = tiny.make_model(tmp_path / "source", "bert", num_layers=2)
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1).eval()
    folder = tmp_path / "cross-encoder"
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["id2label"] == {"0": "LABEL_0"}
    tables = fetched(definition, tmp_path / "task")
    task = read_json(tmp_path / "task" / "task.json")
    assert (task["labels"], task["has_pair"]) == (None, True)
    classifier = load_for_training(folder, task, seed=1)
    assert "which has one output ('LABEL_0')" in classifier.head
    classifier.save(folder, tmp_path / "saved")
    validation = tables["validation"]
    tokens = tokenize(validation, tokenizer, 64, model.config.vocab_size)
    assert tokens.groups.tolist() == validation["group"].to_pylist()
    pairs = tokenizer(
        validation["text"].to_pylist(), validation["text_pair"].to_pylist(), padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        expected = model(**pairs).logits.numpy()
    np.testing.assert_allclose(predict(load_for_prediction(tmp_path / "saved"), tokens, CPU), expected, atol=1e-5)
    saved = read_json(tmp_path / "saved" / "config.json")
    assert saved["id2label"] in ({"0": "tiny"}, {0: "tiny"})


def test_training_puts_the_texts_of_its_queries_in_order(tmp_path, definition):
    tables = fetched(definition, tmp_path / "task")
    source = tiny.make_model(tmp_path / "source", "bert", num_layers=2)
    tokenizer, size = AutoTokenizer.from_pretrained(source), read_json(source / "config.json")["vocab_size"]
    tokens = tokenize(tables["train"], tokenizer, 32, size)
    classifier = load_for_training(source, read_json(tmp_path / "task" / "task.json"), seed=1)
    settings = TrainSettings.parse({"epochs": 30, "learning_rate": 3e-3, "batch_size": 16})
    records = train(
        classifier, tokens, settings, 1, CPU, CheckpointFolder(tmp_path / "scratch", {}), 60, "rank"
    ).records
    assert records[-1]["loss"] < 0.5 * records[0]["loss"]
    answers = KIND.answers(predict(classifier, tokens, CPU))
    for name in ("ndcg_at_10", "mrr_at_10"):
        assert score(METRICS[name], tokens.labels, answers, tokens.groups) > 0.95
        assert chance_score(METRICS[name], tokens.labels, tokens.groups) < 0.8
    assert not KIND.is_collapsed(tokens.labels, answers, tokens.groups)


def test_one_query_alone_cannot_be_scored(definition):
    rewrite(definition["validation_file"], lambda rows: [row for row in rows if row[0] == rows[0][0]])
    with pytest.raises((UserError, StudyErrors), match="has 1 query with texts of different relevance"):
        raise UserError(*check_task(definition))
