"""Every family with every kind of task, from a checkpoint to a shallower model that transformers itself loads.

What each kind and each family promises in detail has tests of its own; here nothing may be left out: a new family or
kind is tried with all others, or refused by name when a study is read.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers

import tagged_words
import tiny
from collection_files import make_collection
from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import read_json, write_json
from shallower.engine.batches import make_batch
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.engine.prediction import of_examples, predict
from shallower.engine.tokens import TokenSet, each_text_by_itself, tokenize
from shallower.engine.training import TrainSettings, train
from shallower.export.onnx_export import export_onnx
from shallower.export.onnx_prediction import OnnxModel
from shallower.export.onnx_prediction import predict as predict_onnx
from shallower.models.families import FAMILIES
from shallower.models.sentence_embedding import SentenceEmbedding
from shallower.sources.models import fetch_model
from shallower.sources.retrieval import PARTS, read_collection
from shallower.study.resolve import resolve_study
from shallower.surgery.drop_layers import drop_layers
from shallower.task_kinds.registry import TASK_KINDS
from tiny_decoders import DECODERS
from tiny_embedding import make_embedding_model

# A decoder's tokens know nothing of those behind them; XLNet's vectors by sentence-transformers are not ours.
REFUSED = {(name, "tokens"): f"the family {name} does not suit tokens: " for name in DECODERS} | {
    ("xlnet", kind): "the family xlnet does not suit embedding and retrieval: " for kind in ("embedding", "retrieval")
}
CPU = Compute("cpu", "fp32", 1)
SENTENCES = tagged_words.make_sentences(12, seed=1)
# Of three layers; the lowest one of ModernBERT stays.
KEPT = [0, 2]
# Kinds by what comes out of a model; the others are answered as one of these.
OUTPUTS = ("classification", "tokens", "embedding")
POOLING = SentenceEmbedding("mean", normalize=True, max_length=tiny.MAX_LENGTH)


@cache
def table_of(kind: str) -> pa.Table:
    """Texts, or pairs of them, with labels of a kind that can be learnt from the words."""
    texts = [" ".join(words) for words, _ in SENTENCES]
    good = [int(sum("good" in tag for tag in tags) > 1) for _, tags in SENTENCES]
    columns = {
        "classification": {"label": pa.array(good, pa.int64())},
        "multi-label": {"label": pa.array([[one, 1 - one] for one in good], pa.list_(pa.int8()))},
        "regression": {"label": pa.array(good, pa.float64())},
        "ranking": {
            "text_pair": texts[::-1],
            "label": pa.array(good, pa.float64()),
            "group": pa.array([0] * 6 + [6] * 6, pa.int64()),
        },
        "embedding": {"text_pair": texts[::-1], "label": pa.array(good, pa.float64())},
        # What a retrieval learns from; what it is scored on is another table, `collection`.
        "retrieval": {"text_pair": texts[::-1], "label": pa.array(good, pa.float64())},
        "tokens": {
            "words": pa.array([words for words, _ in SENTENCES], pa.list_(pa.string())),
            "label": [[tagged_words.TAGS.index(tag) for tag in tags] for _, tags in SENTENCES],
        },
    }
    return pa.table({"id": pa.array(range(12), pa.int64()), "text": texts, **columns[kind]})


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> pa.Table:
    """Queries and documents, with judgements."""
    task = make_collection(tmp_path_factory.mktemp("collection"), queries=4, documents=12)
    return read_collection({part: [Path(task[f"{part}_file"])] for part in PARTS})[0]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The folder of a family's pre-trained model."""
    folder = tmp_path_factory.mktemp("models")
    return cache(lambda family: tiny.make_model(folder / family, family, num_layers=3))


def study_of(model, task):
    """The smallest study of a model and a task."""
    strategies = [{"name": "top", "amounts": [1]}]
    return {
        "study": "tiny",
        "models": [model],
        "tasks": [task],
        "origins": [{"name": "finetuned"}],
        "strategies": strategies,
        "seeds": [1],
    }


def embedding_model(folder: Path, family: str, num_layers: int) -> Path:
    """A model without a head whose config.json says how it pools."""
    tiny.make_model(folder, family, num_layers=num_layers, bare=True)
    write_json(folder / "config.json", POOLING.within(read_json(folder / "config.json")))
    return folder


def tokenized(source: Path, table: pa.Table, kind) -> TokenSet:
    """The tokens of a table as a kind's models read them."""
    table, more = each_text_by_itself(table) if kind.answers_with_vectors else (table, {})
    config, tokenizer = read_json(source / "config.json"), transformers.AutoTokenizer.from_pretrained(source)
    has_cls_token = FAMILIES[config["model_type"]].has_cls_token
    tokens = tokenize(table, tokenizer, tiny.MAX_LENGTH, config["vocab_size"], has_cls_token=has_cls_token)
    return replace(tokens, **more)


def task_of(kind) -> dict[str, Any]:
    """What task.json says of a kind, as far as a model needs it."""
    labels = tagged_words.TAGS if kind.answers_words else ["bad", "good"] if kind.has_classes else None
    return {"name": "tiny", "target": kind.name, "labels": labels}


