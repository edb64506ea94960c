"""Models loaded again: the same answers as stored, and a loud end when they are not."""

import csv
import dataclasses

import numpy as np
import pytest

import tiny
from scripts import run_script
from shallower.core.errors import UserError
from shallower.core.files import write_json
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict
from shallower.engine.reloading import compare_reloaded, telling_examples
from shallower.engine.tokens import TokenSet
from shallower.evaluation.predictions import Predictions, write_predictions
from token_sets import make_tokens, write_task

CPU = Compute("cpu", "fp32", 1)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_delivered_model_answers_as_stored(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, labels=2), 24, pair=True)
    logits = predict(load_for_prediction(tmp_path, tokens.padding_side), tokens, CPU)
    found = compare_reloaded(tmp_path, tokens, Predictions(tokens.ids, tokens.labels, logits))
    assert found.examples >= 16
    assert 0 <= found.largest_difference < 1e-5


def test_examples_are_matched_by_id(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", labels=2), 24)
    logits = predict(load_for_prediction(tmp_path), tokens, CPU)
    backwards = dataclasses.replace(tokens, ids=tokens.ids[::-1].copy())
    predictions = Predictions(tokens.ids, tokens.labels[::-1], logits[::-1])
    assert compare_reloaded(tmp_path, backwards, predictions).largest_difference < 1e-5
    with pytest.raises(UserError, match="other examples"):
        compare_reloaded(tmp_path, dataclasses.replace(tokens, ids=tokens.ids + 1), predictions)


def test_another_answer_is_an_error(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", labels=2), 24)
    logits = predict(load_for_prediction(tmp_path), tokens, CPU)
    logits[3, 1] += 0.01
    with pytest.raises(UserError, match=r"0\.01 off the stored predictions \(most for the example with id 103\)"):
        compare_reloaded(tmp_path, tokens, Predictions(tokens.ids, tokens.labels, logits))


def flat(texts, labels, types=None):
    """A token set of examples that begin with 1 and end with 2, as [CLS] and [SEP] do; 0 is padding."""
    rows = [[1, *text, 2] for text in texts]
    lengths = [len(row) for row in rows]
    return TokenSet(
        input_ids=np.concatenate(rows).astype(np.int32),
        token_type_ids=None if types is None else np.concatenate(types).astype(np.int8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        labels=np.asarray(labels),
        ids=np.arange(len(rows)),
        max_length=99,
        padding_side="right",
        pad_token_id=0,
        pad_token_type_id=0,
        cls_token_id=1,
        truncated=0,
    )


def test_examples_are_chosen_for_what_they_have():
    texts = [[5, 6, 7]] * 100
    labels = [0] * 100
    texts[40] = [5] * 9  # the longest
    texts[41] = [8]  # the shortest
    texts[42] = [5, 0, 7]  # padding inside
    texts[43] = [5, 2, 7]  # [SEP] inside
    texts[44] = [2, 5, 7]  # an empty first text
    labels[45] = 1
    logits = np.zeros((100, 2), np.float32)
    logits[46, 1] = 1  # the only one predicted so
    tokens = flat(texts, labels)
    chosen = telling_examples(tokens, logits)
    assert {40, 41, 42, 43, 44, 45, 46} <= set(chosen.tolist())
    assert len(chosen) == 16 and (np.diff(chosen) > 0).all()
    assert (telling_examples(tokens, logits) == chosen).all()


def test_examples_with_little_of_a_second_text_are_chosen():
    texts = [[5, 2, 6]] * 60
    types = [[0, 0, 0, 1, 1]] * 60
    texts[50], types[50] = [5, 6, 2], [0, 0, 0, 0, 1]  # an empty second text
    tokens = flat(texts, [0.5] * 60, types)
    assert 50 in telling_examples(tokens, np.zeros((60, 1), np.float32))


def test_few_examples_and_many_classes():
    tokens = flat([[5, 6]] * 3, [0, 1, 0])
    assert telling_examples(tokens, np.zeros((3, 2), np.float32)).tolist() == [0, 1, 2]
    logits = np.random.default_rng(0).normal(size=(2000, 500)).astype(np.float32)
    tokens = flat([[5, 6]] * 2000, np.arange(2000) % 500)
    assert 40 < len(telling_examples(tokens, logits)) < 70


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_padding_tokens_inside_texts_are_answered_alike(tmp_path, family):
    """RoBERTa, for one, counts positions without them."""
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, labels=2), 40, pair=True)
    input_ids = tokens.input_ids.copy()
    for example in range(30, 40):
        input_ids[tokens.offsets[example] + 2] = tokens.pad_token_id
    tokens = dataclasses.replace(tokens, input_ids=input_ids)
    logits = predict(load_for_prediction(tmp_path, tokens.padding_side), tokens, CPU)
    predictions = Predictions(tokens.ids, tokens.labels, logits)
    assert compare_reloaded(tmp_path, tokens, predictions).largest_difference < 1e-5


def test_the_script_reports_each_model(tmp_path):
    folders = [tiny.make_model(tmp_path / str(seed), "bert", labels=2, seed=seed) for seed in (1, 2)]
    for folder in folders:
        tokens, task = make_tokens(folder, 12)
        write_task(tmp_path, tokens, task)
        logits = predict(load_for_prediction(folder), tokens, CPU)
        write_predictions(folder / "predictions.parquet", tokens.ids, tokens.labels, logits)
    write_json(tmp_path / "runs.json", [str(folders[1])])
    files = {name: tmp_path / file for name, file in (("tokens", "tokens.safetensors"), ("task", "task.json"))}
    files |= {"runs": tmp_path / "runs.json", "output": tmp_path / "reloaded.csv"}
    run_script("reload_models", model_dirs=folders[:1], threads=1, **files)
    with open(tmp_path / "reloaded.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["directory"] for row in rows] == [str(folder) for folder in folders]
    assert [row["examples"] for row in rows] == ["12", "12"]
    assert all(float(row["largest_difference"]) < 1e-5 for row in rows)