def logits_of(folder: Path, tokens, kind) -> np.ndarray:
    """Answers by a model that transformers loads, which finds every weight and no other."""
    model_class = getattr(transformers, kind.model_class)
    model, report = model_class.from_pretrained(folder, output_loading_info=True)
    assert not any(report[f"{problem}_keys"] for problem in ("missing", "unexpected", "mismatched"))
    batch = make_batch(tokens, np.arange(tokens.size))
    inputs = model_inputs(model, batch, "cpu")
    with torch.inference_mode():
        outputs = model.eval()(**inputs)
    if kind.answers_words:
        return outputs.logits[batch.places].numpy()
    if not kind.answers_with_vectors:
        return outputs.logits.numpy()
    mask = torch.ones(inputs["input_ids"].shape) if batch.attention_mask is None else inputs["attention_mask"]
    sums = (outputs.last_hidden_state * mask[:, :, None]).sum(1)
    return torch.nn.functional.normalize(sums, dim=-1).numpy()


def check_search(tokens, table, outputs, vectors) -> None:
    """Documents are found in the order of the cosines of `vectors`, worked out one by one, by the outputs of ours."""
    ids, _, grades, _, found = of_examples(tokens, outputs)
    assert len(ids) == tokens.queries == 4
    judged = (table[name].to_pylist()[:4] for name in ("documents", "label"))
    for query, (documents, label) in enumerate(zip(*judged, strict=True)):
        cosines = {row: float(vectors[query] @ vectors[row]) for row in range(4, len(table))}
        assert {*found.documents[query].tolist()} == {*cosines}
        ranked = [cosines[row] for row in found.documents[query].tolist()]
        np.testing.assert_allclose(found.cosines[query], ranked, rtol=0, atol=2e-5)
        np.testing.assert_allclose(ranked, sorted(cosines.values(), reverse=True), rtol=0, atol=4e-5)
        grade_of = dict(zip(documents, label, strict=True))
        assert grades[query].tolist() == [grade_of.get(row, 0.0) for row in found.documents[query].tolist()]


@pytest.mark.parametrize("kind", TASK_KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_a_kind_of_task_and_loses_layers(tmp_path, models, collection, family, kind):
    adapter, source, table = TASK_KINDS[kind], models(family), table_of(kind)
    if reason := REFUSED.get((family, kind)):
        if adapter.answers_with_vectors:
            source, task = make_embedding_model(tmp_path / "source", family, num_layers=3), make_collection(tmp_path)
        else:
            task = tagged_words.make_task_files(tmp_path)
        model = {"name": "tiny", "source": "local", "directory": str(source)}
        with pytest.raises(StudyErrors, match=rf"models\[0\] \(tiny\).*{reason}"):
            resolve_study(study_of(model, task))
        with pytest.raises(UserError, match=reason):
            fetch_model(model, tmp_path / "fetched", model_classes=[adapter.model_class])
        return
    if adapter.answers_with_vectors:
        source = embedding_model(tmp_path / "source", family, num_layers=3)
    tokens = tokenized(source, table, adapter)
    classifier = load_for_training(source, task_of(adapter), 1, tokens.padding_side)
    settings = TrainSettings.parse({"epochs": 3, "learning_rate": 3e-3, "batch_size": 6})
    records = train(classifier, tokens, settings, 1, CPU, CheckpointFolder(tmp_path / "scratch", {}), 60).records
    losses = [record["loss"] for record in records]
    assert np.mean(losses[-2:]) < np.mean(losses[:2])
    classifier.save(source, tuned := tmp_path / "tuned")
    drop_layers(tuned, KEPT, dropped := tmp_path / "dropped")
    if adapter.source == "collection":
        tokens = tokenized(source, collection, adapter)
    for folder in (tuned, dropped):
        ours = predict(load_for_prediction(folder, tokens.padding_side), tokens, CPU)
        theirs = logits_of(folder, tokens, adapter)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)
        if adapter.source == "collection":
            check_search(tokens, collection, ours, theirs)


# An export takes seconds; that all of `tiny.FAMILIES` answer classes alike is tested where they are exported.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (family, kind)
        for family in FAMILIES
        for kind in OUTPUTS
        if not FAMILIES[family].no_onnx and (family, kind) not in REFUSED
    ],
)
def test_an_exported_model_answers_as_transformers_does(tmp_path, family, kind):
    adapter = TASK_KINDS[kind]
    make = embedding_model if adapter.answers_with_vectors else tiny.make_model
    source = make(tmp_path / "source", family, num_layers=1)
    tokens = tokenized(source, table_of(kind), adapter)
    load_for_training(source, task_of(adapter), 1, tokens.padding_side).save(source, folder := tmp_path / "saved")
    expected = logits_of(folder, tokens, adapter)
    assert np.ptp(expected, axis=0).min() > 1e-2, "all are answered alike: differences would not show"
    export_onnx(folder, tmp_path / "model.onnx")
    model = OnnxModel(tmp_path / "model.onnx")
    np.testing.assert_allclose(predict_onnx(model, tokens), expected, rtol=0, atol=1e-4)
    # Of another size than the batch that export looked at.
    alone = model.compute(make_batch(tokens, np.array([2])))
    np.testing.assert_allclose(alone, expected[tokens.rows(np.array([2]))], rtol=0, atol=1e-4)
